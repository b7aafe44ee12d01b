"""Charts are pure functions: series in, a figure as a plain dict out. No database, no request, no HTML.

A figure is what plotly.js draws, without its 6 kB default template: ours lies in static/charts.js. Colours are names
(`@c1`) that the page resolves. Figures are for looking at: this is the one place where an exact number becomes a float.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from metrics.readings import Series, Value
from metrics.units import NANO_PER_DOLLAR, Unit

Figure = dict[str, Any]
_SECOND: Final = 1000
MOST_MARKS: Final = 12
"""Dashed lines of one chart; neighbours are drawn as one with their number."""
_LONGEST_LABEL: Final = 22


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment worth a dashed line. Its label is what a stranger wrote."""

    at: datetime
    label: str


@dataclass(frozen=True, slots=True)
class Line:
    """One line or layer to draw, and how its entry in the legend looks."""

    name: str
    series: Series
    colour: str
    dash: str = "solid"
    area: bool = False
    """A layer of a stack: its mark in the legend is a square."""
    quiet: bool = False
    """Drawn thin and behind: what the others are compared with."""
    shift: timedelta = timedelta(0)
    """Added to its times, so that last week lies under this week."""
    per: int = 1
    """Buckets of the others in one of this: counts of a coarser grid are divided by it."""


def lines(
    drawn: Sequence[Line], unit: Unit, open_from: datetime | None = None, band: tuple[Line, Line] | None = None
) -> Figure:
    """Draw lines; a bucket without a value is a gap, because unknown is not zero. `band` is filled, low to high."""
    scale = _scale(unit, drawn)
    return {
        "data": [*_filled(band, scale), *(_trace(line, scale) | _dots(line) for line in drawn)],
        "layout": _layout(unit, scale, drawn) | _open_bucket(drawn, open_from),
    }


def layers(drawn: Sequence[Line], unit: Unit, behind: Line | None = None, open_from: datetime | None = None) -> Figure:
    """Stack layers as steps: each is as wide as its bucket, so thin buckets do not flicker as bars do."""
    scale = _scale(unit, drawn)
    traces = [_trace(line, scale) | _stacked(line) for line in drawn]
    for trace in traces:
        # A step reaches to the next point, so the last bucket needs one at its end.
        trace["y"] = [0 if value is None else value for value in trace["y"]]
        trace["y"].append(trace["y"][-1] if trace["y"] else 0)
    if behind is not None:
        traces.append(_trace(behind, scale))
        traces[-1]["line"]["shape"] = "hv"
        traces[-1]["y"].append(traces[-1]["y"][-1])
    return {"data": traces, "layout": _layout(unit, scale, drawn) | _open_bucket(drawn, open_from)}


def marked(figure: Figure, marks: Sequence[Mark]) -> Figure:
    """Return the figure with the marks that lie within it; one whose bottom is not time stays as it is."""
    layout = figure["layout"]
    span = layout.get("xaxis", {}).get("range")
    if not span or not all("x0" in trace and "dx" in trace for trace in figure["data"]):
        return figure
    within = [(at, mark.label) for mark in marks if span[0] <= (at := int(mark.at.timestamp() * 1000)) < span[1]]
    together = _together(within, *span)
    if not together:
        return figure
    lines = [
        {"type": "line", "xref": "x", "yref": "paper", "x0": at, "x1": at, "y0": 0, "y1": 1}
        | {"line": {"color": "@muted", "width": 1, "dash": "dash"}}
        for at, _ in together
    ]
    labels = [
        {"x": at, "y": 1, "xref": "x", "yref": "paper", "text": _plain(label), "textangle": -90, "showarrow": False}
        | {"xanchor": "right", "yanchor": "top", "font": {"size": 10}, "bgcolor": "@card/0.75", "borderpad": 1}
        for at, label in together
    ]
    both = {"shapes": [*layout.get("shapes", []), *lines], "annotations": [*layout.get("annotations", []), *labels]}
    return figure | {"layout": layout | both}


