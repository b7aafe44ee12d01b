"""The controls of Usage & cost: what it is cut by, and what its chart shows."""

from dataclasses import dataclass

from django import template

from dashboard.query import GROUPS, DashboardQuery
from dashboard.usage import drill
from dashboard.usage.readings import CHARTED
from metrics.catalog import METRICS

register = template.Library()


@dataclass(frozen=True, slots=True)
class Choice:
    """One thing to choose: its key, its name, its address, and whether it is chosen."""

    key: str
    label: str
    href: str
    is_here: bool


@register.simple_tag
def cuts(query: DashboardQuery) -> list[Choice]:
    """Return what the page can be cut by."""
    here = drill.group_of(query)
    return [
        Choice(key, label, query.string(g="" if key == drill.DEFAULT else key), key == here)
        for key, label in GROUPS.items()
    ]


@register.simple_tag
def charted(query: DashboardQuery) -> list[Choice]:
    """Return what the chart can show."""
    return [
        Choice(key, METRICS[key].label, query.string(metric=key), key == (query.metric or CHARTED[0]))
        for key in CHARTED
    ]
