"""The comparison of two windows: their totals, what is usual for these hours of the week, and what moved.

Reads as little as can be: the hours of the last weeks once, the totals of all windows together, the parts together.
"""

import math
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction
from functools import cached_property
from itertools import accumulate
from typing import Final

from ingest.histogram import bucket_of
from metrics import asks, queries
from metrics.across import Cut, Parts, across
from metrics.baseline import (
    DAYS_TO_LEARN,
    FEWEST_CALLS,
    FEWEST_WEEKS,
    WEEKS,
    Judgement,
    Word,
    floor_of,
    judge,
    judge_rates,
    median,
    noise_of,
)
from metrics.bridge import Bridge, Usage, bridge
from metrics.forecast import Forecast
from metrics.formulas import Totals
from metrics.measures import FACTS, LATENCY, MEASURES, TOKEN_FACTS, Measure, answered, finished, slower_than
from metrics.movers import Aligned, Moved, Mover, chance_of_rates, chances_of_sums, movers
from metrics.plan import MOST_CALLS, WindowTooWideError
from metrics.readings import Series
from metrics.selection import resolve
from metrics.slices import Dimension, Slice
from metrics.steps import Steps, alone
from metrics.windows import Window, ceil, floor

LONGEST: Final = timedelta(days=7)
"""Longer windows overlap with their own weeks before, so nothing is said of what is usual for them."""
PART_WEEKS: Final = 4
"""The weeks a part is held against: what scatters is learned from all parts together."""
DIMENSIONS: Final[tuple[Dimension, ...]] = (
    "feature",
    "prompt_type",
    "prompt_version",
    "model",
    "key",
    "release",
    "error",
)
"""What differences are looked for in. Users are too many to be among them: they are looked at when asked for."""

_HOUR, _DAY, _WEEK = timedelta(hours=1), timedelta(days=1), timedelta(days=7)
_HOURS_A_DAY, _HOURS_A_WEEK = _DAY // _HOUR, _WEEK // _HOUR
_NOTHING: Final = Totals()
# Of one cut by a dimension: the ends of its window that are no whole hours.
_RAGGED: Final = timedelta(hours=2)


