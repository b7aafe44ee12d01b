"""What one call may cost and has cost: reserved out of its budgets before it, settled or voided after it."""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from math import ceil
from typing import TYPE_CHECKING, Any, Final

from llmclient import _billable, _config, _prices
from llmclient._budgeting import Budgeting, Refusal, Reserved
from llmclient._call import Call
from llmclient._effects import Effect
from llmclient._holds import Soft
from llmclient._later import LATER
from llmclient._lease_link import LeaseLink
from llmclient._ledger import Ledger
from llmclient._policy import Budget
from llmclient._queue import Want
from llmclient._quietly import quietly, warn
from llmclient._run import Run
from llmclient._server_policy import ServerPolicy

if TYPE_CHECKING:
    from llmclient._privacy._pseudonyms import Pseudonyms

# An attempt that ended so may have been answered and billed, though nobody saw the answer.
PERHAPS_BILLED: Final = frozenset({"timeout", "cancelled", "stream_interrupted", "deadline_exceeded", "invalid_output"})
FIRST_LEASE: Final = 0.25  # seconds at most that a call waits for one, where nothing may be spent without
NO_POLICY: Final = ServerPolicy()
_IN_MEMORY: Final = Ledger()  # one for the process: two clients of one program have the same budgets


@lru_cache(maxsize=8)
def budgeting_of(redis: str | None, leases: tuple[str, str] | None) -> Budgeting:
    """Where budgets are kept, as `configure` says; `leases` is the server's address and a key for it."""
    link = None
    if leases is not None:
        base, key = leases

        def connect() -> Any:
            from llmclient._lease_line import Line  # noqa: PLC0415  # in the thread: it loads an HTTP client

            return Line(base, key)

        link = LeaseLink(connect, wait=FIRST_LEASE)
    if redis is None:
        return Budgeting(_IN_MEMORY, link)
    from llmclient._ledger_redis import RedisLedger  # noqa: PLC0415  # with the package redis

    return Budgeting(RedisLedger(redis), link)


