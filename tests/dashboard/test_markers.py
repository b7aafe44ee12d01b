"""Changes are drawn into every chart over time and listed below the panels, and names in them stay text."""

import json
import re
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from dashboard import charts
from dashboard.charts import Line, Mark
from ingest.models import Dimension
from metrics.readings import Series
from metrics.units import Unit
from projects.models import Annotation, Project
from tests.factories import NOW

HOUR = timedelta(hours=1)
HOSTILE = "<img src=x onerror=alert(1)>"


def figure(hours: int = 24) -> dict[str, Any]:
    starts = tuple(NOW + n * HOUR for n in range(hours))
    series = Series("requests", "", starts, HOUR, tuple(range(hours)), tuple(range(hours)), NOW)
    return charts.lines([Line("requests", series, "c1")], Unit.COUNT, open_from=starts[-1])


def labels(found: dict[str, Any]) -> list[tuple[int, str]]:
    return [(one["x"], one["text"]) for one in found["layout"]["annotations"]]


def ms(at: datetime) -> int:
    return int(at.timestamp() * 1000)


def test_a_mark_is_a_dashed_line_with_its_label() -> None:
    found = charts.marked(
        figure(), [Mark(NOW + HOUR, "1.4.3"), Mark(NOW - HOUR, "before"), Mark(NOW + 24 * HOUR, "after")]
    )
    assert labels(found) == [(ms(NOW + HOUR), "1.4.3")]
    shaded, line = found["layout"]["shapes"]
    assert shaded["type"] == "rect"
    assert (line["x0"], line["x1"], line["line"]["dash"]) == (ms(NOW + HOUR), ms(NOW + HOUR), "dash")


def test_a_name_stays_text_and_is_cut() -> None:
    found = charts.marked(figure(), [Mark(NOW, HOSTILE)])
    [(_, text)] = labels(found)
    assert text == "‹img src=x onerror=ale…"


def test_marks_too_close_to_be_read_are_one() -> None:
    minutes = {"a": 0, "b": 59, "c": 60, "d": 100, "e": 120}
    marks = [Mark(NOW + timedelta(minutes=at), name) for name, at in reversed(minutes.items())]
    assert labels(charts.marked(figure(), marks)) == [
        (ms(NOW), "2 changes"),
        (ms(NOW + HOUR), "2 changes"),
        (ms(NOW + 2 * HOUR), "e"),
    ]


def test_twelve_marks_are_drawn_one_by_one_and_more_by_twelfths() -> None:
    twelve = [Mark(NOW + n * HOUR, str(n)) for n in range(12)]
    assert [text for _, text in labels(charts.marked(figure(), twelve))] == [str(n) for n in range(12)]
    thirteen = [*twelve, Mark(NOW + 12 * HOUR, "12"), Mark(NOW + 23 * HOUR, "23")]
    assert labels(charts.marked(figure(), thirteen)) == [
        *((ms(NOW + n * HOUR), "2 changes") for n in range(0, 12, 2)),
        (ms(NOW + 12 * HOUR), "12"),
        (ms(NOW + 23 * HOUR), "23"),
    ]


def test_a_chart_without_time_stays_as_it_is() -> None:
    bars = {"data": [{"type": "bar", "x": ["a"], "y": [1]}], "layout": {"xaxis": {"range": [0, 1]}}}
    assert charts.marked(bars, [Mark(NOW, "x")]) is bars


def figures(page: str) -> list[dict[str, Any]]:
    return [json.loads(text) for text in re.findall(r'<script type="application/json" id="f-.*?">(.*?)</script>', page)]


@pytest.fixture
def told(calls: Project, now: datetime) -> Project:
    """One deploy in production, with a hostile name; the names of the calls are as if they had always been there."""
    Dimension.objects.update(first_seen_at=None)
    Annotation.objects.create(
        project=calls,
        at=now - timedelta(minutes=20),
        title=HOSTILE,
        detail="by <i>CI</i>",
        link="https://ci.example.com/812",
        environment="production",
    )
    return calls


@pytest.mark.django_db
def test_every_chart_over_time_is_marked_and_the_change_is_listed(viewer: Client, told: Project) -> None:
    page = viewer.get("/?from=now-1h").content.decode()
    drawn = figures(page)
    assert len(drawn) == 4
    for one in drawn:
        assert [each["text"] for each in one["layout"]["annotations"]] == ["‹img src=x onerror=ale…"]
    listed = page.partition('id="h-changes"')[2].partition("</section>")[0]
    assert "1 change in this range." in listed
    assert "&lt;img src=x onerror=alert(1)&gt;</a>" in listed
    assert 'href="https://ci.example.com/812"' in listed
    assert "by &lt;i&gt;CI&lt;/i&gt;" in listed
    assert "deploy (production)" in listed
    assert HOSTILE not in page


@pytest.mark.django_db
def test_what_lies_outside_the_range_or_in_another_project_is_not_there(
    viewer: Client, told: Project, now: datetime
) -> None:
    Annotation.objects.update(at=now - timedelta(hours=3))
    page = viewer.get("/?from=now-1h").content.decode()
    assert "h-changes" not in page
    assert all("annotations" not in one["layout"] for one in figures(page))


@pytest.mark.django_db
def test_a_new_release_leads_to_its_calls_and_a_link_that_is_none_to_nothing(
    viewer: Client, calls: Project, now: datetime
) -> None:
    Annotation.objects.create(project=calls, at=now - timedelta(minutes=5), title="x", link="javascript:alert(1)")
    page = viewer.get("/?from=now-1h").content.decode()
    listed = page.partition('id="h-changes"')[2].partition("</section>")[0]
    assert 'href="/logs/?project=helpdesk&amp;from=now-1h&amp;release=1.4.2">1.4.2</a>' in listed
    assert 'href="/logs/?project=helpdesk&amp;from=now-1h&amp;version=7">7</a>' in listed
    assert "javascript:" not in page


@pytest.mark.django_db
def test_changes_that_cannot_be_read_are_said_and_the_page_stays(
    viewer: Client, calls: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("metrics.markers._PLACES", [])
    monkeypatch.setattr("metrics.markers._TEXT", "SELECT NULL::text, (1 / 0)::text")
    page = viewer.get("/?from=now-1h").content.decode()
    assert "What changed in this time could not be read. Reference " in page
    assert len(figures(page)) == 4