Hours = Callable[[], dict[str, tuple[Series, ...]]]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is said of one measure."""

    word: Word | None
    """None: nothing can be said, see `why`."""
    why: str = ""
    judgement: Judgement | None = None
    interval: tuple[float, float] | None = None
    """Of the difference of two rates, with 95 % certainty."""


class Comparison:
    """Window A against window B of the same slice, each reading made when first asked for."""

    def __init__(
        self, window: Window, other: Window, slice_: Slice, *, now: datetime, hours: Hours | None = None
    ) -> None:
        """`hours` gives the answer to `ask_history` where that was put together with other questions."""
        self.window = window
        self.other = other
        self.slice = slice_
        self.now = now
        self._hours = hours
        self._parts: dict[str, dict[Dimension, Sequence[Parts]]] = {}
        self._moved: dict[tuple[str, bool], list[Mover]] = {}

    # --- the windows

    @cached_property
    def aligned(self) -> Window:
        """The whole hours of the window; the weeks before are known by the hour. Empty in a window without one."""
        start, end = ceil(self.window.start, _HOUR), floor(min(self.window.end, self.now), _HOUR)
        return Window(start, end) if start < end and self.window.duration <= LONGEST else Window(start, start)

    @property
    def weeks(self) -> list[Window]:
        """The same hours of the weeks before, the last one first."""
        return [] if self.aligned.is_empty else [self.aligned.shift(-week * _WEEK) for week in range(1, WEEKS + 1)]

    # --- what is read

    def ask_history(self) -> Steps[dict[str, tuple[Series, ...]]] | None:
        """Return the question for the hours of the weeks before, to be read together with others; None without one."""
        if self.aligned.is_empty:
            return None
        span = Window(floor(self.window.start, _HOUR) - WEEKS * _WEEK, self.window.end)
        return asks.several_series(list(MEASURES), span, self.slice, bucket=_HOUR, now=self.now)

    @cached_property
    def history(self) -> dict[str, Series]:
        """Every measure by the hour, over the weeks before and the window; empty where it cannot be read."""
        asked = self.ask_history()
        if asked is None:
            return {}
        try:
            found = self._hours() if self._hours is not None else alone(asked)
        except WindowTooWideError:
            return {}
        return {key: series[0] for key, series in found.items()}

    @cached_property
    def began(self) -> datetime | None:
        """The first hour with a call, within the weeks looked at."""
        if not self.history:
            return None
        requests = self.history["requests"]
        return next((start for start, calls in zip(requests.starts, requests.values, strict=True) if calls), None)

    @cached_property
    def _whole(self) -> list[Totals]:
        """The totals of A, of B, of the whole hours of A, and of those in each week before."""
        windows = [self.window, self.other]
        if self.history and not self.aligned.is_empty:
            windows += [self.aligned, *self.weeks]
        cuts = [Cut(window) for window in windows]
        found = self._across(cuts, [LATENCY])
        if found[0] is None or found[1] is None:
            raise WindowTooWideError(
                "these windows can only be read call by call with these filters together: ask for a shorter time"
            )
        return [_NOTHING if parts is None else parts.get("", _NOTHING) for parts in found]

    @property
    def totals(self) -> Totals:
        return self._whole[0]

    @property
    def other_totals(self) -> Totals:
        return self._whole[1]

    @cached_property
    def _weekly(self) -> list[Totals]:
        """The weeks that can be learned from: since the first call, and with calls in these hours."""
        return [
            totals
            for week, totals in zip(self.weeks, self._whole[3:], strict=False)
            if self.began is not None and week.start >= self.began and totals.sums.get("requests", 0) > 0
        ]

    @property
    def gaps(self) -> int:
        """The weeks since the first call in which nothing was measured in these hours: they are left out."""
        if self.began is None:
            return 0
        return sum(1 for week in self.weeks if week.start >= self.began) - len(self._weekly)

    # --- what is usual

    def verdict(self, measure: Measure) -> Verdict:
        """Say whether the window is unusual in this measure."""
        if measure.key == "error_rate":
            sides = [(totals.sums.get("errors", 0), finished(totals)) for totals in (self.totals, self.other_totals)]
            rates = judge_rates(*sides[0], *sides[1])
            interval = None if rates.low is None or rates.high is None else (rates.low, rates.high)
            return Verdict(rates.word, interval=interval)
        if self.window.duration > LONGEST:
            return Verdict(None, "no verdict for more than a week")
        if self.aligned.is_empty:
            return Verdict(None, "no verdict before a whole hour is over")
        if not self.history:
            return Verdict(None, "these filters together have no history")
        return self._judged(measure)

    def _judged(self, measure: Measure) -> Verdict:
        value, weekly = measure.value(self._whole[2]), [measure.value(totals) for totals in self._weekly]
        known = [Fraction(week) for week in weekly if week is not None]
        if len(known) < FEWEST_WEEKS:
            return Verdict(Word.LEARNING, f"{self.days} of {DAYS_TO_LEARN} days")
        calls = [Fraction(sample_of(measure, totals)) for totals in self._weekly]
        if value is None or max([*calls, Fraction(sample_of(measure, self._whole[2]))]) < FEWEST_CALLS:
            return Verdict(Word.NOT_ENOUGH)
        usual = median(known)
        noise = self.noise(measure)
        chance = floor_of(usual, median(calls), per_call=measure.per_call, noise=noise, least=measure.least)
        judged = judge(value, known, chance)
        return Verdict(judged.word, judgement=judged)

    @property
    def days(self) -> int:
        """The days that were learned from so far."""
        return 0 if self.began is None else min((self.now - self.began) // _DAY, DAYS_TO_LEARN)

    def noise(self, measure: Measure) -> float:
        """Return the relative scatter from week to week, learned from stretches as long as this one on every day."""
        series = self.history[measure.key]
        if self.began is None or self.aligned.is_empty:
            return 0.0
        known = bisect_left(series.starts, self.began)
        first, end = (bisect_left(series.starts, at) for at in (self.aligned.start, self.aligned.end))
        if measure.key == "latency_p95":
            # Percentiles of hours cannot be put together; their scatter shrinks as that of a mean does.
            every = range(_HOURS_A_WEEK)
            values = series.values[known:first]
            by_hour = [[value for value in values[place :: len(every)] if value is not None] for place in every]
            return noise_of(by_hour) / math.sqrt(end - first)
        sums = [0, *accumulate(int(value or 0) for value in series.values)]
        stretch = end - first
        apart = max(-(-stretch // _HOURS_A_DAY), 1) * _HOURS_A_DAY
        groups = []
        for back in range(0, _HOURS_A_WEEK, apart):
            begins = range(first - back, known - 1, -_HOURS_A_WEEK)
            groups.append([sums[at + stretch] - sums[at] for at in begins if at != first])
        return noise_of(groups)

    # --- where it is going

    def forecast(self, period: Window) -> Forecast | None:
        """Return what the cost comes to by the end of a period, from the hours that are read already where they do."""
        spend = self.history.get("spend")
        if spend is None or self.window.end != self.now or period.start < spend.starts[0]:
            return queries.forecast("spend", period, self.slice, now=self.now)
        return queries.forecast_of(spend, period, now=self.now)

    # --- what moved

    def limit(self, measure: Measure) -> int | None:
        """Return the latency bucket beyond which calls count as slow: that of B's p95. None when B has no answers."""
        value = measure.value(self.other_totals)
        return None if value is None else bucket_of(int(value))

    def amount(self, measure: Measure) -> Callable[[Totals], int]:
        """Return what of a measure adds up over parts."""
        if measure.key != "latency_p95":
            return measure.amount
        limit = self.limit(measure)
        return slower_than(limit) if limit is not None else lambda _: 0

    def parts(self, measure: Measure) -> dict[Dimension, Sequence[Parts]]:
        """What each part did in A and B, then in the whole hours of A and of the weeks before when those are needed.

        Dimensions that these filters leave to be read call by call are not in it.
        """
        if measure.key not in self._parts:
            self._parts[measure.key] = self._read_parts(measure)
        return self._parts[measure.key]

    def _read_parts(self, measure: Measure) -> dict[Dimension, Sequence[Parts]]:
        found: dict[Dimension, Sequence[Parts]] = {}
        windows = [self.window, self.other]
        if measure.test == "weeks":
            weeks = [week for week in self.weeks[:PART_WEEKS] if self.began is not None and week.start >= self.began]
            windows += [self.aligned, *weeks] if weeks else []
        cuts = [Cut(window, dimension) for dimension in DIMENSIONS for window in windows]
        histograms = [LATENCY] if measure.key == "latency_p95" else []
        read = self._across(cuts, histograms, most_calls=_RAGGED)
        for place, dimension in enumerate(DIMENSIONS):
            of_dimension = read[place * len(windows) : (place + 1) * len(windows)]
            known = [parts for parts in of_dimension if parts is not None]
            if len(known) == len(windows):
                found[dimension] = known
        return found

    def _across(
        self, cuts: Sequence[Cut], histograms: Sequence[str] = (), most_calls: timedelta = MOST_CALLS
    ) -> list[Parts | None]:
        return across(
            *(cuts, self.slice, self._filters),
            facts=FACTS,
            histograms=histograms,
            order="cost_nanousd",
            most_calls=most_calls,
            now=self.now,
        )

    @cached_property
    def _filters(self) -> Mapping[str, int | str] | None:
        return alone(resolve(self.slice))

    def bridge(self, measure: Measure) -> Bridge:
        """Return the difference in cost, split into what it comes from. Raises WindowTooWideError.

        The measure is that of the page: what was read for its movers is enough.
        """
        parts = self.parts(measure)
        if "model" not in parts:
            raise WindowTooWideError("models can only be read call by call with these filters: ask for a shorter time")
        now, before = ({name: usage_of(totals) for name, totals in parts.items()} for parts in parts["model"][:2])
        return bridge(now, before)

    @cached_property
    def users(self) -> Sequence[Parts]:
        """What the users with the highest cost did in A and B."""
        cuts = [Cut(window, "user_id") for window in (self.window, self.other)]
        return [parts or {} for parts in self._across(cuts)]

    def movers(self, measure: Measure, *, with_users: bool = False) -> list[Mover]:
        """Return every part of every dimension, the one that moved most first. Raises WindowTooWideError."""
        asked = (measure.key, with_users)
        if asked not in self._moved:
            self._moved[asked] = self._movers(measure, with_users=with_users)
        return self._moved[asked]

    def _movers(self, measure: Measure, *, with_users: bool) -> list[Mover]:
        moved: list[Moved] = []
        for dimension, (now, before, *hours) in self.parts(measure).items():
            if measure.test == "weeks":
                moved += self._by_weeks(measure, dimension, now, before, hours)
            elif not (measure.key == "latency_p95" and dimension == "error"):
                # A call that failed took no time that counts, so errors have no latency.
                moved += self._by_rates(measure, dimension, now, before)
        if with_users and measure.key != "latency_p95":
            now, before = self.users
            moved += self._by_weeks(measure, "user_id", now, before, ())
        amount = self.amount(measure)
        return movers(moved, amount(self.totals) - amount(self.other_totals))

    def _by_rates(self, measure: Measure, dimension: Dimension, now: Parts, before: Parts) -> Iterator[Moved]:
        amount, base = self.amount(measure), answered if measure.key == "latency_p95" else finished
        for name in {*now, *before}:
            sides = (now.get(name, _NOTHING), before.get(name, _NOTHING))
            # An error is a share of all calls, not of the calls that had it.
            wholes = (self.totals, self.other_totals) if dimension == "error" else sides
            (events, calls), (other_events, other_calls) = (
                (amount(side), base(whole)) for side, whole in zip(sides, wholes, strict=True)
            )
            p = chance_of_rates(events, calls, other_events, other_calls)
            yield Moved(dimension, name, events, other_events, p, calls=calls + other_calls)

    def _by_weeks(
        self, measure: Measure, dimension: Dimension, now: Parts, before: Parts, hours: Sequence[Parts]
    ) -> Iterator[Moved]:
        """Hold parts against their weeks before; without weeks, as for users, there is no verdict."""
        names = {*now, *before}
        aligned = {name: _aligned(measure, name, hours) for name in names} if hours else {}
        noise = self.noise(measure) if hours else 0.0
        chances = chances_of_sums(aligned, per_call=measure.per_call, noise=noise)
        for name in names:
            yield Moved(
                dimension,
                name,
                measure.amount(now.get(name, _NOTHING)),
                measure.amount(before.get(name, _NOTHING)),
                chances.get(name),
                was_known=not hours or any(name in week for week in hours[1:]),
            )


def _aligned(measure: Measure, name: str, hours: Sequence[Parts]) -> Aligned:
    value, *weeks = [parts.get(name, _NOTHING) for parts in hours]
    return Aligned(
        measure.amount(value),
        value.sums.get("requests", 0),
        [measure.amount(week) for week in weeks],
        [week.sums.get("requests", 0) for week in weeks],
    )


def sample_of(measure: Measure, totals: Totals) -> int:
    """Return the calls a measure rests on."""
    return answered(totals) if measure.key == "latency_p95" else totals.sums.get("requests", 0)


def usage_of(totals: Totals) -> Usage:
    """Return what these calls used, those without a known cost left out of their number."""
    sums = totals.sums
    calls = max(sums.get("requests", 0) - sums.get("unpriced", 0), 0)
    return Usage(calls, sums.get("cost_nanousd", 0), *(sums.get(fact, 0) for fact in TOKEN_FACTS))
