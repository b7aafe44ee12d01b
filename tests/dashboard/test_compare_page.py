"""Compare: every figure against plain counting over the calls sent in, the words, and what it does without weeks."""

import csv
import io
import math
import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

import brotli  # type: ignore[import-untyped]
import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from dashboard.pages.compare import COMPARE
from metrics.movers import tail
from metrics.windows import floor
from projects.models import Project
from tests import factories
from tests.dashboard.conftest import count

pytestmark = pytest.mark.django_db

HOUR, WEEK = timedelta(hours=1), timedelta(days=7)
SPACE = "\u202f"
# What one call of factories.event costs, and its tokens.
COST, TOKENS = 600_000, 120


@pytest.fixture
def top(now: datetime) -> datetime:
    """The end of the range: a whole hour that is over."""
    return floor(now, HOUR) - 2 * HOUR


def text(client: Client, address: str) -> str:
    response = client.get(address)
    assert response.status_code == 200
    return response.content.decode()


def address(top: datetime, more: str = "", panel: str = "") -> str:
    """The six hours before `top`, of the page or of one panel's file."""
    return f"/compare/{panel}?from={top - 6 * HOUR:%Y-%m-%dT%H:%M:%SZ}&to={top:%Y-%m-%dT%H:%M:%SZ}{more}"


def rows(client: Client, where: str) -> list[dict[str, str]]:
    response = client.get(where)
    assert response["Content-Type"] == "text/csv; charset=utf-8"
    return list(csv.DictReader(io.StringIO(response.content.decode())))


def answer(page: str) -> str:
    (sentence,) = re.findall(r'<h2 role="status">(.*?)</h2>', page)
    return str(sentence)


def takeaways(page: str) -> list[str]:
    return re.findall(r'<p class="takeaway">(.*?)</p>', page)


def tile(page: str, label: str) -> list[str]:
    """Value, change with what it is held against, and the verdict."""
    (found,) = [part for part in page.split('<div class="tile">')[1:] if f"<h3>{label}</h3>" in part]
    found = re.sub(r"<svg.*?</svg>", "", found.split("</div>")[0])
    texts = re.findall(r'<p class="(?:value|change[^"]*|note)"[^>]*>(.*?)</p>', found)
    return [" ".join(re.sub(r"<[^>]+>", "", each).split()) for each in texts]


def spread(start: datetime, calls: int, **fields: Any) -> Iterable[dict[str, Any]]:
    """That many calls evenly over six hours, the first at the start."""
    return [factories.event(start + timedelta(seconds=n * 6 * 3600 / calls), **fields) for n in range(calls)]


@pytest.fixture
def weeks(project: Project, now: datetime, top: datetime) -> Project:
    """Four weeks with 40 calls of inbox and 20 of docs in these hours; now docs has 60."""
    start = top - 6 * HOUR
    events = [*spread(start, 40), *spread(start, 60, feature="docs")]
    for week in range(1, 5):
        events += [*spread(start - week * WEEK, 40), *spread(start - week * WEEK, 20, feature="docs")]
    for first in range(0, len(events), 100):
        factories.stored(project, *events[first : first + 100], now=now)
    count(now)
    return project


def test_the_answer_says_how_far_whether_it_is_usual_and_what_it_comes_from(
    viewer: Client, weeks: Project, top: datetime
) -> None:
    page = text(viewer, address(top))
    # 100 calls against 60, at 600,000 nano-dollars: $0.06 and $0.036. The median of the four weeks is $0.036; the cost
    # of 60 independent calls scatters by sqrt(2 / 60) = 18.3 % of it, so $0.024 more are 3.65 deviations. The 40 more
    # calls of docs cost $0.024.
    assert answer(page) == (
        f"This range cost $0.06, 67{SPACE}% more than the same time last week: very unusual, mostly docs (+$0.02)."
    )
    assert 24 / 36 / math.sqrt(2 / 60) == pytest.approx(3.65, abs=0.005)
    assert "3.7 usual deviations above the median of 4 weeks, over whole hours." in page
    assert "<title>Compare: Help desk · LLM Vitals</title>" in page


def test_the_tiles_have_both_sides_and_a_verdict_each(viewer: Client, weeks: Project, top: datetime) -> None:
    page = text(viewer, address(top))
    # Of 60 counted calls the root is 7.7, so 40 more are 5.2 deviations. Tokens scatter like cost.
    assert tile(page, "Cost") == [
        "$0.06",
        "▲ 67 % more vs last week",
        "very unusual: 3.7 usual deviations above the median of 4 weeks",
    ]
    assert tile(page, "Requests") == [
        "100",
        "▲ 67 % more vs last week",
        "very unusual: 5.2 usual deviations above the median of 4 weeks",
    ]
    assert 100 * TOKENS == 12_000
    assert tile(page, "Tokens")[:2] == ["12.0 k", "▲ 67 % more vs last week"]
    assert tile(page, "Error rate") == ["0 %", "same as last week", "not enough data"]
    assert tile(page, "p95 latency")[1:] == ["same as last week", "normal: like the median of 4 weeks"]


