"""From a reading to a verdict: is the value beyond the threshold, back behind the recovery threshold, or unknown?

Comparisons are exact. Thresholds arrive in the metric's own unit (see `metrics.units.in_metric_unit`), and a value that
equals a threshold is not beyond it: "above 5 %" begins above 5 %.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import Final

from alerting.state import Verdict
from metrics.readings import Reading

ABOVE: Final = "above"
BELOW: Final = "below"
# What a window with too few requests counts as.
NO_DATA_VERDICTS: Final = {"keep": Verdict.NO_DATA, "ok": Verdict.CLEAR, "alert": Verdict.BREACH}


@dataclass(frozen=True)
class Condition:
    """A threshold with hysteresis, in the metric's own unit."""

    direction: str
    """"above" or "below": the side on which the value is bad."""
    threshold: Fraction
    recovery: Fraction
    minimum_sample: int
    """With fewer requests a rate or a latency says nothing. Sums need none: of nothing they are 0."""
    no_data: str
    """keep, ok or alert."""


def judge(reading: Reading, condition: Condition, *, window_end: datetime, is_sum: bool) -> Verdict:
    """Say what the reading of one window means for a rule. An incomplete window means nothing yet."""
    if reading.complete_to is None or reading.complete_to < window_end:
        return Verdict.INCOMPLETE
    if is_unknown(reading, condition, is_sum=is_sum):
        return NO_DATA_VERDICTS[condition.no_data]
    assert reading.value is not None
    return compare(reading.value, condition)


def is_unknown(reading: Reading, condition: Condition, *, is_sum: bool) -> bool:
    """Tell whether the window holds too few requests for its value to be believed."""
    return reading.value is None or (not is_sum and reading.sample < condition.minimum_sample)


def compare(value: int | Decimal, condition: Condition) -> Verdict:
    """Place a known value: beyond the threshold, behind the recovery threshold, or in the band between them."""
    if condition.direction not in (ABOVE, BELOW):
        raise ValueError(f"{condition.direction!r} is not a direction; use {ABOVE!r} or {BELOW!r}.")
    side = 1 if condition.direction == ABOVE else -1
    exact = Fraction(value) * side
    if exact > condition.threshold * side:
        return Verdict.BREACH
    return Verdict.CLEAR if exact <= condition.recovery * side else Verdict.BAND
