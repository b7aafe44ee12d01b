"""Forecast: what a sum comes to by the end of a period, with a band and the error the method had before. No reading.

The rest of the period is expected to look like the weeks before: for each hour the median of the same hours of the
week, all scaled to the level of the last seven days. How wrong that is is tried on the past: the same forecast is made
at this time of earlier days and held against what came. What it lacks in the middle case, as when traffic grows, is
made up for; between what it lacks in 10 and in 90 of 100 cases lies the band.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Final

from metrics.windows import Window, floor

METHOD: Final = (
    "What there is so far, and for each hour that is left the median of the same hours of the week before, scaled to"
    " the level of the last seven days. The same is tried on earlier days: the forecast is corrected by the middle of"
    " the errors there, and 8 of 10 of them lie within the band."
)
DAYS_TO_LEARN: Final = 3
WEEKS: Final = 8
# Earlier days on which the method is tried out, at most; with fewer than FEWEST_TRIES there is no band.
MOST_TRIES: Final = 14
FEWEST_TRIES: Final = 5

_HOUR: Final = timedelta(hours=1)
_MICROSECOND: Final = timedelta(microseconds=1)
_WHOLE: Final = Fraction(1)
_HOURS_A_DAY: Final = 24
_HOURS_A_WEEK: Final = 168
_LEVEL: Final = _HOURS_A_WEEK
# From two whole weeks on, Mondays are held against Mondays; before that every day is like any other.
_WEEKDAYS_FROM: Final = 2 * _HOURS_A_WEEK


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a sum comes to at the end of a period, in its metric's unit."""

    so_far: int
    expected: int
    low: int | None
    """The band that 8 of 10 outcomes lie in; None when the method could not be tried out often enough."""
    high: int | None
    error: Fraction | None
    """How far the corrected method was off in the middle case, as a share of what came in the hours it forecast."""
    tries: int
    """How often it was tried out on the past."""
    tried_hours: int
    """How many hours ahead it was tried; fewer than are left when the history is too short for more."""
    until: datetime


@dataclass(frozen=True, slots=True)
class History:
    """A sum by the hour, the first hour that had calls first; hours that are not over are not in it."""

    start: datetime
    hours: Sequence[int]

    @property
    def end(self) -> datetime:
        return self.start + len(self.hours) * _HOUR


def history_of(starts: Sequence[datetime], values: Sequence[int], *, until: datetime) -> History:
    """Return what is over before `until`, without the hours before the first call."""
    over = bisect_left(starts, floor(until, _HOUR))
    first = next((place for place, value in enumerate(values[:over]) if value), over)
    return History(starts[first] if first < len(starts) else until, values[first:over])


def forecast(history: History, so_far: int, period: Window, *, now: datetime) -> Forecast | None:
    """Return what the sum comes to when the period ends; None with less than three days of history.

    `so_far` is the sum of the period up to now, exactly.
    """
    if len(history.hours) < DAYS_TO_LEARN * _HOURS_A_DAY or not period.contains(now):
        return None
    hours = -((history.end - period.end) // _HOUR)
    left = 1 - Fraction((now - floor(now, _HOUR)) // _MICROSECOND, _HOUR // _MICROSECOND)
    by_method = _ahead(history, hours, left)
    ratios, tried = _tried(history, hours)
    if len(ratios) < FEWEST_TRIES:
        return Forecast(so_far, so_far + round(by_method), None, None, None, len(ratios), tried, period.end)
    low, expected, high = (
        so_far + round(by_method * ratio)
        for ratio in (_rank(ratios, Fraction(1, 10)), _middle_of(ratios), _rank(ratios, Fraction(9, 10)))
    )
    return Forecast(so_far, expected, low, high, _error(ratios), len(ratios), tried, period.end)


def _error(ratios: Sequence[Fraction]) -> Fraction:
    """Return how far each try was off, corrected by the others as a forecast is by all of them, in the middle case."""
    errors = []
    for place, ratio in enumerate(ratios):
        corrected = _middle_of([*ratios[:place], *ratios[place + 1 :]])
        errors.append(abs(corrected / ratio - 1) if ratio else Fraction(1))
    return _middle_of(sorted(errors))


def _ahead(history: History, hours: int, left: Fraction = _WHOLE) -> Fraction:
    """Return the sum expected in the hours after a history, of the first of which only a part is left."""
    place, usual = _shape(history)
    level = history.hours[-_LEVEL:]
    end = len(history.hours)
    usual_level = sum(usual[place(n)] for n in range(end - len(level), end))
    if usual_level == 0:
        # Most hours are quiet, so the median of each is nothing: what comes, comes at any time.
        return Fraction(sum(level), len(level)) * (hours - 1 + left)
    usual_ahead = usual[place(end)] * left + sum(usual[place(n)] for n in range(end + 1, end + hours))
    return Fraction(sum(level), usual_level) * usual_ahead


def _shape(history: History) -> tuple[Callable[[int], int], Sequence[int]]:
    """Return the place of an hour in the week (or day), and the median of the hours with the same place."""
    by_week = len(history.hours) >= _WEEKDAYS_FROM
    around = _HOURS_A_WEEK if by_week else _HOURS_A_DAY
    groups: dict[int, list[int]] = defaultdict(list)
    for n, value in enumerate(history.hours):
        groups[n % around].append(value)
    return lambda n: n % around, [_middle(groups[n]) for n in range(around)]


def _middle(values: list[int]) -> int:
    values.sort()
    half = len(values) // 2
    return values[half] if len(values) % 2 else (values[half - 1] + values[half]) // 2


def _middle_of(ascending: Sequence[Fraction]) -> Fraction:
    half = len(ascending) // 2
    return ascending[half] if len(ascending) % 2 else (ascending[half - 1] + ascending[half]) / 2


def _tried(history: History, ahead: int) -> tuple[list[Fraction], int]:
    """Return what came divided by what was forecast, on earlier days, ascending; and how many hours ahead that was."""
    most = len(history.hours)
    ahead = min(ahead, max((most - DAYS_TO_LEARN * _HOURS_A_DAY) // 2, 1))
    # A history with weekdays is tried by what it is worth with weekdays, when there are enough such tries.
    fewest = DAYS_TO_LEARN * _HOURS_A_DAY
    if most - ahead >= _WEEKDAYS_FROM + (FEWEST_TRIES - 1) * _HOURS_A_DAY:
        fewest = _WEEKDAYS_FROM
    ratios = []
    for known in range(most - ahead, fewest - 1, -_HOURS_A_DAY)[:MOST_TRIES]:
        expected = _ahead(History(history.start, history.hours[:known]), ahead)
        if expected > 0:
            ratios.append(sum(history.hours[known : known + ahead]) / expected)
    return sorted(ratios), ahead


def _rank(ascending: Sequence[Fraction], share: Fraction) -> Fraction:
    """Return the nearest-rank quantile."""
    return ascending[max(0, -int(-share * len(ascending) // 1) - 1)]