def test_the_bridge_adds_up_to_the_nano_dollar(viewer: Client, weeks: Project, top: datetime) -> None:
    found = rows(viewer, address(top, panel="bridge.csv"))
    # The same calls more often: all of it is volume.
    assert [(row["Step"], row["Cost (USD)"]) for row in found] == [
        ("last week", "0.036"),
        ("volume", "0.024"),
        ("model mix", "0"),
        ("tokens per request", "0"),
        ("cache", "0"),
        ("price", "0"),
        ("this range", "0.06"),
    ]
    page = text(viewer, address(top))
    assert takeaways(page)[1] == "+$0.02: volume +$0.02."
    # $0.036 and $0.06 from nothing: the bars are 60 and 100 wide, the step between them 40.
    bars = re.findall(r'<rect class="(whole|up|down)" x="([\d.]+)" width="([\d.]+)"', page)
    assert (bars[0], bars[1], bars[-1]) == (("whole", "0.0", "60.0"), ("up", "60.0", "40.0"), ("whole", "0.0", "100.0"))
    assert "The bars begin at" not in page


def test_small_steps_of_the_bridge_are_seen(viewer: Client, project: Project, now: datetime, top: datetime) -> None:
    start = top - 6 * HOUR
    factories.stored(project, *spread(start, 220), *spread(start - WEEK, 200), now=now)
    count(now)
    page = text(viewer, address(top))
    # $0.12 to $0.132: the step of $0.012 begins in the middle of bars that begin at $0.108.
    bars = re.findall(r'<rect class="(whole|up|down)" x="([\d.]+)" width="([\d.]+)"', page)
    assert (bars[0], bars[1], bars[-1]) == (("whole", "0.0", "50.0"), ("up", "50.0", "50.0"), ("whole", "0.0", "100.0"))
    assert "The bars begin at $0.11." in page


def test_the_movers_have_both_sides_their_share_and_a_verdict(viewer: Client, weeks: Project, top: datetime) -> None:
    found = rows(viewer, address(top, panel="movers.csv"))
    docs, inbox = found
    assert list(docs.values())[:6] == ["docs", "feature", "0.036", "0.012", "0.024", "1"]
    assert list(inbox.values())[:6] == ["inbox", "feature", "0.024", "0.024", "0", "0"]
    # 20 calls scatter by sqrt(2 / 20) of their cost; the median of four weeks by pi/8 of the variance more.
    z = 2 / math.sqrt(2 / 20) / math.sqrt(1 + math.pi / 8)
    assert float(docs["p"]) == pytest.approx(tail(z), rel=0.01)
    assert (docs["Verdict"], inbox["Verdict"]) == ("very unusual", "normal")
    page = text(viewer, address(top))
    assert takeaways(page)[2] == "What stands out in cost: feature docs (+$0.02). 1 of 2 parts moved more than usual."
    assert re.search(r'<th scope="row"><a href="\?project=helpdesk&amp;[^"]*feature=docs">docs</a></th>', page)


def test_a_range_that_goes_on_has_the_hours_of_the_comparison_that_are_still_to_come(
    viewer: Client, weeks: Project, top: datetime
) -> None:
    # Of the twelve hours the last three are still to come.
    where = f"/compare/course.csv?from={top - 6 * HOUR:%Y-%m-%dT%H:%M:%SZ}&to={top + 6 * HOUR:%Y-%m-%dT%H:%M:%SZ}"
    found = rows(viewer, f"{where}&metric=requests")
    assert len(found) == 12
    assert sum(int(row["this range"] or 0) for row in found) == 100
    assert sum(int(row["last week"]) for row in found) == 60
    assert [row["this range"] for row in found[9:]] == ["", "", ""]
    assert [row["last week"] for row in found[9:]] == ["0", "0", "0"]


def test_the_course_lays_the_hours_side_by_side(viewer: Client, weeks: Project, top: datetime) -> None:
    found = rows(viewer, address(top, "&metric=requests", "course.csv"))
    assert [row["this range"] for row in found] == ["17", "17", "16", "17", "17", "16"]
    # 40 calls every 9 minutes and 20 every 18: 7, 7, 6, 7, 7, 6 and 4, 3, 3, 4, 3, 3 in the hours.
    assert [row["last week"] for row in found] == ["11", "10", "9", "11", "10", "9"]
    assert [row["lowest of the weeks"] for row in found] == [row["highest of the weeks"] for row in found]
    page = text(viewer, address(top, "&metric=requests"))
    assert takeaways(page)[0] == ("Solid is this range, dashed the same time last week; it was higher in 6 of 6 hours.")
    assert '"fill":"tonexty"' in page


