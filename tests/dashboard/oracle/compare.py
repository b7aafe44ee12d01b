"""Compare: is today different, is it real, and what drives it?"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from functools import cached_property
from itertools import zip_longest
from statistics import median
from typing import NamedTuple

from ingest.histogram import bucket_of
from metrics import units
from metrics.readings import Value
from metrics.units import Unit
from metrics.windows import Window
from tests.dashboard.oracle import split, usual
from tests.dashboard.oracle.asked import NONE, File, Scene, Tile, group, named, spoken, total, value
from tests.dashboard.oracle.budgets import MONTH
from tests.dashboard.oracle.usual import Aligned, Verdict
from tests.dashboard.oracle.world import DAY, HOUR, NOW, WEEK
from tests.metrics import oracle
from tests.metrics.oracle import Call, nearest_rank, ratio

SPACE = units.SPACE


class Measure(NamedTuple):
    label: str
    unit: Unit
    parts: str
    """What is counted of each part."""
    parts_unit: Unit
    per_call: float = 1.0
    least: float = 0.02


MEASURES = {
    "spend": Measure("Cost", Unit.NANOUSD, "Cost", Unit.NANOUSD, per_call=2.0),
    "requests": Measure("Requests", Unit.COUNT, "Requests", Unit.COUNT),
    "tokens": Measure("Tokens", Unit.TOKENS, "Tokens", Unit.TOKENS, per_call=2.0),
    "error_rate": Measure("Error rate", Unit.RATIO, "Errors", Unit.COUNT),
    "latency_p95": Measure("p95 latency", Unit.MILLISECONDS, "Slow calls", Unit.COUNT, per_call=4.0, least=0.1),
}
RATES = ("error_rate", "latency_p95")
# A property of calls, and what people call it. Keys and releases are in no cube: under another filter than the
# environment they are left out.
DIMENSIONS = {
    "feature": "feature",
    "prompt_type": "prompt type",
    "prompt_version": "prompt version",
    "model": "model",
    "key": "API key",
    "release": "release",
    "error": "error",
}


class Moved(NamedTuple):
    dimension: str
    name: str
    now: int
    before: int
    p: float | None
    was_known: bool = True
    calls: int | None = None
    """Of a rate, on both sides."""

    @property
    def difference(self) -> int:
        return self.now - self.before

    @property
    def size(self) -> int:
        return self.now + self.before if self.calls is None else self.calls

    @property
    def kind(self) -> str:
        """New in all weeks looked at, or gone."""
        if self.now != 0 and self.before == 0 and not self.was_known:
            return "new"
        return "gone" if self.now == 0 and self.before != 0 else ""


def floored(when: datetime) -> datetime:
    return when.replace(minute=0, second=0, microsecond=0)


@dataclass(frozen=True)
class Comparison:
    """The range against the comparison, in one measure."""

    scene: Scene
    measure: str

    @property
    def of(self) -> Measure:
        return MEASURES[self.measure]

    @cached_property
    def now(self) -> list[Call]:
        return self.scene.now

    @cached_property
    def before(self) -> list[Call]:
        return self.scene.before or []

    @property
    def aligned(self) -> Window:
        """The whole hours of the range."""
        window = self.scene.asked.elapsed
        start, end = floored(window.start + HOUR - timedelta(microseconds=1)), floored(window.end)
        return Window(start, max(start, end))

    @property
    def weeks(self) -> list[Window]:
        return [self.aligned.shift(-week * WEEK) for week in range(1, 9)]

    @cached_property
    def hours(self) -> dict[datetime, list[Call]]:
        """All calls since eight weeks before the range, by the hour."""
        start = floored(self.scene.asked.window.start) - 8 * WEEK
        calls = self.scene.pick(Window(start, self.scene.asked.elapsed.end))
        return group(calls, lambda one: floored(one.at))

    @property
    def began(self) -> datetime:
        return min(self.hours)

    def in_hour(self, start: datetime) -> Value:
        return value(self.measure, self.hours.get(start, []))

    def sample(self, calls: Sequence[Call]) -> int:
        return sum(1 for call in calls if call.is_answered) if self.measure == "latency_p95" else len(calls)

    def amount(self, calls: Iterable[Call]) -> int:
        """What of a measure adds up over parts; of latencies the calls slower than most of the comparison."""
        if self.measure == "error_rate":
            return total("errors", list(calls))
        if self.measure != "latency_p95":
            return total(self.measure, list(calls))
        limit = nearest_rank([call.duration_ms for call in self.before if call.is_answered], 95)
        if limit is None:
            return 0
        return sum(1 for call in calls if call.is_answered and bucket_of(call.duration_ms) > bucket_of(limit))

    # --- verdicts

    def verdict(self) -> Verdict:
        if self.measure == "error_rate":
            return usual.judged_rates(*_errors(self.now), *_errors(self.before))
        if self.aligned.is_empty:
            return Verdict("", "no verdict before a whole hour is over")
        weekly = self._weekly
        known = [Fraction(week) for calls in weekly if (week := value(self.measure, calls)) is not None]
        if len(known) < 2:
            return Verdict("learning", f"{min((NOW - self.began) // DAY, 14)} of 14 days")
        inside = self.scene.pick(self.aligned)
        here, samples = value(self.measure, inside), [self.sample(calls) for calls in weekly]
        if here is None or max(*samples, self.sample(inside)) < 30:
            return Verdict("not enough data")
        by_chance = math.sqrt(self.of.per_call / max(float(median(map(Fraction, samples))), 1.0))
        least = float(median(known)) * max(self.of.least, self.noise, by_chance)
        return usual.judged(Fraction(here), known, least)

    @cached_property
    def _weekly(self) -> list[list[Call]]:
        """The weeks since the first call that had calls in these hours."""
        weeks = (self.scene.pick(week) for week in self.weeks if week.start >= self.began)
        return [calls for calls in weeks if calls]

    @property
    def gaps(self) -> int:
        weeks = [] if self.aligned.is_empty else self.weeks
        return sum(1 for week in weeks if week.start >= self.began) - len(self._weekly)

    @cached_property
    def noise(self) -> float:
        """From stretches as long as the range on every day; of percentiles from single hours."""
        first, stretch = self.aligned.start, (self.aligned.end - self.aligned.start) // HOUR
        if self.measure == "latency_p95":
            groups: list[list[float]] = []
            for place in range(168):
                of_hour = [self.in_hour(when) for when in _every(self.began + place * HOUR, WEEK, first)]
                groups.append([float(one) for one in of_hour if one is not None])
            return usual.noise(groups) / math.sqrt(stretch)
        apart = max(math.ceil(stretch / 24), 1)
        groups = []
        for back in range(0, 7, apart):
            begins, start = [], first - back * DAY
            while start >= self.began:
                begins.append(start)
                start -= WEEK
            groups.append([self._sum(at, stretch) for at in begins if at != first])
        return usual.noise(groups)

    def _sum(self, start: datetime, hours: int) -> float:
        return float(sum(int(self.in_hour(start + n * HOUR) or 0) for n in range(hours)))

    # --- parts

    @cached_property
    def moved(self) -> list[tuple[Moved, Fraction | None, str]]:
        """Every part with its share of the difference and a word, the one that moved most first."""
        found = [one for dimension in self._dimensions for one in self._of(dimension)]
        whole = self.amount(self.now) - self.amount(self.before)
        judged = zip(found, usual.words([one.p for one in found]), strict=True)
        shown = [
            (one, Fraction(one.difference, whole) if whole else None, word)
            for one, word in judged
            # The only part there is of something is everything once more.
            if sum(1 for other in found if other.dimension == one.dimension) > 1
        ]
        return sorted(shown, key=lambda row: (-abs(row[0].difference), row[0].dimension, row[0].name))

    @property
    def _dimensions(self) -> list[str]:
        left_out = {"error"} if self.measure == "latency_p95" else set()
        if set(self.scene.asked.filters) - {"environment"}:
            left_out |= {"key", "release"}
        return [name for name in DIMENSIONS if name not in left_out]

    def _of(self, dimension: str) -> list[Moved]:
        now, before = _named(self.now, dimension), _named(self.before, dimension)
        names = sorted({*now, *before})
        if self.measure in RATES:
            return [self._rate(dimension, name, now.get(name, []), before.get(name, [])) for name in names]
        weeks = [] if self.aligned.is_empty else [week for week in self.weeks[:4] if week.start >= self.began]
        inside = [_named(self.scene.pick(window), dimension) for window in (self.aligned, *weeks)] if weeks else []
        found: dict[str, float | None] = {}
        if inside:
            aligned = {name: self._aligned([parts.get(name, []) for parts in inside]) for name in names}
            found = usual.chances(aligned, self.of.per_call, self.noise)
        return [
            Moved(
                dimension,
                name,
                self.amount(now.get(name, [])),
                self.amount(before.get(name, [])),
                found.get(name),
                not inside or any(name in week for week in inside[1:]),
            )
            for name in names
        ]

    def _aligned(self, sides: Sequence[Sequence[Call]]) -> Aligned:
        here, *weeks = sides
        return Aligned(
            self.amount(here), len(here), [self.amount(week) for week in weeks], [len(week) for week in weeks]
        )

    def _rate(self, dimension: str, name: str, now: Sequence[Call], before: Sequence[Call]) -> Moved:
        # An error is a share of all calls, not of those that had it.
        wholes = (self.now, self.before) if dimension == "error" else (now, before)
        bases = [self._base(calls) for calls in wholes]
        events = self.amount(now), self.amount(before)
        p = usual.chance_of_rates(events[0], bases[0], events[1], bases[1])
        return Moved(dimension, name, *events, p, calls=sum(bases))

    def _base(self, calls: Sequence[Call]) -> int:
        return self.sample(calls) if self.measure == "latency_p95" else _errors(calls)[1]

    def leading(self) -> list[tuple[Moved, Fraction | None]]:
        """The part of each dimension that moved most beyond what its size makes one expect, with its share."""
        best: list[tuple[Fraction, str, Moved, Fraction | None]] = []
        for dimension, rows in group_rows(self.moved).items():
            movement = sum(abs(one.difference) for one, _, _ in rows)
            size = sum(one.size for one, _, _ in rows)
            if movement and size:
                excess = [Fraction(abs(one.difference), movement) - Fraction(one.size, size) for one, _, _ in rows]
                place = excess.index(max(excess))
                if excess[place] > 0:
                    best.append((-excess[place], dimension, rows[place][0], rows[place][1]))
        best.sort(key=lambda one: one[:2])
        return [(one, share) for _, _, one, share in best]

    def driver(self) -> Moved | None:
        """What most of the difference comes from; what moved much further took the place of something else."""
        least, most = Fraction(3, 10), Fraction(5, 4)
        return next((one for one, share in self.leading() if share is not None and least <= share <= most), None)


def group_rows(
    rows: Sequence[tuple[Moved, Fraction | None, str]],
) -> dict[str, list[tuple[Moved, Fraction | None, str]]]:
    found: dict[str, list[tuple[Moved, Fraction | None, str]]] = {}
    for row in rows:
        found.setdefault(row[0].dimension, []).append(row)
    return found


def _errors(calls: Sequence[Call]) -> tuple[int, int]:
    """Failed calls, and those that were not given up by the caller."""
    return total("errors", calls), sum(1 for call in calls if call.outcome != "cancelled")


def _named(calls: Sequence[Call], dimension: str) -> dict[str, list[Call]]:
    parts = named(calls, dimension)
    if dimension == "error":
        parts.pop(NONE, None)
    return parts


def _every(start: datetime, step: timedelta, end: datetime) -> list[datetime]:
    found = []
    while start < end:
        found.append(start)
        start += step
    return found


# --- the page


def course(measure: str) -> Callable[[Scene], File]:
    def drawn(scene: Scene) -> File:
        asked, found = scene.asked, Comparison(scene, measure)
        if asked.shift is None:
            return File(["Time (UTC)"], [])
        labels = ["Time (UTC)", "this range", asked.compared_with]
        if asked.window.end - asked.window.start < 6 * HOUR:
            now, before = (_by_step(scene, measure, shift) for shift in (timedelta(), asked.shift))
            return File(labels, [(start, here, there) for (start, here), (_, there) in zip(now, before, strict=True)])
        starts = _every(floored(asked.window.start), HOUR, asked.elapsed.end)
        others = _every(floored(asked.window.start) - asked.shift, HOUR, asked.window.end - asked.shift)
        columns = [[found.in_hour(start) for start in starts], [found.in_hour(start) for start in others]]
        band = [_band(found, start) for start in starts]
        if any(low is not None for low, _ in band):
            labels += ["lowest of the weeks", "highest of the weeks"]
            columns += [[low for low, _ in band], [high for _, high in band]]
        # The comparison has hours that are still to come in the range.
        every = _every(starts[0], HOUR, starts[0] + len(others) * HOUR)
        return File(labels, list(zip_longest(every, *columns)))

    return drawn


def _by_step(scene: Scene, measure: str, back: timedelta) -> list[tuple[datetime, Value]]:
    found = []
    for start in _every(scene.asked.window.start, scene.asked.step, scene.asked.window.end):
        cut = Window(start - back, start - back + scene.asked.step)
        found.append((start, value(measure, scene.pick(cut))))
    return found


def _band(found: Comparison, start: datetime) -> tuple[Value, Value]:
    """The least and the greatest of the same hours of four weeks that had calls."""
    hours = [found.hours.get(start - week * WEEK, []) for week in range(1, 5)]
    weeks = [calls for calls in hours if oracle.measure(found.measure, calls)[1] > 0]
    known = [one for calls in weeks if (one := value(found.measure, calls)) is not None]
    return (min(known), max(known)) if len(known) > 1 else (None, None)


def bridge(scene: Scene) -> File:
    if scene.before is None:
        return File(["Step", "Cost"], [])
    now, before = named(scene.now, "model"), named(scene.before, "model")
    effects = [0] * 5
    for model in {*now, *before}:
        sides = [
            split.quantities(calls, own.get(model, [])) for calls, own in ((scene.now, now), (scene.before, before))
        ]
        effects = [a + b for a, b in zip(effects, split.split(*sides), strict=True)]
    rows = [
        (scene.asked.compared_with, total("spend", scene.before)),
        *zip(split.EFFECTS, effects, strict=True),
        ("this range", total("spend", scene.now)),
    ]
    return File(["Step", "Cost"], rows)


def movers(measure: str) -> Callable[[Scene], File]:
    def drawn(scene: Scene) -> File:
        of = MEASURES[measure]
        there = scene.asked.compared_with if scene.before is not None else "the period before"
        labels = ["Part", "By", f"{of.parts}, this range", f"{of.parts}, {there}", "Difference"]
        labels += ["Share of the difference", "p", "Verdict"]
        rows: list[tuple[object, ...]] = []
        for one, share, word in Comparison(scene, measure).moved if scene.before is not None else ():
            part = None if share is None else ratio(share.numerator, share.denominator)
            p = None if one.p is None else f"{one.p:.3g}"
            rows.append(
                (one.name, DIMENSIONS[one.dimension], one.now, one.before, one.difference, part, p, one.kind or word)
            )
        return File([*labels], rows)

    return drawn


def tiles(scene: Scene) -> list[Tile]:
    found = [_tile(Comparison(scene, measure)) for measure in MEASURES] if scene.before is not None else []
    return [*found, _month(scene)]


def _tile(found: Comparison) -> Tile:
    words, unit = found.scene.asked.compared_with, found.of.unit
    here, there, sample = (
        value(found.measure, found.now),
        value(found.measure, found.before),
        found.sample(found.before),
    )
    change, against = "", f"same as {words}" if sample else f"no calls {words}"
    if here is not None and there is not None and here != there and sample:
        change, against = units.delta(here, there, unit, events=sample).lstrip("+−"), f"vs {words}"
    exact = units.all_digits(int(here), unit) if unit in (Unit.NANOUSD, Unit.TOKENS) and here is not None else ""
    verdict = found.verdict()
    why = reasons(verdict)
    note = f"{phrase(verdict)}: {why}" if why else phrase(verdict)
    return Tile(found.of.label, units.number(here, unit), exact, change, against, note)


def phrase(verdict: Verdict) -> str:
    if not verdict.word:
        return verdict.why
    return f"{verdict.word} ({verdict.why})" if verdict.why else verdict.word


def reasons(verdict: Verdict) -> str:
    if verdict.interval is not None:
        low, high = (
            units.delta(Decimal(str(round(end, 8))), Decimal(0), Unit.RATIO, events=0) for end in verdict.interval
        )
        return f"difference between {low} and {high}"
    if verdict.z is None:
        return ""
    weeks = f"the median of {verdict.weeks} weeks"
    if abs(verdict.z) < 0.05:
        return f"like {weeks}"
    far = f"{abs(verdict.z):.1f}" if abs(verdict.z) < 20 else "over 20"
    return f"{far} usual deviations {'above' if verdict.z > 0 else 'below'} {weeks}"


def _month(scene: Scene) -> Tile:
    """The month so far, and where it is going."""
    calls = scene.pick(Window(NOW - 10 * WEEK, NOW))
    hours = group(calls, lambda one: floored(one.at))
    sums = {start: total("spend", own) for start, own in hours.items()}
    first = min(start for start, spent in sums.items() if spent)
    history = [sums.get(start, 0) for start in _every(first, HOUR, floored(NOW))]
    so_far = total("spend", [call for call in calls if call.at >= MONTH.start])
    found = split.forecast(history, so_far, NOW, MONTH.end)
    assert found is not None
    band, note = "", "too little history for a band"
    if found.low is not None and found.error is not None:
        band = f" ({units.money(found.low)} to {units.money(found.high)})"
        tried = f"{found.tries} tries over {units.duration(found.hours * 3_600_000)}"
        note = f"{units.ratio(found.error)} off in the middle case, {tried}"
    exact = units.all_digits(so_far, Unit.NANOUSD)
    return Tile("Month to date", units.money(so_far), exact, "", f"forecast {units.money(found.expected)}{band}", note)


def answer(measure: str) -> Callable[[Scene], tuple[str, str]]:
    def said(scene: Scene) -> tuple[str, str]:
        if scene.before is None:
            return "There is nothing to compare with.", "Choose above what to compare with."
        if not scene.now and not scene.before:
            return "No call was made on either side.", ""
        found = Comparison(scene, measure)
        if not scene.before:
            return f"{_statement(found)}.", ""
        verdict = found.verdict()
        mostly = ""
        if verdict.is_alarm and (driver := found.driver()) is not None:
            name, of = spoken(driver.name), DIMENSIONS[driver.dimension]
            if driver.dimension not in ("feature", "prompt_type", "model", "error"):
                name = f"{of} {name}"
            counted = "" if found.of.unit is found.of.parts_unit else f" {found.of.parts.lower()}"
            mostly = f", mostly {name} ({_signed(driver.difference, found.of.parts_unit)}{counted})"
        why, detail = reasons(verdict), ""
        if why and measure != "error_rate" and measure != "latency_p95":
            detail = f"{why[0].upper()}{why[1:]}, over whole hours."
        if found.gaps:
            weeks = "1 week" if found.gaps == 1 else f"{found.gaps} weeks"
            detail += f" {weeks} without calls in these hours left out."
        return f"{_statement(found)}: {phrase(verdict)}{mostly}.", detail.strip()

    return said


def _against(scene: Scene) -> str:
    names = {WEEK: "the same time last week", DAY: "the same time yesterday"}
    return names.get(scene.asked.shift or WEEK, "the period before")


def _signed(amount: int, unit: Unit) -> str:
    return f"{'+' if amount > 0 else ''}{units.number(amount, unit)}"


def _statement(found: Comparison) -> str:
    asked, unit = found.scene.asked, found.of.unit
    here, there = value(found.measure, found.now), value(found.measure, found.before)
    spans = {"from=now-1h": "The last hour", "from=now-6h": "The last 6 hours", "from=now-7d": "The last 7 days"}
    who = next((words for written, words in spans.items() if written in asked.address), "The last 24 hours")
    who = who if asked.is_live else "This range"
    when, written = "In this range" if who == "This range" else who, units.number(here, unit)
    statements = {
        "spend": f"{who} cost {written}",
        "requests": f"{who} had {written} {'call' if here == 1 else 'calls'}",
        "tokens": f"{who} used {written} tokens",
        "error_rate": f"{when}: {written} of the calls failed",
        "latency_p95": f"{when}: 95 of 100 answers took up to {written}",
    }
    other = _against(found.scene)
    sample, text = found.sample(found.before), statements[found.measure]
    if here is None or there is None or sample == 0:
        return f"{text}, and there is nothing to compare with in {other}"
    if here == there:
        return f"{text}, exactly as much as {other}"
    if sample < 30 or (there == 0 and unit is not Unit.RATIO):
        return f"{text}, against {units.number(there, unit)} {other}"
    size = units.delta(here, there, unit, events=sample).lstrip("+−")
    return f"{text}, {size} {'more' if here > there else 'less'} than {other}"


def panels(measure: str) -> Mapping[str, Callable[[Scene], File]]:
    return {"course": course(measure), "bridge": bridge, "movers": movers(measure)}


# --- in words


def said_of_course(measure: str) -> Callable[[Scene], str]:
    def said(scene: Scene) -> str:
        found = course(measure)(scene)
        if scene.asked.shift is None:
            return "Choose above what to compare with."
        is_by_hour = scene.asked.window.end - scene.asked.window.start >= 6 * HOUR
        step = HOUR if is_by_hour else scene.asked.step
        over = [
            (row[1], row[2])
            for row in found.rows
            if row[1] is not None and row[2] is not None and isinstance(row[0], datetime) and row[0] + step <= NOW
        ]
        higher = sum(1 for here, there in over if Decimal(str(here)) > Decimal(str(there)))
        text = f"Solid is this range, dashed {_against(scene)}"
        return f"{text}; it was higher in {higher} of {len(over)} {'hours' if is_by_hour else 'points'}."

    return said


def said_of_bridge(scene: Scene) -> str:
    if scene.before is None:
        return "Choose above what to compare with."
    (_, before), *effects, (_, now) = [(str(row[0]), int(str(row[1]))) for row in bridge(scene).rows]
    if before == 0 == now:
        return "Nothing was spent on either side."
    ordered = sorted(effects, key=lambda one: -abs(one[1]))
    parts = ", ".join(f"{name} {_signed(amount, Unit.NANOUSD)}" for name, amount in ordered if amount)
    return f"{_signed(now - before, Unit.NANOUSD)}: {parts}."


def said_of_movers(measure: str) -> Callable[[Scene], str]:
    def said(scene: Scene) -> str:
        if scene.before is None:
            return "Choose above what to compare with."
        found, of = Comparison(scene, measure), MEASURES[measure]
        # Calls without a key or a release are most often nearly all.
        shown = [one for one, _, _ in found.moved if one.difference]
        if not any(one.name != NONE or one.dimension not in ("key", "release") for one in shown):
            return "No part differs between the two sides."
        label, best = of.parts.lower(), [one for one, _ in found.leading()][:3]
        if not best:
            return f"All parts moved alike: no one of them explains the difference in {label}."
        told = [
            f"{DIMENSIONS[one.dimension]} {spoken(one.name)} ({_signed(one.difference, of.parts_unit)})" for one in best
        ]
        alarms = sum(1 for _, _, word in found.moved if word in ("unusual", "very unusual"))
        moved = (
            f"{alarms} of {len(found.moved)} parts moved more than usual" if alarms else "No part moved more than usual"
        )
        return f"What stands out in {label}: {', then '.join(told)}. {moved}."

    return said


def sentences(measure: str) -> Mapping[str, Callable[[Scene], str]]:
    return {"course": said_of_course(measure), "bridge": said_of_bridge, "movers": said_of_movers(measure)}
