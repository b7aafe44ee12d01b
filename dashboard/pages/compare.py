"""Compare: is today different, is it real, and what drives it?"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

from dashboard.compare.panels import NO_COMPARISON, BridgePanel, CoursePanel, MoversPanel, movers_of
from dashboard.compare.tiles import tiles
from dashboard.compare.words import driver, is_alarm, measure_of, part_name, reasons, sentence, signed, verdict_words
from dashboard.look import HOURS, Look
from dashboard.page import Answer, Page
from metrics.comparison import Comparison
from metrics.forecast import METHOD
from metrics.measures import Measure
from metrics.movers import leading
from metrics.steps import Steps

_METHOD: Final = (
    "Both sides are cut at the same time of day; days are UTC, which has no change of clocks. A number is unusual from"
    " 2, very unusual beyond 3.5 usual deviations away from the same hours of the weeks before; of the parts called"
    " unusual at most 1 in 10 is expected to be chance."
)


def answer(look: Look) -> Answer:
    """Say how far the range is from the comparison, whether that is usual, and what most of it comes from."""
    compared, measure = look.comparison, measure_of(look.query)
    if compared is None:
        return Answer(
            "There is nothing to compare with.",
            NO_COMPARISON,
            tone="unknown",
            action="Compare with last week",
            href=look.query.string(cmp=""),
        )
    said = sentence(look, compared, measure)
    calls, other_calls = (side.sums.get("requests", 0) for side in (compared.totals, compared.other_totals))
    if calls == 0 == other_calls:
        return Answer("No call was made on either side.", tone="unknown")
    if other_calls == 0:
        return Answer(f"{said}.", tone="unknown")
    verdict = compared.verdict(measure)
    tone: Literal["plain", "warn"] = "warn" if is_alarm(verdict) else "plain"
    mostly = _mostly(look, measure) if is_alarm(verdict) else ""
    return Answer(f"{said}: {verdict_words(verdict)}{mostly}.", _detail(compared, measure), tone=tone)


def _mostly(look: Look, measure: Measure) -> str:
    main = driver(leading(movers_of(look)))
    if main is None:
        return ""
    counted = "" if measure.of.unit is measure.parts_unit else f" {measure.parts_label.lower()}"
    return f", mostly {part_name(main)} ({signed(main.part.difference, measure.parts_unit)}{counted})"


def _detail(compared: Comparison, measure: Measure) -> str:
    why = reasons(compared.verdict(measure))
    said = f"{why[0].upper()}{why[1:]}, over whole hours." if why and measure.test == "weeks" else ""
    if compared.gaps:
        weeks = "1 week" if compared.gaps == 1 else f"{compared.gaps} weeks"
        said += f" {weeks} without calls in these hours left out."
    return said.strip()


def questions(look: Look) -> Mapping[str, Steps[Any]]:
    """Ask for the hours of the weeks before, which verdicts, course and forecast rest on."""
    if look.earlier is None:
        return {}
    asked = Comparison(look.elapsed, look.earlier, look.query.slice, now=look.now).ask_history()
    return {} if asked is None else {HOURS: asked}


def notes(look: Look) -> Sequence[str]:
    """Say how the verdicts and the forecast come about."""
    said = [_METHOD, f"The forecast of the month: {METHOD[0].lower()}{METHOD[1:]}"]
    chosen = measure_of(look.query)
    if look.query.metric not in ("", chosen.key):
        said.insert(0, f"That metric cannot be compared here; showing {chosen.of.label.lower()}.")
    return said


COMPARE: Final = Page(
    "compare",
    "Compare",
    "Is today different, is it real, and what drives it?",
    answer,
    (CoursePanel(), BridgePanel(), MoversPanel()),
    tiles,
    notes,
    questions=questions,
    form="dashboard/_compare_form.html",
)