def test_other_metrics_are_chosen_in_the_address(viewer: Client, weeks: Project, top: datetime) -> None:
    page = text(viewer, address(top, "&metric=requests"))
    assert answer(page) == (
        f"This range had 100 calls, 67{SPACE}% more than the same time last week: very unusual, mostly docs (+40)."
    )
    assert '<option value="requests" selected>Requests</option>' in page
    page = text(viewer, address(top, "&metric=ttft_p50"))
    assert "That metric cannot be compared here; showing spend." in page


def test_errors_are_held_against_the_other_window(viewer: Client, weeks: Project, now: datetime, top: datetime) -> None:
    model = "claude-sonnet-4-5-20250929"
    failed = [factories.failed(at=top - timedelta(minutes=n + 1), feature="docs", model=model) for n in range(20)]
    factories.stored(weeks, *failed, now=now)
    count(now)
    page = text(viewer, address(top, "&metric=error_rate"))
    # 20 of 120 calls against none of 60: with 5 errors expected at least on each side.
    assert answer(page) == (
        f"In this range: 16.7{SPACE}% of the calls failed, 16.67{SPACE}pt more than the same time last week:"
        " unusual, mostly docs (+20 errors)."
    )
    found = {row["Part"]: row for row in rows(viewer, address(top, "&metric=error_rate", "movers.csv"))}
    assert (found["docs"]["Errors, this range"], found["docs"]["Errors, last week"]) == ("20", "0")
    assert found["inbox"]["Verdict"] == "not enough data"


def test_slow_calls_stand_for_the_p95(viewer: Client, weeks: Project, now: datetime, top: datetime) -> None:
    slow = [factories.event(top - timedelta(minutes=n + 1), feature="docs", duration_ms=9000) for n in range(30)]
    factories.stored(weeks, *slow, now=now)
    count(now)
    page = text(viewer, address(top, "&metric=latency_p95"))
    assert "mostly docs (+30 slow calls)" in answer(page)
    found = {row["Part"]: row for row in rows(viewer, address(top, "&metric=latency_p95", "movers.csv"))}
    # Slower than the p95 of last week, which was 1,200 ms like every call.
    assert (found["docs"]["Slow calls, this range"], found["inbox"]["Slow calls, this range"]) == ("30", "0")


def test_parts_that_are_new_and_gone_are_named(viewer: Client, project: Project, now: datetime, top: datetime) -> None:
    start = top - 6 * HOUR
    events = [*spread(start, 40), *spread(start, 30, feature="brand-new")]
    for week in (1, 2, 3):
        events += [*spread(start - week * WEEK, 40), *spread(start - week * WEEK, 30, feature="given-up")]
    factories.stored(project, *events, now=now)
    count(now)
    found = {row["Part"]: row["Verdict"] for row in rows(viewer, address(top, panel="movers.csv"))}
    assert found == {"brand-new": "new", "given-up": "gone", "inbox": "normal"}


def test_before_two_weeks_it_learns_and_says_so(viewer: Client, project: Project, now: datetime, top: datetime) -> None:
    start = top - 6 * HOUR
    events = [*spread(start, 40), *spread(start - WEEK, 40)]
    factories.stored(project, *events, now=now)
    count(now)
    page = text(viewer, address(top))
    assert answer(page) == (
        "This range cost $0.02, exactly as much as the same time last week: learning (7 of 14 days)."
    )
    # Everything is of one feature, one model, one version: there are no parts to compare.
    assert rows(viewer, address(top, panel="movers.csv")) == []
    assert takeaways(page)[2] == "No part differs between the two sides."


def test_a_week_without_calls_is_left_out_and_that_is_said(
    viewer: Client, project: Project, now: datetime, top: datetime
) -> None:
    start = top - 6 * HOUR
    events = [event for week in (0, 1, 3, 4) for event in spread(start - week * WEEK, 40)]
    factories.stored(project, *events, now=now)
    count(now)
    page = text(viewer, address(top))
    assert "Like the median of 3 weeks, over whole hours. 1 week without calls in these hours left out." in page


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ("&cmp=off", "There is nothing to compare with."),
        ("&cmp=prev", "This range cost $0.06, and there is nothing to compare with in the period before."),
    ],
)
def test_without_a_comparison_it_says_what_is_missing(
    viewer: Client, weeks: Project, top: datetime, more: str, words: str
) -> None:
    page = text(viewer, address(top, more))
    assert words in answer(page)
    assert "could not be drawn" not in page