def _together(within: Sequence[tuple[int, str]], start: int, end: int) -> list[tuple[int, str]]:
    """Return at most MOST_MARKS marks in order of time, none too close to the one before to read its label."""
    apart = _clusters(sorted(within), lambda first, at: (at - first) * 2 * MOST_MARKS < end - start)
    if len(apart) > MOST_MARKS:
        twelfth = (end - start) / MOST_MARKS
        apart = _clusters(sorted(within), lambda first, at: (at - start) // twelfth == (first - start) // twelfth)
    return [(each[0][0], _label(each)) for each in apart]


def _clusters(marks: Sequence[tuple[int, str]], is_with: Callable[[int, int], bool]) -> list[list[tuple[int, str]]]:
    """Put each mark with those before it, as long as it belongs to the first of them."""
    found: list[list[tuple[int, str]]] = []
    for mark in marks:
        if found and is_with(found[-1][0][0], mark[0]):
            found[-1].append(mark)
        else:
            found.append([mark])
    return found


def _label(together: Sequence[tuple[int, str]]) -> str:
    if len(together) > 1:
        return f"{len(together)} changes"
    [(_, label)] = together
    return f"{label[:_LONGEST_LABEL]}…" if len(label) > _LONGEST_LABEL else label


def _plain(text: str) -> str:
    """Plotly reads tags in a text, and a link in the chart would be one that a stranger wrote."""
    return text.replace("<", "\N{SINGLE LEFT-POINTING ANGLE QUOTATION MARK}")


def _trace(line: Line, scale: float) -> Figure:
    series = line.series
    first = series.starts[0] + line.shift if series.starts else datetime.fromtimestamp(0).astimezone()
    width = 1.25 if line.quiet else 2
    return {
        "type": "scatter",
        "mode": "lines",
        "name": _plain(line.name),
        "x0": int(first.timestamp() * 1000),
        "dx": int(series.step.total_seconds() * 1000),
        "y": [_drawn(value, scale * line.per) for value in series.values],
        "line": {"color": f"@{line.colour}", "dash": line.dash, "width": width},
    }


def _filled(band: tuple[Line, Line] | None, scale: float) -> Sequence[Figure]:
    """Fill what lies between two lines that are themselves not drawn."""
    if band is None:
        return ()
    low, high = (_trace(line, scale) for line in band)
    for trace in (low, high):
        trace["line"]["width"] = 0
    return low, high | {"fill": "tonexty", "fillcolor": f"@{band[1].colour}/0.2"}


def _dots(line: Line) -> Figure:
    """A dot where a value has none beside it: a line through one point shows nothing."""
    around = [None, *line.series.values, None]
    alone = [
        value is not None and before is None and after is None
        for before, value, after in zip(around, line.series.values, around[2:], strict=False)
    ]
    if not any(alone):
        return {}
    sizes = [5 if is_alone else 0 for is_alone in alone]
    return {"mode": "lines+markers", "marker": {"color": f"@{line.colour}", "size": sizes}}


def _stacked(line: Line) -> Figure:
    return {
        "stackgroup": "all",
        "line": {"color": f"@{line.colour}", "width": 0, "shape": "hv"},
        "fillcolor": f"@{line.colour}/0.9",
    }


def _open_bucket(drawn: Sequence[Line], open_from: datetime | None) -> Figure:
    """Shade the bucket that is still filling, so that its low end is not taken for a fall."""
    if open_from is None or not drawn:
        return {}
    start, step = int(open_from.timestamp() * 1000), int(drawn[0].series.step.total_seconds() * 1000)
    shape = {"type": "rect", "xref": "x", "yref": "paper", "x0": start, "x1": start + step, "y0": 0, "y1": 1}
    return {"shapes": [shape | {"fillcolor": "@muted/0.14", "line": {"width": 0}, "layer": "below"}]}


def _drawn(value: Value, scale: float) -> float | int | None:
    if value is None:
        return None
    scaled = float(value) / scale
    return int(scaled) if scaled == int(scaled) else float(f"{scaled:.4g}")


def _scale(unit: Unit, drawn: Sequence[Line]) -> float:
    """Return what a value is divided by to be drawn in the unit of the axis."""
    if unit is Unit.NANOUSD:
        return NANO_PER_DOLLAR
    if unit is Unit.MILLISECONDS:
        return _SECOND if _largest(drawn) >= _SECOND else 1
    return 0.01 if unit is Unit.RATIO else 1


def _largest(drawn: Sequence[Line]) -> float:
    return max((float(value) for line in drawn for value in line.series.values if value is not None), default=0)


def _layout(unit: Unit, scale: float, drawn: Sequence[Line]) -> Figure:
    axis: Mapping[Unit, Figure] = {
        Unit.NANOUSD: {"tickprefix": "$", "hoverformat": ",.2f"},
        Unit.MILLISECONDS: {"ticksuffix": " s" if scale == _SECOND else " ms", "hoverformat": ",.3~r"},
        Unit.RATIO: {"ticksuffix": " %", "hoverformat": ".2f"},
        Unit.COUNT: {"hoverformat": ",.4~r"},
        Unit.TOKENS: {"hoverformat": ",.4~s"},
        Unit.NUMBER: {"hoverformat": ",.4~g"},
    }
    whole = unit in (Unit.COUNT, Unit.TOKENS)
    y = {**axis[unit]} | ({"tickformat": ",~s" if _largest(drawn) >= 10_000 else ",d"} if whole else {})
    if whole and _largest(drawn) <= 4:
        y["dtick"] = 1
    own = [line.series for line in drawn if line.series.starts and not line.quiet]
    starts = [series.starts[0] for series in own]
    ends = [series.starts[-1] + series.step for series in own]
    x = {"range": [int(min(starts).timestamp() * 1000), int(max(ends).timestamp() * 1000)]} if starts else {}
    return {"xaxis": x, "yaxis": y}
