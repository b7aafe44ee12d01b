"""Readings: what a question about calls is answered with. Frozen, and each says how complete it is.

Values are whole numbers (counts, tokens, nano-dollars, milliseconds) or exact quotients of them (`Decimal`, 28 digits:
a rate of 0.05 equals a limit of 0.05). None means unknown or undefined, never zero.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

Value = int | Decimal | None


@dataclass(frozen=True, slots=True)
class Reading:
    """The value of one metric over one window and slice."""

    metric: str
    value: Value
    sample: int
    """The calls (for latencies: the answered calls) the value rests on."""
    complete_to: datetime | None
    """Every call received before this time is in the value; None when nothing was read."""
    unpriced: int
    """Calls whose cost is unknown; they are in no sum of money."""


@dataclass(frozen=True, slots=True)
class Series:
    """One metric over time. `starts`, `values` and `samples` have one entry per bucket, empty buckets included."""

    metric: str
    key: str
    """The part of a breakdown this line is for; empty: the whole slice."""
    starts: tuple[datetime, ...]
    step: timedelta
    values: tuple[Value, ...]
    samples: tuple[int, ...]
    complete_to: datetime | None


@dataclass(frozen=True, slots=True)
class Part:
    """One row of a breakdown: all asked metrics of the calls with this name."""

    key: str
    readings: Mapping[str, Reading]


@dataclass(frozen=True, slots=True)
class Breakdown:
    """The top parts, the rest of them together, and the sum of all of these; sums agree to the last unit."""

    dimension: str
    parts: tuple[Part, ...]
    other: Part | None
    """None when every part is listed."""
    total: Part
    complete_to: datetime | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """One metric in two windows of the same slice."""

    reading: Reading
    other: Reading
    difference: Value
    """reading - other, in the metric's unit; None when one side is unknown."""
    relative: Decimal | None
    """difference / other; None when the other side is unknown or zero."""
    enough: bool
    """Both sides rest on at least `units.ENOUGH_EVENTS` calls; otherwise the difference may be chance."""
