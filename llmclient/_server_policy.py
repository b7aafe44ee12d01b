"""What the server wants its clients to obey: budgets, stops, capture, prices. Read from `GET /api/v1/policy`.

The format is described in docs/leases.md. Times in it are lengths, not dates, so no two clocks have to agree.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, Literal, NamedTuple, get_args

from llmclient._policy import NANO, Budget, OnExceed, Per
from llmclient._prices import undated

ServerPer = Literal["project", "user", "session", "feature"]
LABELS: Final[Mapping[ServerPer, str]] = {"user": "user_id", "session": "session_id", "feature": "feature"}
POLL: Final = 15.0  # seconds between two looks, when the server does not say


@dataclass(frozen=True, slots=True)
class ServerBudget:
    """One budget in its present period. Amounts are tokens or nano-dollars, as `unit` says."""

    id: int
    per: ServerPer
    unit: Literal["tokens", "nanousd"]
    limit: int
    spent: int
    """By everybody, when the policy was written."""
    period: str
    ends_at: float
    """Of the caller's clock."""
    period_seconds: float
    chunk: int
    """What is leased at a time."""
    allowance: int
    """What one process may spend without a lease; 0: nothing, calls are stopped."""
    on_exceed: OnExceed
    feature: str | None = None
    prompt_type: str | None = None
    models: tuple[str, ...] = ()

    @property
    def budget(self) -> Budget:
        """The same in the words of this program's own budgets, for its exceptions."""
        per: Per = "app" if self.per == "project" else self.per
        if self.unit == "tokens":
            return Budget(per, tokens=self.limit, window=self.period_seconds, on_exceed=self.on_exceed)
        usd = Decimal(self.limit) / NANO
        return Budget(per, usd=usd, window=self.period_seconds, on_exceed=self.on_exceed)

    def holds_for(self, labels: Mapping[str, Any], model: str | None) -> bool:
        """Whether a call belongs to the part of the traffic this budget is about."""
        if self.feature is not None and labels.get("feature") != self.feature:
            return False
        if self.prompt_type is not None and labels.get("prompt_type") != self.prompt_type:
            return False
        return not self.models or (model is not None and (model in self.models or undated(model) in self.models))


class Demand(NamedTuple):
    """What a call wants of a server's budget, and whose share of it."""

    budget: ServerBudget
    key: str
    amount: int


@dataclass(frozen=True, slots=True)
class ServerPolicy:
    version: int = 0
    budgets: tuple[ServerBudget, ...] = ()
    stopped: str | None = None
    """Why all calls of this key are stopped; None: they are not."""
    stopped_models: tuple[str, ...] = ()
    capture: Literal["off", "redacted", "full"] | None = None
    sample: float | None = None
    prices: Mapping[str, Any] | None = None
    """A snapshot for `_prices.replace`, when the server has another than this client said it has."""
    poll: float = POLL

    def stop(self, model: str | None) -> str | None:
        """Why a call of this model is stopped; None: it is not."""
        if self.stopped is not None:
            return self.stopped
        if model is not None and (model in self.stopped_models or undated(model) in self.stopped_models):
            return f"calls of {model} are stopped"
        return None

    def demands(self, labels: Mapping[str, Any], model: str | None, tokens: int, nanousd: int) -> list[Demand]:
        """What a call wants of each budget that applies to it; one per user does not apply to a call of nobody."""
        found = []
        for budget in self.budgets:
            label = LABELS.get(budget.per)
            key = labels.get(label) if label is not None else ""
            if (label is None or key) and budget.holds_for(labels, model):
                found.append(Demand(budget, str(key), max(tokens if budget.unit == "tokens" else nanousd, 0)))
        return found


def read(body: Mapping[str, Any], now: float) -> ServerPolicy:
    """The policy in an answer that came at `now`; ValueError when it is none. What is not known yet is passed over."""
    try:
        stop = body.get("stop") or {}
        capture, sample = body.get("capture"), body.get("sample")
        return ServerPolicy(
            version=_whole(body["version"]),
            budgets=tuple(_budget(each, now) for each in body.get("budgets") or ()),
            stopped=next((f"calls of this {what} are stopped" for what in ("project", "key") if stop.get(what)), None),
            stopped_models=tuple(map(str, stop.get("models") or ())),
            capture=None if capture is None else _one_of(capture, ("off", "redacted", "full")),
            sample=None if sample is None else min(max(float(sample), 0.0), 1.0),
            prices=(body.get("prices") or {}).get("snapshot"),
            poll=min(max(float(body.get("poll_s") or POLL), 1.0), 300.0),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"this is no policy: {error!r}") from None


def _budget(found: Mapping[str, Any], now: float) -> ServerBudget:
    limit = _whole(found["limit"])
    chunk = _whole(found["chunk"])
    if limit < 1 or chunk < 1:
        raise ValueError(f"no budget: {dict(found)!r}")
    return ServerBudget(
        id=_whole(found["id"]),
        per=_one_of(found["per"], get_args(ServerPer)),
        unit=_one_of(found["unit"], ("tokens", "nanousd")),
        limit=limit,
        spent=_whole(found["spent"]),
        period=str(found["period"]),
        ends_at=now + float(found["ends_in_s"]),
        period_seconds=max(float(found["period_s"]), 1.0),
        chunk=chunk,
        allowance=_whole(found.get("allowance") or 0),
        on_exceed=_one_of(found.get("on_exceed") or "raise", get_args(OnExceed)),
        feature=found.get("feature"),
        prompt_type=found.get("prompt_type"),
        models=tuple(map(str, found.get("models") or ())),
    )


def _whole(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise ValueError(f"a whole number was expected, not {value!r}")
    return value


def _one_of(value: Any, allowed: tuple[Any, ...]) -> Any:
    if value not in allowed:
        raise ValueError(f"{value!r} is none of {', '.join(allowed)}")
    return value
