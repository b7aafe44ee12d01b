"""Words of the comparison: what is compared, with what, by how much, and whether that is usual."""

from decimal import Decimal
from fractions import Fraction
from typing import Final

from dashboard.drawing import spoken
from dashboard.look import Look
from dashboard.query import DAY, LABELS, PRESETS, TODAY, DashboardQuery
from metrics import units
from metrics.baseline import Word
from metrics.comparison import Comparison, Verdict, sample_of
from metrics.measures import MEASURES, Measure
from metrics.movers import Kind, Leading, Mover
from metrics.readings import Value
from metrics.slices import Dimension
from metrics.units import SPACE, Unit

# The name of each dimension in an address.
PARAMETERS: Final[dict[str, str]] = {
    "feature": "feature",
    "prompt_type": "prompt_type",
    "prompt_version": "version",
    "model": "model",
    "key": "key",
    "release": "release",
    "error": "err",
    "user_id": "user",
}

# Names that say what they are.
_TELLING: Final = ("feature", "prompt_type", "model", "error")
# The share of a difference from which, and up to which, a part is what it mostly comes from.
_LEAST, _MOST = Fraction(3, 10), Fraction(5, 4)
# Usual deviations that are written as none, and beyond which their number says nothing more.
_HARDLY: Final = 0.05
_FAR: Final = 20


def measure_of(query: DashboardQuery) -> Measure:
    """Return what the page compares: the metric of the address when it can be compared, else the cost."""
    return MEASURES.get(query.metric) or next(iter(MEASURES.values()))


def dimension_word(dimension: Dimension | str) -> str:
    name = PARAMETERS[dimension]
    return LABELS.get(name, name)


def subject(query: DashboardQuery) -> str:
    """Return the range in words, as a sentence begins."""
    if query.is_live and query.frm == TODAY:
        return "Today"
    return f"The last {PRESETS[query.preset].removeprefix('1 ')}" if query.preset else "This range"


def against(query: DashboardQuery) -> str:
    """Return the comparison in words, as a sentence goes on."""
    shift = query.shift
    if query.against is not None:
        return f"the time from {query.compared_with}"
    if query.cmp == "prev" or shift not in (DAY, 7 * DAY):
        return "the period before"
    if query.is_live and query.frm == TODAY:
        day = "yesterday" if shift == DAY else f"last {query.window.start:%A}"
        return f"{day} at this time"
    return "the same time yesterday" if shift == DAY else "the same time last week"


def sentence(look: Look, compared: Comparison, measure: Measure) -> str:
    """Return what the range comes to and how far that is from the comparison, without a full stop."""
    now, before = measure.value(compared.totals), measure.value(compared.other_totals)
    return f"{_statement(subject(look.query), measure, now)}, {_change(look, compared, measure, now, before)}"


def _statement(who: str, measure: Measure, value: Value) -> str:
    written = units.number(value, measure.of.unit)
    when = who if who != "This range" else "In this range"
    if measure.key == "requests":
        return f"{who} had {written} {'call' if value == 1 else 'calls'}"
    if measure.key == "tokens":
        return f"{who} used {written} tokens"
    if measure.key == "error_rate":
        return f"{when}: {written} of the calls failed"
    if measure.key == "latency_p95":
        return f"{when}: 95 of 100 answers took up to {written}"
    return f"{who} {'costs' if who == 'Today' else 'cost'} {written}"


def _change(look: Look, compared: Comparison, measure: Measure, now: Value, before: Value) -> str:
    other, sample = against(look.query), sample_of(measure, compared.other_totals)
    if before is None or now is None or sample == 0:
        return f"and there is nothing to compare with in {other}"
    if now == before:
        return f"exactly as much as {other}"
    if sample < units.ENOUGH_EVENTS or (before == 0 and measure.of.unit is not Unit.RATIO):
        return f"against {units.number(before, measure.of.unit)} {other}"
    return f"{more_or_less(now, before, measure, sample)} than {other}"


def more_or_less(now: Value, before: Value, measure: Measure, sample: int) -> str:
    """Return the size of a change and its direction: 27 % more, 0.12 pt less."""
    assert now is not None
    assert before is not None
    size = units.delta(now, before, measure.of.unit, events=sample).lstrip("+" + units.MINUS)
    return f"{size} {'more' if now > before else 'less'}"


def verdict_words(verdict: Verdict) -> str:
    """Return the verdict as a phrase."""
    if verdict.word is None:
        return verdict.why
    return f"{verdict.word} ({verdict.why})" if verdict.why else str(verdict.word)


def reasons(verdict: Verdict) -> str:
    """Return what a verdict follows from, in a few words; empty without one."""
    if verdict.interval is not None:
        low, high = (_points(end) for end in verdict.interval)
        return f"difference between {low} and {high}"
    judged = verdict.judgement
    if judged is None or judged.usual is None or judged.z is None:
        return ""
    weeks = f"the median of {judged.weeks} weeks"
    if abs(judged.z) < _HARDLY:
        return f"like {weeks}"
    far = f"{abs(judged.z):.1f}" if abs(judged.z) < _FAR else f"over {_FAR}"
    return f"{far} usual deviations {'above' if judged.z > 0 else 'below'} {weeks}"


def _points(share: float) -> str:
    return units.delta(Decimal(str(round(share, 8))), Decimal(0), Unit.RATIO, events=0)


def part_name(mover: Mover) -> str:
    """Return the name of a part; what is not told by itself, like a version, with the word for what it is."""
    name = spoken(mover.part.name)
    return name if mover.part.dimension in _TELLING else f"{dimension_word(mover.part.dimension)} {name}"


def signed(value: int, unit: Unit) -> str:
    """Return a difference with its sign."""
    return f"{'+' if value > 0 else ''}{units.number(value, unit)}"


def share_words(mover: Mover) -> str:
    if mover.share is None:
        return units.UNKNOWN
    percent = round(mover.share * 100)
    return f"{units.MINUS if percent < 0 else ''}{abs(percent):,}{SPACE}%"


def mover_verdict(mover: Mover) -> str:
    return str(mover.part.kind) if mover.part.kind is not Kind.STAYED else str(mover.word)


def driver(best: list[Leading]) -> Mover | None:
    """Return the part that most of the difference comes from, when there is such a part.

    One that moved much further than the whole took the place of another, as a new version does of the one before.
    """
    shares = ((one.mover, one.mover.share) for one in best)
    return next((mover for mover, share in shares if share is not None and _LEAST <= share <= _MOST), None)


def is_alarm(verdict: Verdict) -> bool:
    return verdict.word is Word.UNUSUAL or verdict.word is Word.VERY_UNUSUAL