def test_a_comparison_may_begin_at_any_time(viewer: Client, weeks: Project, top: datetime) -> None:
    other = top - 6 * HOUR - 2 * WEEK
    page = text(viewer, address(top, f"&cmp={other:%Y-%m-%dT%H:%M}"))
    assert f"67{SPACE}% more than the time from {other:%-d %b, %H:%M}" in answer(page)
    assert f"selected>vs {other:%-d %b, %H:%M}</option>" in page
    later = top + HOUR
    assert "A comparison must begin before the range does" in text(viewer, address(top, f"&cmp={later:%Y-%m-%dT%H:%M}"))


@pytest.mark.parametrize("more", ["?from=now-1h", "?from=now-30d", "?from=today", "?g=user", "?feature=docs&key=x"])
def test_every_range_and_choice_has_an_answer(viewer: Client, weeks: Project, more: str) -> None:
    page = text(viewer, f"/compare/{more}")
    assert answer(page).endswith(".")
    assert "Reference" not in page


def test_users_are_looked_at_when_asked_for(viewer: Client, weeks: Project, now: datetime, top: datetime) -> None:
    other = spread(top - 6 * HOUR, 30, user_id="anna")
    factories.stored(weeks, *other, now=now)
    count(now)
    assert {row["By"] for row in rows(viewer, address(top, panel="movers.csv"))} == {"feature"}
    found = rows(viewer, address(top, "&g=user&metric=requests", "movers.csv"))
    users = {row["Part"]: list(row.values())[2:5] for row in found if row["By"] == "user"}
    assert users == {"user-1": ["100", "60", "40"], "anna": ["30", "0", "30"]}
    assert "Without users" in text(viewer, address(top, "&g=user"))


def test_nothing_of_another_project_is_in_it(viewer: Client, weeks: Project, now: datetime, top: datetime) -> None:
    other = factories.project("shop", name="Shop")
    factories.stored(other, *spread(top - 6 * HOUR, 50, feature="checkout"), now=now)
    count(now)
    page = text(viewer, address(top, "&project=helpdesk"))
    assert "checkout" not in page
    assert tile(page, "Requests")[0] == "100"
    assert answer(text(viewer, address(top, "&project=shop"))).startswith("This range cost $0.03")


def test_names_from_outside_are_text_and_nothing_else(
    viewer: Client, project: Project, now: datetime, top: datetime
) -> None:
    evil = "</script><script>alert(1)</script>"
    events = [*spread(top - 6 * HOUR, 40, feature=evil), *spread(top - 6 * HOUR, 40, feature="=1+1")]
    events += [event for week in (1, 2, 3) for event in spread(top - 6 * HOUR - week * WEEK, 40)]
    factories.stored(project, *events, now=now)
    count(now)
    page = text(viewer, address(top))
    assert "<script>alert" not in page
    assert "alert(1)" in page
    assert "'=1+1" in {row["Part"] for row in rows(viewer, address(top, panel="movers.csv"))}


def test_every_panel_has_a_title_a_sentence_and_a_file(viewer: Client, weeks: Project, top: datetime) -> None:
    page = text(viewer, address(top))
    for panel in COMPARE.panels:
        section = page[page.index(f'id="p-{panel.key}"') :]
        section = section[: section.index("</section>")]
        assert f">{panel.title}</h2>" in section
        assert re.search(r'<p class="takeaway">\S.*\.</p>', section)
        assert "<table" in section
        assert f"/compare/{panel.key}.csv?project=helpdesk" in section
    assert len(brotli.compress(page.encode(), quality=9)) <= 12 * 1024


def test_the_month_says_where_it_is_going(viewer: Client, project: Project, now: datetime) -> None:
    start = floor(now, HOUR) - 80 * HOUR
    factories.stored(project, *(factories.event(start + n * HOUR) for n in range(80)), now=now)
    count(now)
    month = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    spent = sum(1 for n in range(80) if start + n * HOUR >= month) * COST
    found = tile(text(viewer, "/compare/"), "Month to date")
    assert found[0] == f"${spent / 10**9:.2f}"
    # One call an hour goes on as one call an hour: the open one and the whole ones after it.
    end = (month + timedelta(days=31)).replace(day=1)
    left = (end - floor(now, HOUR)) / HOUR - (now - floor(now, HOUR)) / HOUR
    assert found[1].split(" (")[0] == f"forecast ${(spent + left * COST) / 10**9:.2f}"


def test_without_history_there_is_no_forecast(viewer: Client, calls: Project) -> None:
    assert tile(text(viewer, "/compare/"), "Month to date") == ["–", "", "a forecast needs 3 days of history"]


def test_the_page_asks_few_questions(
    viewer: Client, weeks: Project, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    viewer.get("/compare/")
    # Session and user, and twelve.
    with django_assert_max_num_queries(2 + 12):
        viewer.get("/compare/")
    with django_assert_max_num_queries(2 + 12):
        viewer.get("/compare/?from=today&metric=latency_p95")
