"""The Overview: is it healthy right now?"""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal

from metrics import units
from metrics.units import Unit
from metrics.windows import Window
from tests.dashboard.oracle.asked import (
    NONE,
    OTHER,
    File,
    Scene,
    Tile,
    calls,
    change,
    cuts,
    largest,
    named,
    over_time,
    spoken,
    tile,
    total,
    value,
)
from tests.dashboard.oracle.budgets import month_tile
from tests.dashboard.oracle.world import DAY, WEEK, at
from tests.metrics import oracle
from tests.metrics.oracle import Call, ratio

SPACE = units.SPACE
RECENTLY = Window(at("2026-11-22T09:53"), at("2026-11-22T10:08"))
"""The last quarter of an hour, the running minute among it."""


def latency(scene: Scene) -> File:
    return scene.course({"p50": "latency_p50", "p95": "latency_p95", "p99": "latency_p99"})


def requests(scene: Scene) -> File:
    return scene.course({"requests": "requests"})


def said_of_latency(scene: Scene) -> str:
    half, most = value("latency_p50", scene.now), value("latency_p95", scene.now)
    if half is None:
        return "No call was answered in this range, so there is no latency to show."
    return f"Half of the answers took up to {units.duration(half)}, 95 of 100 up to {units.duration(most)}."


def said_of_requests(scene: Scene) -> str:
    now, before = len(scene.now), scene.before
    if now == 0:
        return "No call was made in this range."
    if before is None:
        return f"{calls(now)} in this range."
    if not before:
        return f"{calls(now)}; nothing to compare with."
    change = units.delta(now, len(before), Unit.COUNT, events=len(before))
    return f"{calls(now)}, {change} against {scene.asked.compared_with} ({units.count(len(before))})."


def said_of_stack(metric: str, dimension: str, unit: Unit, nothing: str, label: str = "") -> Callable[[Scene], str]:
    """The sum, and the part with the largest share; all others together are none."""

    def said(scene: Scene) -> str:
        parts = named(scene.now, dimension)
        if dimension == "error":
            parts.pop(NONE, None)
        sums = {name: total(metric, own) for name, own in parts.items() if total(metric, own)}
        if not sums:
            return nothing
        whole, first = sum(sums.values()), largest(parts, metric, 1)[0][0]
        text = f"{label}: {units.number(whole, unit)}" if label else f"{units.number(whole, unit)} in total"
        if len(sums) == 1:
            return f"{text}, all of it {spoken(first)}."
        return f"{text}; {spoken(first)} has the largest share, {units.ratio(ratio(sums[first], whole))}."

    return said


def said_of_features(scene: Scene) -> str:
    if not scene.now:
        return "No call was made in this range."
    parts, whole = named(scene.now, "feature"), total("spend", scene.now)
    first = largest(parts, "spend", 1)[0][0]
    own = total("spend", parts[first])
    return f"{spoken(first)} costs most: {units.money(own)}, {units.ratio(ratio(own, whole))} of all spend."


def stack(metric: str, dimension: str) -> Callable[[Scene], File]:
    """The five largest parts of a sum, and all others together; those of nothing are left out."""

    def drawn(scene: Scene) -> File:
        parts = named(scene.now, dimension)
        if dimension == "error":
            # A breakdown by error is about the calls that have one.
            parts.pop(NONE, None)
        first, rest = largest(parts, metric, 5)
        if rest:
            parts[OTHER] = [call for name in rest for call in parts[name]]
        shown = [name for name in (*first, *([OTHER] if rest else [])) if total(metric, parts[name])]
        columns = {name: list(cuts(scene.asked.window, scene.asked.step, parts[name])) for name in shown}
        starts = [cut.start for cut, _ in cuts(scene.asked.window, scene.asked.step, [])] if shown else []
        rows = [
            (start, *(over_time(metric, columns[name][place][1], columns[name][place][0]) for name in shown))
            for place, start in enumerate(starts)
        ]
        return File(["Time (UTC)", *map(spoken, shown)], rows)

    return drawn