class Payment:
    """The money of one call. `usage` may be of several models, one after the other: what is settled is the last."""

    __slots__ = ("_app", "_budgeting", "_budgets", "_labels", "_reserved")

    def __init__(self, budgets: Sequence[Budget], labels: Mapping[str, Any]) -> None:
        settings = _config.current()
        self._budgets = budgets
        self._labels = labels
        self._app = settings.app
        self._reserved: Reserved | None = None
        self._budgeting: Budgeting | None = None
        if settings.leases is not None or settings.redis is not None:
            # Whoever keeps budgets elsewhere hears of users by the names events give them; purses in this process
            # leave it as little as the ids do.
            self._labels = _as_sent(labels, settings.pseudonyms)
        if budgets or settings.leases is not None:
            self._budgeting = quietly(budgeting_of, settings.redis, settings.leases)

    @property
    def is_asked(self) -> bool:
        """Whether there is anybody to ask."""
        return self._budgeting is not None

    @property
    def server_policy(self) -> ServerPolicy:
        """What the server wants; an empty policy where it is not asked, or has not answered yet."""
        return NO_POLICY if self._budgeting is None else self._budgeting.policy or NO_POLICY

    def stopped(self, model: str | None) -> str | None:
        """Why the server wants no calls of this model; None: it does not mind."""
        return None if self._budgeting is None else quietly(self._budgeting.stopped, model)

    def reserve(
        self, want: Want, body: Mapping[str, Any], now: float, *, instead: bool = False
    ) -> Generator[Effect, Any, Refusal | None]:
        """Takes what the call will probably cost, or says which budget has no room. `now`: Unix time.

        `instead`: it is the model a fallback turns to; budgets that fall back let it pass and count it.
        """
        if self._budgeting is None or self._reserved is not None:
            return None
        budgets = [_only_told(budget) for budget in self._budgets] if instead else self._budgets
        if not self._budgeting.blocking:
            return quietly(self._take, self._budgeting, budgets, want, body, now)
        refusal: Refusal | None = yield Run(
            quietly, self._take, self._budgeting, budgets, want, body, now, blocking=True
        )
        return refusal

    def _take(
        self, budgeting: Budgeting, budgets: Sequence[Budget], want: Want, body: Mapping[str, Any], now: float
    ) -> Refusal | None:
        model = str(body.get("model"))
        into, out = ceil(want.input), ceil(want.output)
        fast, us_only = body.get("speed") == "fast", body.get("inference_geo") == "us"
        nanousd = quietly(_prices.estimate, model, into, out, now, fast=fast, us_only=us_only) or 0
        answer = budgeting.reserve(budgets, self._labels, self._app, into + out, nanousd, now, model=model)
        if isinstance(answer, Refusal):
            return answer
        # Here and not outside: a task cancelled while a thread asks still has it to give back.
        self._reserved = answer
        for each in answer.warnings:
            warn(f"budget:{each.budget.per}", "%s", each.message)
        return None

    def end(self, call: Call, now: float) -> None:
        """The call is over: settles what it used, or frees what was taken when nothing was billed."""
        if call.usage and call.source in ("api", "model_fallback"):
            call.cost = quietly(_prices.cost, call.usage, call.model or call.model_requested or "", now)
        reserved, self._reserved = self._reserved, None
        if self._budgeting is None or reserved is None:
            return
        if not call.usage and not any(attempt.category in PERHAPS_BILLED for attempt in call.attempts):
            self._give_back(self._budgeting, reserved, now)
            return
        tokens = quietly(_billable.tokens, call.usage) if call.usage and reserved.counts_tokens else None
        model = call.model or call.model_requested or ""
        nanousd = call.cost  # where it is known it is what a budget counts
        if nanousd is None and call.usage:
            nanousd = quietly(_prices.charge, call.usage, model, now)
        if self._budgeting.blocking:
            LATER.do(self._settle, self._budgeting, reserved, tokens, nanousd, now)
        else:
            nearest = _nearest(self._settle(self._budgeting, reserved, tokens, nanousd, now))
            call.budget = call.budget or nearest  # one that was exceeded is nearer

    def _give_back(self, budgeting: Budgeting, reserved: Reserved, now: float) -> None:
        if budgeting.blocking:
            LATER.do(budgeting.void, reserved, now)
        else:
            budgeting.void(reserved, now)

    @staticmethod
    def _settle(
        budgeting: Budgeting, reserved: Reserved, tokens: int | None, nanousd: int | None, now: float
    ) -> list[Soft]:
        nearly = budgeting.settle(reserved, tokens, nanousd, now)
        for soft in nearly:
            budget = soft.claim.budget
            share = f"{soft.spent:,} of {soft.limit:,} {budget.unit}"
            warn(
                f"budget:{budget.per}:{soft.claim.key.name}", "the budget per %s is nearly used: %s", budget.per, share
            )
        return nearly


def exceeded(refusal: Refusal) -> dict[str, Any]:
    """A budget without room, for telemetry."""
    budget = refusal.budget
    return {"key": f"per {budget.per}", "unit": budget.unit, "spent": refusal.spent, "limit": refusal.limit}


def _as_sent(labels: Mapping[str, Any], pseudonyms: "Pseudonyms | None") -> Mapping[str, Any]:
    """The labels as events carry them, so that budgets and events are about the same users."""
    if pseudonyms is None or "user_id" not in labels:
        return labels
    return {**labels, "user_id": pseudonyms.of(labels["user_id"])}


@lru_cache(maxsize=256)
def _only_told(budget: Budget) -> Budget:
    return replace(budget, on_exceed="warn") if budget.on_exceed == "fallback" else budget


def _nearest(nearly: Sequence[Soft]) -> dict[str, Any] | None:
    if not nearly:
        return None
    soft = max(nearly, key=lambda each: each.spent / each.limit)
    budget = soft.claim.budget
    return {"key": f"per {budget.per}", "unit": budget.unit, "spent": soft.spent, "limit": soft.limit}
