"""Drill-down: what a page may be cut by, and where a row of it leads. The last step is the log with the same filter."""

from collections.abc import Mapping
from typing import Final

from django.urls import reverse

from dashboard.query import OPTIONS, DashboardQuery
from metrics.plan import MOST_CALLS
from metrics.slices import Dimension

DEFAULT: Final = "feature"
# Group in the address → property of the calls. A group is also the name of the filter by it.
DIMENSIONS: Final[Mapping[str, Dimension]] = {
    "feature": "feature",
    "prompt_type": "prompt_type",
    "version": "prompt_version",
    "model": "model",
    "user": "user_id",
    "key": "key",
    "env": "environment",
    "release": "release",
}
# What one asks next; who and where lead to what for.
_NEXT: Final = {
    "feature": "prompt_type",
    "prompt_type": "version",
    "model": "feature",
    "user": "feature",
    "key": "feature",
    "env": "feature",
    "release": "feature",
}
_READ_BY_CALL: Final = ("key", "release")


def group_of(query: DashboardQuery) -> str:
    """Return what the page is cut by."""
    return query.group or DEFAULT


def following(query: DashboardQuery) -> str | None:
    """Return what a row is cut by next; None: nothing is left, and the log follows.

    What is cut by API key or release together with something else is read call by call, and not of a long range.
    """
    group = group_of(query)
    asked = {group, *(name for name in _READ_BY_CALL if query.parameters.get(name))}
    if asked & set(_READ_BY_CALL) and query.window.duration > MOST_CALLS:
        return None
    after = _NEXT.get(group)
    while after is not None and query.parameters.get(after):
        after = _NEXT.get(after)
    return after


def href(query: DashboardQuery, name: str) -> str:
    """Return the address of one row: the same page, only these calls, cut by the next thing, or the log of them."""
    group, after = group_of(query), following(query)
    if after is None:
        return logs(query, **{group: name})
    return query.string(**{group: name, "g": "" if after == DEFAULT else after})


def logs(query: DashboardQuery, **filters: str) -> str:
    """Return the address of the calls on the page, narrowed further."""
    return reverse("logs") + query.string(**dict.fromkeys(OPTIONS, ""), **filters)
