"""Panels of the Quality page: prompt versions side by side, the length of answers, scores, and calls worth a look."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final, Literal
from uuid import UUID

from django.urls import reverse

from dashboard import charts, headline, theme
from dashboard.charts import Line
from dashboard.drawing import Drawn, spoken, timetable
from dashboard.grids import Cell, Grid, Head
from dashboard.look import Look, Need
from dashboard.quality import numbers
from dashboard.tables import Column, Table
from ingest.partitions import time_of
from metrics import units
from metrics.intervals import Interval, more_for
from metrics.pairs import Pair
from metrics.scores import MOST, Scores, Told
from metrics.slices import NONE
from metrics.units import Unit
from metrics.windows import floor

MARGIN: Final = Decimal("0.03")
"""How narrow an interval should be before a share is worth an opinion."""
MARGIN_WORDS: Final = f"±3{units.SPACE}pt"
SHOWN_VERSIONS: Final = 15
SHOWN_SCORES: Final = 8
SHOWN_WORDS: Final = 3
_CUT: Final = f" Only the newest {units.count(MOST)} were read."

_VERSION_HEADS: Final = (
    *(
        Head("Prompt", "name"),
        Head("Calls"),
        Head("Checked"),
        Head("Valid"),
        Head("95 % between"),
        Head("Verdict", "text"),
    ),
    *(Head("Repaired"), Head("Refused"), Head("Cut off"), Head("Tokens per answer")),
)


@dataclass(frozen=True)
class Versions:
    """Each version of each prompt, with how far its share of valid answers can be trusted."""

    key: str = "versions"
    title: str = "Prompt versions"
    width: str = "full"
    needs: Sequence[Need] = ()

    def draw(self, look: Look) -> Drawn:
        found = numbers.versions(look)
        columns = (
            *(Column("Prompt type"), Column("Prompt version"), Column("Calls", Unit.COUNT)),
            *(Column("Checked", Unit.COUNT), Column("Valid", Unit.RATIO)),
            *(Column("Valid, at least", Unit.RATIO), Column("Valid, at most", Unit.RATIO)),
            *(Column("Repaired", Unit.RATIO), Column("Refused", Unit.RATIO), Column("Cut off", Unit.RATIO)),
            Column("Tokens per answer", Unit.TOKENS),
        )
        table = Table(columns, tuple(_values(pair) for pair in found))
        if not found:
            return Drawn("No call was made in this range.", table)
        reference = references(found)
        rows = [self._row(look, pair, reference) for pair in found[:SHOWN_VERSIONS]]
        return Drawn(_versions_in_words(found, reference), table, grid=Grid(_VERSION_HEADS, rows))

    def _row(self, look: Look, pair: Pair, reference: dict[str, Pair]) -> Sequence[Cell]:
        read = pair.readings
        found = numbers.interval(read["valid_rate"])
        checked = numbers.counted(read["valid_rate"])[1]
        words, tone = verdict(pair, reference.get(pair.first))
        between = "" if found is None else f"{units.ratio(found.low)} and {units.ratio(found.high)}"
        shares = (read[key].value for key in ("repair_rate", "refusal_rate", "truncation_rate"))
        return (
            Cell(named(pair), look.query.string(prompt_type=pair.first, version=pair.second)),
            Cell(units.count(read["requests"].value)),
            Cell(units.count(checked)),
            Cell(units.ratio(read["valid_rate"].value)),
            Cell(between),
            Cell(words, tone=tone),
            *(Cell(units.ratio(share)) for share in shares),
            Cell(units.tokens(read["output_length"].value)),
        )


def references(found: Sequence[Pair]) -> dict[str, Pair]:
    """Return of each prompt type the version of which most answers were checked: the others are held against it."""
    most: dict[str, Pair] = {}
    for pair in found:
        checked = numbers.counted(pair.readings["valid_rate"])[1]
        if checked > 0 and (
            pair.first not in most or checked > numbers.counted(most[pair.first].readings["valid_rate"])[1]
        ):
            most[pair.first] = pair
    return most


def verdict(pair: Pair, reference: Pair | None) -> tuple[str, Literal["", "bad", "good", "muted"]]:
    """Return what can be said of a version, and how it is coloured."""
    reading = pair.readings["valid_rate"]
    own = numbers.interval(reading)
    if own is None:
        return "not checked", "muted"
    other = None if reference is None or reference is pair else numbers.interval(reference.readings["valid_rate"])
    if reference is not None and other is not None and own.is_apart_from(other):
        version = spoken(reference.second)
        return (f"worse than {version}", "bad") if own.high < other.low else (f"better than {version}", "good")
    more = more_for(MARGIN, *numbers.counted(reading))
    if more > 0:
        return f"needs about {units.count(_rounded_up(more))} more for {MARGIN_WORDS}", "muted"
    return f"±{units.delta(own.margin, 0, Unit.RATIO, events=0).removeprefix('+')}", ""


def named(pair: Pair) -> str:
    version = "" if pair.second == NONE else f" {pair.second}"
    return f"{spoken(pair.first)}{version}"


def _rounded_up(number: int) -> int:
    """Two digits are as exact as a forecast of what is needed can be."""
    step = int(10 ** max(len(str(number)) - 2, 0))
    return -(-number // step) * step


def _values(pair: Pair) -> tuple[object, ...]:
    read = pair.readings
    found = numbers.interval(read["valid_rate"])
    low, high = (None, None) if found is None else found
    return (
        *(pair.first, pair.second, read["requests"].value, numbers.counted(read["valid_rate"])[1]),
        *(read["valid_rate"].value, low, high),
        *(read[key].value for key in ("repair_rate", "refusal_rate", "truncation_rate", "output_length")),
    )


def _versions_in_words(found: Sequence[Pair], reference: dict[str, Pair]) -> str:
    told = [(pair, verdict(pair, reference.get(pair.first))) for pair in found]
    worse = [f"{named(pair)} is {words}" for pair, (words, tone) in told if tone == "bad"]
    shown = f" Shown are the {SHOWN_VERSIONS} with most calls; the file has all." if len(found) > SHOWN_VERSIONS else ""
    if worse:
        return f"{'; '.join(worse[:2])}: the intervals do not touch.{shown}"
    if all(words == "not checked" for _, (words, _) in told):
        return f"No answer was checked for its form, so versions differ in what was refused or cut off.{shown}"
    return f"No version is clearly worse than the one of its prompt that was checked most.{shown}"


@dataclass(frozen=True)
class AnswerLength:
    """How long answers are, beside how long they were."""

    key: str = "length"
    title: str = "Length of answers"
    width: str = "half"
    needs: Sequence[Need] = ()

    def draw(self, look: Look) -> Drawn:
        series = headline.timeline(look)["output_length"]
        table = timetable([series], ["tokens per answer"], Unit.TOKENS)
        value = headline.now(look)["output_length"].value
        if value is None:
            return Drawn("No call was answered in this range.", table)
        lines = [Line("tokens per answer", series, theme.SLOTS[0])]
        figure = charts.lines(lines, Unit.TOKENS, look.open_from)
        return Drawn(self._takeaway(look), table, figure, lines)

    def _takeaway(self, look: Look) -> str:
        now = headline.now(look)["output_length"]
        before = headline.before(look).get("output_length")
        text = f"An answer has {units.tokens(now.value)} tokens on average"
        if before is None or before.value is None or now.value is None:
            return f"{text}." if before is None else f"{text}; nothing to compare with."
        change = units.delta(now.value, before.value, Unit.TOKENS, events=min(before.sample, now.sample))
        return f"{text}, {change} against {look.query.compared_with} ({units.tokens(before.value)})."


@dataclass(frozen=True, slots=True)
class HowToScore:
    """Three lines of code that bring the first score."""

    template: str = "dashboard/_how_to_score.html"


@dataclass(frozen=True)
class ScoreOverTime:
    """The mean of the score with most numbers, at the times of the calls it was told of."""

    key: str = "score"
    title: str = "Score over time"
    width: str = "half"
    needs: Sequence[Need] = ()

    def draw(self, look: Look) -> Drawn:
        found = numbers.main_score(look)
        if found is None:
            return Drawn("No number was told of an answer in this range.", timetable([], ["mean"], Unit.NUMBER))
        name, series = found
        told = numbers.told(look).names[name]
        lines = [Line(name, series, theme.SLOTS[0])]
        open_from = floor(look.now, series.step) if look.window.contains(look.now) else None
        figure = charts.lines(lines, Unit.NUMBER, open_from)
        figure["layout"]["yaxis"]["rangemode"] = "normal"
        text = f"{name}: {mean(told)} on average of {units.count(told.numbers)}"
        text = f"{text} {'number' if told.numbers == 1 else 'numbers'}, at the times of the calls."
        return Drawn(text, timetable([series], [name], Unit.NUMBER), figure, lines)


_SCORE_HEADS: Final = (
    *(Head("Score", "name"), Head("Told"), Head("Said", "text"), Head("Told before"), Head("Said before", "text")),
)


@dataclass(frozen=True)
class ScoresByName:
    """What people and programs thought of the answers, beside what they thought before."""

    key: str = "scores"
    title: str = "Scores"
    width: str = "full"
    needs: Sequence[Need] = ()

    def draw(self, look: Look) -> Drawn:
        found = numbers.told(look)
        columns = (
            *(Column("Score"), Column("Word"), Column("Told", Unit.COUNT), Column("Mean")),
            *(Column("Told before", Unit.COUNT), Column("Mean before")),
        )
        table = Table(columns, tuple(row for name, told in found.names.items() for row in _lines(name, told, found)))
        if not found.names:
            return Drawn("Nobody has told what they thought of an answer in this range.", table, extra=HowToScore())
        grid = Grid(_SCORE_HEADS, [self._row(name, told, found) for name, told in found.names.items()])
        return Drawn(_scores_in_words(found), table, grid=grid)

    def _row(self, name: str, told: Told, found: Scores) -> Sequence[Cell]:
        before = found.earlier.get(name, Told())
        return (
            Cell(name),
            Cell(units.count(told.count)),
            Cell(said(told)),
            Cell(units.count(before.count)),
            Cell(said(before)),
        )


def mean(told: Told) -> str:
    """Return the mean of the numbers to four digits; a dash when there are none."""
    return units.scalar(told.mean)


def words(told: Told) -> str:
    """Return the words told most often, with the share of each among the words."""
    total = told.words.total()
    return ", ".join(f"{word} {units.ratio(Decimal(number) / total)}" for word, number in told.ranked[:SHOWN_WORDS])


def said(told: Told) -> str:
    """Return mean and words together; a dash when nothing was told."""
    return ", ".join(part for part in (mean(told) if told.numbers else "", words(told)) if part) or units.UNKNOWN


def _lines(name: str, told: Told, found: Scores) -> list[tuple[object, ...]]:
    before = found.earlier.get(name, Told())
    lines: list[tuple[object, ...]] = []
    if told.numbers:
        lines.append((name, "", told.numbers, told.mean, before.numbers, before.mean))
    lines += [(name, word, number, None, before.words[word], None) for word, number in told.ranked]
    return lines


def _scores_in_words(found: Scores) -> str:
    name, told = next(iter(found.names.items()))
    how = f"{mean(told)} on average" if told.numbers else f"{words(told)}"
    text = f"{name}: {how}, told {units.count(told.count)} {'time' if told.count == 1 else 'times'}."
    return f"{text}{_CUT}" if found.is_cut else text


_BY_VERSION_HEADS: Final = (Head("Score", "name"), Head("Prompt", "text"), Head("Told"), Head("Said", "text"))


@dataclass(frozen=True)
class ScoresByVersion:
    """The same, by prompt version."""

    key: str = "score-versions"
    title: str = "Scores by prompt version"
    width: str = "half"
    needs: Sequence[Need] = ()

    def draw(self, look: Look) -> Drawn:
        found = numbers.told(look)
        columns = (
            *(Column("Score"), Column("Prompt type"), Column("Prompt version"), Column("Told", Unit.COUNT)),
            *(Column("Mean"), Column("Most often")),
        )
        listed = sorted(found.versions.items(), key=lambda one: (-one[1].count, one[0]))
        table = Table(columns, tuple((*key, told.count, told.mean, words(told)) for key, told in listed))
        if not listed:
            return Drawn("There are no scores in this range.", table)
        rows = [
            (
                Cell(key.name),
                Cell(f"{key.prompt_type} {key.prompt_version}".strip() or "not named"),
                Cell(units.count(told.count)),
                Cell(said(told)),
            )
            for key, told in listed[:SHOWN_SCORES]
        ]
        prompts = len({key[1:] for key, _ in listed})
        text = f"{units.count(prompts)} prompt {'version' if prompts == 1 else 'versions'} with scores"
        shown = f"; shown are the {SHOWN_SCORES} told most, the file has all" if len(listed) > SHOWN_SCORES else ""
        cut = _CUT if numbers.told(look).are_versions_cut else ""
        return Drawn(f"{text}{shown}.{cut}", table, grid=Grid(_BY_VERSION_HEADS, rows))


@dataclass(frozen=True, slots=True)
class Sample:
    """One call worth a look."""

    call: UUID
    why: str
    value: float | None = None

    @property
    def at(self) -> datetime:
        return time_of(self.call)


_SAMPLE_HEADS: Final = (Head("Call (UTC)", "name"), Head("Why", "text"))


@dataclass(frozen=True)
class WorstCalls:
    """Calls to look at: answers that failed for what they were, and those with the lowest scores. No texts."""

    key: str = "samples"
    title: str = "Worth a look"
    width: str = "half"
    needs: Sequence[Need] = ()

    def draw(self, look: Look) -> Drawn:
        bad = numbers.bad(look)
        samples = [Sample(one.id, spoken(one.error.name.lower())) for one in bad]
        found = numbers.told(look)
        for name, told in found.names.items():
            # Of a score that is always the same none is low, and of repairs few are good.
            if name != "repairs" and told.mean is not None and told.lowest[0][0] < told.mean:
                samples += [Sample(call, f"{name}:", value) for value, call in told.lowest if value < told.mean]
        columns = Column("Call"), Column("Time (UTC)", is_time=True), Column("Why"), Column("Score")
        table = Table(columns, tuple((str(one.call), one.at, one.why, one.value) for one in samples))
        if not samples:
            return Drawn("No answer failed for what it was, and no score is low.", table, is_good_news=True)
        grid = Grid(_SAMPLE_HEADS, [self._row(look, one) for one in samples])
        failed = f"The newest {len(bad)} invalid, cut off or refused answers" if bad else ""
        low = "the lowest numbers under each score" if len(samples) > len(bad) else ""
        text = " and ".join(part for part in (failed, low) if part)
        return Drawn(f"{text[:1].upper()}{text[1:]}.", table, grid=grid)

    def _row(self, look: Look, one: Sample) -> Sequence[Cell]:
        number = "" if one.value is None else f" {one.value:,.6g}".replace("-", units.MINUS)
        return (
            Cell(f"{one.at.astimezone(UTC):%-d %b, %H:%M:%S}", reverse("request", args=[one.call]) + look.query.here),
            Cell(f"{one.why}{number}"),
        )


def width_in_words(found: Interval) -> str:
    """Return an interval as a page writes it."""
    return f"{units.ratio(found.low)} to {units.ratio(found.high)}"
