"""Sparklines: a line as wide as a tile, drawn on the server. They need no script, print well and obey the policy."""

from collections.abc import Iterator, Sequence
from itertools import groupby

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from metrics.readings import Value

WIDTH, HEIGHT, MARGIN = 160, 34, 3


def sparkline(values: Sequence[Value], words: str) -> SafeString:
    """Draw the values from their least to their greatest; gaps stay gaps. `words` is what a screen reader says."""
    known = [value for value in values if value is not None]
    if len(known) < 2:
        return format_html('<svg class="spark" viewBox="0 0 {} {}" aria-hidden="true"></svg>', WIDTH, HEIGHT)
    low, span = min(known), max(known) - min(known)
    paths = [" ".join(points) for points in _runs(values, float(low), float(span))]
    return format_html(
        '<svg class="spark" viewBox="0 0 {} {}" preserveAspectRatio="none" role="img" aria-label="{}">{}</svg>',
        WIDTH,
        HEIGHT,
        words,
        format_html_join("", '<polyline points="{}"/>', ((path,) for path in paths)),
    )


def _runs(values: Sequence[Value], low: float, span: float) -> Iterator[list[str]]:
    """Yield the points of each stretch of known values; a lone point becomes a short dash."""
    step = WIDTH / max(len(values) - 1, 1)
    for known, run in groupby(enumerate(values), key=lambda entry: entry[1] is not None):
        if not known:
            continue
        points = [(place * step, _height(value, low, span)) for place, value in run if value is not None]
        if len(points) == 1:
            points = [(points[0][0] - 1, points[0][1]), (points[0][0] + 1, points[0][1])]
        yield [f"{x:.1f},{y:.1f}" for x, y in points]


def _height(value: Value, low: float, span: float) -> float:
    assert value is not None
    share = 0.5 if span == 0 else (float(value) - low) / span
    return HEIGHT - MARGIN - share * (HEIGHT - 2 * MARGIN)
