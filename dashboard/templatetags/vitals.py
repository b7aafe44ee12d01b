"""How templates write numbers, times and words; numbers by `metrics.units` only."""

from datetime import UTC, datetime, timedelta
from typing import Final

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

from dashboard.charts import Line
from dashboard.drawing import Drawn, spoken
from dashboard.query import DashboardQuery
from metrics import units
from metrics.measures import MEASURES

register = template.Library()
register.filter("money", units.money)
register.filter("duration", units.duration)
register.filter("count", units.count)
register.filter("tokens", units.tokens)
register.filter("ratio", units.ratio)
register.filter("spoken", spoken)


@register.filter
def clock(at: datetime | None) -> SafeString | str:
    """A time in UTC, to the second, machine-readable beside."""
    if at is None:
        return units.UNKNOWN
    utc = at.astimezone(UTC)
    return format_html('<time datetime="{}">{}</time>', utc.isoformat(), f"{utc:%-d %b %Y, %H:%M:%S}")


@register.filter
def short(at: datetime | None) -> SafeString | str:
    """A time in UTC without its year, to the minute."""
    if at is None:
        return units.UNKNOWN
    utc = at.astimezone(UTC)
    return format_html('<time datetime="{}">{}</time>', utc.isoformat(), f"{utc:%-d %b, %H:%M}")


@register.filter
def second(at: datetime) -> SafeString:
    """A time of day to the second."""
    utc = at.astimezone(UTC)
    return format_html('<time datetime="{}">{}</time>', utc.isoformat(), f"{utc:%H:%M:%S}")


@register.filter
def precise(at: datetime) -> SafeString:
    """A time of day to the millisecond, for lists of calls; the day stands before it."""
    utc = at.astimezone(UTC)
    text = f"{utc:%H:%M:%S}.{utc.microsecond // 1000:03d}"
    return format_html(
        '<time datetime="{}"><span class="day">{}</span> {}</time>', utc.isoformat(), f"{utc:%-d %b}", text
    )


@register.filter
def span(value: timedelta) -> str:
    return units.duration(int(value.total_seconds()) * 1000)


@register.filter
def figure(drawn: Drawn) -> SafeString:
    """The figure as JSON; `Drawn.json` has escaped what could end the element."""
    return mark_safe(drawn.json)  # noqa: S308


@register.simple_tag
def change(query: DashboardQuery, **changes: str) -> str:
    """The address of this page with some parameters changed: `{% change query feature="x" %}`."""
    return query.string(**{name.rstrip("_"): value for name, value in changes.items()})


@register.simple_tag
def comparable(query: DashboardQuery) -> list[tuple[str, str, bool]]:
    """What can be compared: key, label, and whether it is chosen."""
    chosen = query.metric if query.metric in MEASURES else next(iter(MEASURES))
    return [(key, measure.of.label, key == chosen) for key, measure in MEASURES.items()]


_SQUARE: Final = '<rect width="10" height="10" rx="2"/>'
_DASHES: Final = {"solid": "", "dash": "5 3", "dot": "1.5 2.5"}


@register.simple_tag
def legend_mark(line: Line) -> SafeString:
    """A square for a layer; for a line a short piece of it, with its colour and its dashes."""
    if line.area:
        return format_html(
            '<svg class="mark fill-{}" viewBox="0 0 10 10" aria-hidden="true">{}</svg>',
            line.colour,
            mark_safe(_SQUARE),  # noqa: S308
        )
    path = format_html('<path d="M0 5H18" stroke-dasharray="{}"/>', _DASHES[line.dash])
    return format_html('<svg class="mark stroke-{}" viewBox="0 0 18 10" aria-hidden="true">{}</svg>', line.colour, path)
