"""Short words for the tests of budgets: nano-dollars are small here, so that they can be added in the head."""

from decimal import Decimal
from typing import Any

from llmclient._budget_keys import Claim, claims
from llmclient._holds import Exceeded, Hold
from llmclient._policy import NANO, Budget, OnExceed, Per

T = 1_800_000_000.0  # some moment of Unix time; a whole number of minutes


def usd(nanousd: int, per: Per = "user", window: str | float = 60.0, on_exceed: OnExceed = "raise") -> Budget:
    """A budget of so many nano-dollars. A window of 60 s has buckets of one second."""
    return Budget(per=per, usd=Decimal(nanousd) / NANO, window=window, on_exceed=on_exceed)


def tok(tokens: int, per: Per = "user", window: str | float = 60.0, on_exceed: OnExceed = "raise") -> Budget:
    return Budget(per=per, tokens=tokens, window=window, on_exceed=on_exceed)


def want(*budgets: Budget, tokens: int = 0, nanousd: int = 0, user: str = "ada", feature: str = "inbox") -> list[Claim]:
    """What a call of that user asks of the budgets."""
    return claims(budgets, {"user_id": user, "feature": feature}, "helpdesk", tokens, nanousd)


def held(answer: Any) -> Hold:
    assert isinstance(answer, Hold), answer
    return answer


def refused(answer: Any) -> Exceeded:
    assert isinstance(answer, Exceeded), answer
    return answer