def features(scene: Scene) -> File:
    parts = named(scene.now, "feature")
    before = None if scene.before is None else named(scene.before, "feature")
    labels = ["Feature", "Requests", "Cost", "p95 latency", "Error rate"]
    if before is not None:
        labels.insert(3, f"Cost, {scene.asked.compared_with}")
    rows = []
    for name in largest(parts, "spend", 8)[0]:
        own = parts[name]
        earlier = [] if before is None else [total("spend", before[name]) if name in before else None]
        row = (name, len(own), total("spend", own), *earlier, value("latency_p95", own), value("error_rate", own))
        rows.append(row)
    return File(labels, rows)


def tiles(scene: Scene) -> list[Tile]:
    unpriced = total("unpriced", scene.now)
    note = f"without {calls(unpriced).replace(' ', ' unpriced ')}" if unpriced else ""
    return [
        tile(scene, "Success rate", "success_rate", Unit.RATIO),
        tile(scene, "p95 latency", "latency_p95", Unit.MILLISECONDS),
        tile(scene, "Requests", "requests", Unit.COUNT),
        tile(scene, "Cost", "spend", Unit.NANOUSD, note),
        month_tile(scene),
        _tokens(scene),
    ]


def _tokens(scene: Scene) -> Tile:
    names = {"input": "input_tokens", "output": "output_tokens", "cache read": "cache_read_tokens"}
    names["cache write"] = "cache_write_tokens"
    now, before = total("tokens", scene.now), scene.before
    exact = ", ".join(f"{total(metric, scene.now):,} {name} tokens" for name, metric in names.items())
    changed = ("", "")
    if before is not None:
        changed = change(now, total("tokens", before), len(before), Unit.TOKENS, scene.asked.compared_with)
    given, taken = (units.tokens(total(names[name], scene.now)) for name in ("input", "output"))
    return Tile("Tokens", units.tokens(now), exact, *changed, f"{given} in, {taken} out")


def answer(scene: Scene) -> tuple[str, str]:
    """The verdict: of the last quarter of an hour when the range ends now, else of the range as it was asked for."""
    asked = scene.asked
    window, back = asked.exact or asked.window, asked.shift or WEEK
    if asked.is_live:
        window, back = RECENTLY, max(back, DAY)
    now, usual = scene.pick(window), scene.pick(window.shift(-back))
    rate, finished = oracle.measure("error_rate", now)
    if isinstance(rate, Decimal) and finished >= 30:
        # In this world a fifth of all calls fails, in every place.
        assert Decimal("0.05") <= rate < Decimal("0.5")
        return f"{units.ratio(rate)} of calls fail.", _why(now)
    if not now:
        return "There was no call in this range, so nothing can be said.", ""
    when = f"in the last 15{SPACE}min" if asked.is_live else "in this range"
    said = f"All is well as far as {calls(len(now))} {when} can tell."
    return said, _numbers(scene, now, value("latency_p95", usual))


def _numbers(scene: Scene, now: Sequence[Call], usual: object) -> str:
    assert usual is None or isinstance(usual, int)
    against = "" if usual is None else f" (usually {units.duration(usual)})"
    parts = [calls(len(now))]
    if (success := value("success_rate", now)) is not None:
        parts.append(f"{units.ratio(success)} answered")
    if (p95 := value("latency_p95", now)) is not None:
        parts.append(f"p95 {units.duration(p95)}{against}")
    return f"{f'Last 15{SPACE}min: ' if scene.asked.is_live else ''}{', '.join(parts)}."


def _why(found: Sequence[Call]) -> str:
    """The kind of error and the feature that most failures have."""
    errors = total("errors", found)
    kinds, places = named([call for call in found if call.error], "error"), named(found, "feature")
    kind, place = largest(kinds, "errors", 1)[0][0], largest(places, "errors", 1)[0][0]
    text = f"{units.count(errors)} of {calls(len(found))}, most often because of {spoken(kind)}"
    return f"{text}, mostly in {spoken(place)}."


PANELS: Mapping[str, Callable[[Scene], File]] = {
    "latency": latency,
    "requests": requests,
    "errors": stack("errors", "error"),
    "cost": stack("spend", "feature"),
    "features": features,
}
SENTENCES: Mapping[str, Callable[[Scene], str]] = {
    "latency": said_of_latency,
    "requests": said_of_requests,
    "errors": said_of_stack("errors", "error", Unit.COUNT, "No call failed in this range."),
    "cost": said_of_stack("spend", "feature", Unit.NANOUSD, "Nothing was spent in this range."),
    "features": said_of_features,
}
