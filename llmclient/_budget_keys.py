"""Which budgets a call pays from, and how much of each. Pure.

Budgets of the same `per`, unit and window share one purse, whatever their limits: 0.80 that falls back and 1.00 that
raises are two marks on one purse, and a raised limit forgets nothing.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple

from llmclient._policy import Budget, Per

# The label that names whose purse it is. Per request there is none; per app the app itself is named.
LABELS: Final[Mapping[Per, str]] = {"user": "user_id", "session": "session_id", "feature": "feature"}
MOST: Final = 2**53 - 1  # nine million dollars: what every store counts exactly


class Kind(NamedTuple):
    """All purses filled by the same rule."""

    per: Per
    unit: Literal["tokens", "nanousd"]
    seconds: float
    app: str


class Key(NamedTuple):
    """One purse: that of a user, a session, a feature, or the app (its name is empty)."""

    kind: Kind
    name: str


class Claim(NamedTuple):
    """What a call wants of one budget: tokens or nano-dollars, as the budget counts."""

    budget: Budget
    key: Key
    amount: int
    limit: int


def claims(
    budgets: Sequence[Budget], labels: Mapping[str, Any], app: str | None, tokens: int, nanousd: int
) -> list[Claim]:
    """What the call wants of each budget that applies to it. One per user does not apply to a call of nobody."""
    found = []
    for budget in budgets:
        label = LABELS.get(budget.per)
        name = labels.get(label) if label is not None else ""
        if label is None or name:
            unit = budget.unit
            key = Key(Kind(budget.per, unit, budget.seconds, app or ""), str(name))
            amount = tokens if unit == "tokens" else nanousd
            found.append(Claim(budget, key, min(max(amount, 0), MOST), budget.amount))
    return found


def unnamed(budgets: Sequence[Budget], labels: Mapping[str, Any]) -> list[Per]:
    """The budgets that do not apply because the call does not say whose it is."""
    return [budget.per for budget in budgets if budget.per in LABELS and not labels.get(LABELS[budget.per])]
