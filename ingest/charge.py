"""What a call cost: a sum, nothing, or nobody knows. Unknown is never zero.

A timeout may have been answered and billed on the other side; a refusal with an HTTP status was not. The difference
between the two is the difference between a hole in the bill and a bill that is small.
"""

from datetime import datetime
from typing import Final

from msgspec import Struct

from ingest.events import Event
from ingest.pricing import PriceBook
from ingest.usage import Usage
from ingest.vocabulary import Flag

# Answers that were not bought from the provider.
_NOT_BOUGHT: Final = frozenset({"cache", "stale_cache", "rule", "deferred", "notice"})
_NOTHING: Final = Usage()
# The provider does not charge for counting.
_FREE_OPERATIONS: Final = frozenset({"count_tokens"})

# Refusals of the client itself.
_NEVER_SENT: Final = frozenset({"circuit_open", "local_rate_limited", "budget_exceeded", "input_rejected"})


class Charge(Struct, frozen=True, gc=False):
    """`nanousd` None: not known. `flags` are the facts about usage and price that a stored call carries."""

    usage: Usage
    nanousd: int | None
    price_id: int | None
    flags: int


def charge(event: Event, book: PriceBook, at: datetime) -> Charge:
    """Prices one call at the rates of its own time."""
    if event.source in _NOT_BOUGHT or event.operation in _FREE_OPERATIONS:
        return Charge(_NOTHING if event.usage is None else event.usage.counts, 0, None, 0)
    if event.usage is None:
        if _was_refused(event):
            return Charge(_NOTHING, 0, None, 0)
        return Charge(_NOTHING, None, None, Flag.USAGE_UNKNOWN.value)
    usage = event.usage.counts
    model = event.model or event.model_requested
    cost = None if model is None else book.price(usage, model, at)
    flags = _flags(event, usage)
    return Charge(usage, None, None, flags) if cost is None else Charge(usage, cost.nanousd, cost.price_id, flags)


def _was_refused(event: Event) -> bool:
    """Whether it is certain that nothing was billed: refused here, or by the provider with an HTTP error."""
    if event.outcome in {"ok", "degraded"} or any(_may_have_run(attempt.status) for attempt in event.attempts):
        return False
    if event.outcome == "rejected":
        return True
    error = event.error
    return error is not None and (error.category in _NEVER_SENT or not _may_have_run(error.status))


def _may_have_run(status: int | None) -> bool:
    """No status: the answer never came, the work may have been done. Below 400: an answer had begun."""
    return status is None or status < 400


# Plain numbers: an IntFlag's operators cost a microsecond each, and this runs for every call.
_BATCH, _FAST, _US_ONLY, _PRIORITY = (flag.value for flag in (Flag.BATCH, Flag.FAST, Flag.US_ONLY, Flag.PRIORITY))
_ESTIMATED: Final = Flag.USAGE_ESTIMATED.value


def _flags(event: Event, usage: Usage) -> int:
    flags = 0 if event.usage_complete else _ESTIMATED
    if usage.batch:
        flags |= _BATCH
    if usage.fast:
        flags |= _FAST
    if usage.us_only:
        flags |= _US_ONLY
    if usage.priority:
        flags |= _PRIORITY
    return flags
