"""What a client says about its breakers and limiters: read with patience, for none of it may cost a call.

Whatever is not as docs/events.md says is left out by itself: a group, a number, a transition.
"""

from collections.abc import Iterator
from datetime import datetime
from itertools import islice
from typing import Annotated, Any, Final, Literal, NamedTuple

import msgspec
from msgspec import Meta, Struct

from ingest import partitions, salvage
from ingest.events import Text200, Utc
from ingest.vocabulary import BreakerState

MOST_GROUPS: Final = 64
MOST_TRANSITIONS: Final = 100
MOST_BYTES: Final = 65_536
"""Of JSON that the guards of one process may take; beyond it the limiters go and the breakers stay."""

# A limiter tells numbers, and objects of numbers; what is more than this is not from our client.
_MOST_NUMBERS: Final = 32
_MOST_LEVELS: Final = 3
_LARGEST: Final = 1e15

State = Literal["closed", "open", "half_open"]
Group = Annotated[str, Meta(min_length=1, max_length=100)]
_STATES: Final = tuple(state.name.lower() for state in BreakerState)


class Transition(Struct, frozen=True, gc=False):
    """A breaker changed its state."""

    at: Utc
    group: Group
    before: State
    after: State
    reason: Text200 = ""
    retry_in_s: Annotated[float, Meta(ge=0, le=2_000_000)] | None = None


class Guards(NamedTuple):
    """Of one process: the last state of each group, and how breakers changed, in the order of (group, time)."""

    groups: dict[str, dict[str, Any]]
    transitions: list[Transition]


def read(groups: object, transitions: object, *, now: datetime) -> Guards:
    """What can be kept of both. Transitions from outside the days that are kept are left out."""
    found = dict(_groups(groups))
    if len(msgspec.json.encode(found)) > MOST_BYTES:
        found = {name: {"breaker": guard["breaker"]} for name, guard in found.items() if "breaker" in guard}
    first, end = partitions.storable(now)
    listed = transitions[:MOST_TRANSITIONS] if isinstance(transitions, list) else []
    changes = {
        (one.group, one.at): one for one in map(_transition, listed) if one is not None and first <= one.at < end
    }
    return Guards(found, [changes[key] for key in sorted(changes)])


def _groups(told: object) -> Iterator[tuple[str, dict[str, Any]]]:
    if not isinstance(told, dict):
        return
    for name, guard in islice(told.items(), MOST_GROUPS):
        if not isinstance(guard, dict) or not 0 < len(name) <= 100:
            continue
        kept: dict[str, Any] = {}
        if (breaker := guard.get("breaker")) in _STATES:
            kept["breaker"] = breaker
        if limiter := _numbers(guard.get("limiter"), _MOST_LEVELS):
            kept["limiter"] = limiter
        if kept:
            yield salvage.quoted(name, most=100), kept


def _numbers(told: object, levels: int) -> dict[str, Any]:
    """The numbers among the first of an object, and those in the objects it holds."""
    kept: dict[str, Any] = {}
    if not isinstance(told, dict) or levels == 0:
        return kept
    for name, value in islice(told.items(), _MOST_NUMBERS):
        if len(name) > 64:
            continue
        if isinstance(value, dict):
            if inner := _numbers(value, levels - 1):
                kept[salvage.quoted(name, most=64)] = inner
        elif isinstance(value, int | float) and not isinstance(value, bool) and -_LARGEST <= value <= _LARGEST:
            kept[salvage.quoted(name, most=64)] = value
    return kept


def _transition(told: object) -> Transition | None:
    try:
        return msgspec.convert(salvage.clean(told)[0], Transition)
    except (salvage.UnstorableError, msgspec.ValidationError):
        return None
