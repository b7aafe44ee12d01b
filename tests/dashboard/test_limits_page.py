"""The Limits page: every figure by hand over the calls that were sent, its states, its words, and its files."""

import csv
import io
import re
from datetime import datetime, timedelta
from html import unescape
from typing import Any
from uuid import UUID

import pytest
from django.test import Client

from budgets.models import Budget
from dashboard.pages.limits import LIMITS
from ingest.models import ClientInstance, ProviderLimit
from metrics import limits as measured
from projects.models import Project
from tests import factories
from tests.dashboard.conftest import count
from tests.dashboard.test_number_of_queries import MOST, asked

pytestmark = pytest.mark.django_db
MINUTE, SECOND = timedelta(minutes=1), timedelta(seconds=1)
THIN = "\u202f"


def text(client: Client, address: str = "/limits/?from=now-6h") -> str:
    response = client.get(address)
    assert response.status_code == 200
    return unescape(response.content.decode())


def rows(client: Client, panel: str, query: str = "?from=now-6h") -> list[dict[str, str]]:
    response = client.get(f"/limits/{panel}.csv{query}")
    assert response["Content-Type"] == "text/csv; charset=utf-8"
    return list(csv.DictReader(io.StringIO(response.content.decode())))


def told(requests: int, input_: int, output: int) -> dict[str, int]:
    """Headers of 4,000 requests, 2 M input and 400 k output tokens a minute, with so many left."""
    return {
        "requests_limit": 4_000,
        "requests_remaining": requests,
        "input_limit": 2_000_000,
        "input_remaining": input_,
        "output_limit": 400_000,
        "output_remaining": output,
    }


def sentence(page: str) -> str:
    [found] = re.findall(r'<h2 role="status">(.*?)</h2>', page)
    return str(found)


def tiles(page: str) -> dict[str, str]:
    return dict(re.findall(r'<h3>(.*?)</h3><p class="value">(.*?)</p>', page))


def cells(page: str, group: str) -> list[list[str]]:
    """The rows of a group of models: name, now, peak, of, left, full; without marks for the eye."""
    [body] = [part for part in re.findall(r"<tbody>(.*?)</tbody>", page, re.DOTALL) if f"<b>{group}</b>" in part]
    found = []
    for line in body.split('<th scope="row">')[1:]:
        name, values = line.split("</th>", 1)[0], re.findall(r"<td class=\"n.*?</td>", line, re.DOTALL)
        plain = [re.sub(r"<[^>]+>|▲|\(.*?\)", "", value).strip() for value in (name, *values)]
        found.append(plain)
    return found


@pytest.fixture
def pressed(project: Project, now: datetime) -> Project:
    """Sonnet at 81 % of its output a minute ago and at 92 % three quarters of an hour ago; Haiku hardly used."""
    sonnet = {"model_requested": "claude-sonnet-5", "model": "claude-sonnet-5"}
    haiku = {"model_requested": "claude-haiku-4-5", "model": "claude-haiku-4-5"}
    instant: dict[str, Any] = {"duration_ms": 0, "ttft_ms": None}
    factories.stored(
        project,
        factories.event(now - 45 * MINUTE, **sonnet, **instant, limits=told(3_000, 1_000_000, 32_000)),
        factories.event(now - 90 * SECOND, **sonnet, **instant, limits=told(2_320, 740_000, 76_000)),
        factories.event(now - 100 * SECOND, **haiku, **instant, limits=told(3_960, 1_990_000, 396_000)),
        factories.failed("rate_limit", 429, now - 4 * 60 * MINUTE, model_requested="claude-sonnet-5"),
        now=now,
    )
    count(now)
    return project


def test_the_nearest_limit_is_the_first_thing_said(viewer: Client, pressed: Project) -> None:
    page = text(viewer)
    said = f"Sonnet 5 output tokens are nearest: 81.0{THIN}% of 400{THIN}k a minute, with no rise that would fill it."
    assert sentence(page) == said
    assert 'class="answer is-warn"' in page
    assert "Claude refused nothing in the last 5 minutes, and 1 in this range." in page
    assert "/logs/?project=helpdesk&from=now-6h&err=rate_limit" in page
    shown = tiles(page)
    assert shown["Nearest limit"] == f"81.0{THIN}%"
    assert (shown["Full at this rate"], shown["Refused by Claude"], shown["Refused by our limiter"]) == ("–", "1", "0")


def test_every_limit_is_a_bar_with_its_numbers(viewer: Client, pressed: Project) -> None:
    page = text(viewer)
    # 1,680 of 4,000 requests, 1.26 M of 2 M input and 324 k of 400 k output tokens were used.
    assert cells(page, "Sonnet 5") == [
        ["requests", f"42.0{THIN}%", f"42.0{THIN}%", "4,000", "2,320", "–"],
        ["input tokens", f"63.0{THIN}%", f"63.0{THIN}%", f"2{THIN}M", f"740{THIN}k", "–"],
        ["output tokens", f"81.0{THIN}%", f"92.00{THIN}%", f"400{THIN}k", f"76{THIN}k", "–"],
    ]
    full = ["output tokens", f"1.00{THIN}%", f"1.00{THIN}%", f"400{THIN}k", f"396{THIN}k", "–"]
    assert cells(page, "Haiku 4")[2] == full
    assert re.search(r"told by the answers 1.min 3\d.s ago; refused: 1 by the rate limit<", page)
    assert "style=" not in page
    assert '<rect class="fill" width="81" height="8"/><path class="stroke-ink" d="M92 0V8"' in page


def test_the_files_have_every_digit(viewer: Client, pressed: Project) -> None:
    found = {(row["Models"], row["Limit of"]): row for row in rows(viewer, "headroom")}
    output = found["Sonnet 5", "output tokens"]
    assert [output[f"{name} (0..1)"] for name in ("Now", "Now by headers", "Now counted", "Peak of the hour")] == [
        "0.81", "0.81", "0.00005", "0.92",
    ]  # fmt: skip
    assert (output["Limit a minute"], output["Left when told"], output["Told by"]) == ("400000", "76000", "answers")
    assert (output["Refused by Claude"], output["Full about (UTC)"]) == ("1", "")
    assert next(iter(found)) == ("Sonnet 5", "output tokens")
    use = rows(viewer, "utilisation")
    assert len(use) == 72
    assert {row["Sonnet 5 output tokens (0..1)"] for row in use} == {"0", "0.92", "0.81"}
    refused = rows(viewer, "refused")
    assert [sum(int(row[kind]) for row in refused) for kind in ("rate limit", "ramp limit", "spend limit")] == [1, 0, 0]


def test_more_traffic_recolours_the_bars_and_is_said_to_be_assumed(viewer: Client, pressed: Project) -> None:
    page = text(viewer, "/limits/?from=now-6h&x=1.5")
    # 81 % times 1.5 is 121.5 %; 63 % becomes 94.5 %.
    assert sentence(page) == (
        f"At 1.5 times the traffic: Sonnet 5 output tokens are used up: 121.5{THIN}% of 400{THIN}k a minute."
    )
    assert [row[1] for row in cells(page, "Sonnet 5")] == [f"63.0{THIN}%", f"94.50{THIN}%", f"121.5{THIN}%"]
    assert "as if all traffic grew together" in page
    assert 'type="range" name="x" min="0.5" max="5" step="0.1" value="1.5"' in page
    assert "1.5 ×" in page
    assert 'name="from" value="now-6h"' in page
    assert "assumes that all traffic grows alike" in text(viewer)


def test_a_rise_says_when_the_limit_is_full(viewer: Client, project: Project, now: datetime) -> None:
    # From 1 % half an hour ago to 30 % a minute ago, a point a minute: 70 minutes to go.
    start = now.replace(second=0, microsecond=0) - 30 * MINUTE
    events = [
        factories.event(
            start + n * MINUTE, usage={"output_tokens": 4_000 * (n + 1)}, limits=told(4_000, 2_000_000, 400_000)
        )
        for n in range(30)
    ]
    factories.stored(project, *events, now=now)
    count(now)
    look = measured.headroom(project.pk, *_hours(now), now=now)
    [output] = [one for one in look.limits if one.limiter == "output"]
    assert output.minutes_left() == pytest.approx(69)
    page = text(viewer)
    assert re.search(
        r"are nearest: 30.0.% of 400.k a minute, at this rate full at (\d+ \w+ )?\d\d:\d\d UTC\.", sentence(page)
    )
    assert 'class="answer is-good"' in page
    # At twice the traffic it is 60 % now, and full 19 minutes from the last minute.
    assert 'class="answer is-warn"' in text(viewer, "/limits/?from=now-6h&x=2")


def _hours(now: datetime) -> tuple[Any, timedelta]:
    from metrics.windows import Window

    return Window(now - timedelta(hours=6), now), 5 * MINUTE


def test_what_is_refused_now_is_said_by_kind(viewer: Client, pressed: Project, now: datetime) -> None:
    factories.stored(
        pressed,
        factories.failed(
            "rate_limit", 429, now - 2 * MINUTE, attempts=[{"n": n, "category": "rate_limit"} for n in (1, 2)]
        ),
        factories.failed("spend_limit", 429, now - MINUTE, attempts=[]),
        factories.failed("local_rate_limited", None, now - MINUTE, outcome="rejected", attempts=[], queue_ms=1_500),
        now=now,
    )
    count(now)
    page = text(viewer)
    assert (
        "Claude refuses calls now: 3 in the last 5 minutes (2 by the rate limit, 1 by the spend limit)."
        " Our own limiter refused 1 in the last 5 minutes." in page
    )
    assert 'class="answer is-bad"' in page
    refused = "3 by the rate limit, 1 by the spend limit, 1 by the own limiter"
    assert f"Attempts that were refused, those tried again included: {refused}." in page
    assert "The provider's spend limit refused calls, last about" in page
    assert tiles(page)["Average wait"] == f"1.5{THIN}s"


def test_before_any_limit_is_told_it_says_what_to_do(viewer: Client, calls: Project) -> None:
    page = text(viewer)
    assert sentence(page) == "No limit seen yet: the first answered call tells its limits."
    assert "ANTHROPIC_ADMIN_KEY" in page
    assert 'class="answer is-unknown"' in page
    assert tiles(page)["Nearest limit"] == "–"
    assert page.count('class="takeaway"') == len(LIMITS.panels)


def test_two_sources_that_differ_are_told_and_the_newest_counts(
    viewer: Client, pressed: Project, now: datetime
) -> None:
    ProviderLimit.objects.create(group="sonnet-5", limiter="output", value=800_000, read_at=now - SECOND)
    page = text(viewer)
    said = (
        r"Sonnet 5 output tokens: the Rate Limits API said 800.k [\d.]+.s ago, the answers said 400.k 1.min \d+.s ago\."
    )
    assert re.search(said, page)
    assert "The newest counts." in page
    assert cells(page, "Sonnet 5")[2][3] == f"800{THIN}k"


def test_money_is_held_against_monthly_budgets(viewer: Client, pressed: Project) -> None:
    # Three calls of Sonnet 5 and Haiku: the price book knows; here only the share of a budget of all of it counts.
    page_of = rows(viewer, "spend")
    [everything] = page_of
    spent = everything["Spent (USD)"]
    assert float(spent) > 0
    nanousd = round(float(spent) * 10**9)
    Budget.objects.create(project=pressed, name="<b>Month</b>", amount_nanousd=nanousd * 4)
    Budget.objects.create(project=pressed, name="Inbox", feature="inbox", amount_nanousd=nanousd)
    Budget.objects.create(project=pressed, name="Day", amount_nanousd=1, period=Budget.Period.DAY)
    found = {row["Budget"]: row["Used (0..1)"] for row in rows(viewer, "spend")}
    assert found == {"All spend since the month began": "", "<b>Month</b>": "0.25", "Inbox": "1"}
    page = viewer.get("/limits/").content.decode()
    assert "&lt;b&gt;Month&lt;/b&gt;" in page
    assert "100\u202f%" in page
    assert "(used up)" in page


def test_what_processes_tell_of_their_limiters_is_shown(viewer: Client, pressed: Project, now: datetime) -> None:
    assert "No process has spoken in the last two minutes." in text(viewer)
    guard = {
        "breaker": "open",
        "limiter": {
            "in_flight": 3,
            "waiting": 2,
            "concurrency": 8,
            "buckets": {"output": {"limit": 400, "level": 100}},
        },
    }
    ClientInstance.objects.create(
        project=pressed, instance="web", boot_id=UUID(int=1), first_seen_at=now, last_seen_at=now,
        guards={"sonnet-5": guard, "<i>": {"breaker": "closed"}},
    )  # fmt: skip
    page = text(viewer)
    assert "1 process spoke in the last two minutes; 2 calls wait now." in page
    assert "stopped on 1" in page
    assert f"output 25.0{THIN}%" in page
    assert tiles(page)["Waiting now"] == "2"
    assert "&lt;i&gt;" in viewer.get("/limits/").content.decode()
    [first, second] = rows(viewer, "capacity")
    assert (first["Waiting"], first["Left: output (0..1)"]) == ("2", "0.25")
    assert (second["Models"], second["Waiting"]) == ("<i>", "")


def test_a_range_that_is_over_is_told_as_it_stood(viewer: Client, pressed: Project, now: datetime) -> None:
    start, end = now - 60 * MINUTE, now - 43 * MINUTE
    page = text(viewer, f"/limits/?from={start:%Y-%m-%dT%H:%M:%SZ}&to={end:%Y-%m-%dT%H:%M:%SZ}")
    assert sentence(page).startswith(f"Sonnet 5 output tokens are nearest: 92.00{THIN}% of 400{THIN}k a minute")
    assert "How processes stand is known only of now." in page


def test_filters_that_limits_do_not_know_are_told(viewer: Client, pressed: Project) -> None:
    page = text(viewer, "/limits/?from=now-6h&feature=inbox&model=claude-haiku-4-5")
    assert "Limits belong to groups of models, whoever calls; this page is without feature." in page
    assert "<b>Haiku 4</b>" in page
    assert "<b>Sonnet 5</b>" not in page


def test_projects_do_not_see_each_other(viewer: Client, pressed: Project, now: datetime) -> None:
    other = factories.project("other", name="Other")
    factories.stored(other, factories.event(now - MINUTE), now=now)
    count(now)
    assert sentence(text(viewer, "/limits/?project=other")).startswith("No limit seen yet")


def test_names_of_models_are_text_and_nothing_else(viewer: Client, project: Project, now: datetime) -> None:
    evil = "</script><script>alert(1)</script>"
    event = factories.event(now - MINUTE, model=evil, model_requested=evil, limits=told(1, 1, 1))
    factories.stored(project, event, now=now)
    count(now)
    assert "<script>alert" not in viewer.get("/limits/").content.decode()


def test_many_groups_are_in_the_file_and_not_all_on_the_page(viewer: Client, project: Project, now: datetime) -> None:
    events = [
        factories.event(
            now - MINUTE, model=f"made-{n:02}", model_requested=f"made-{n:02}", limits=told(4_000 - n, 9, 9)
        )
        for n in range(12)
    ]
    factories.stored(project, *events, now=now)
    count(now)
    page = text(viewer)
    assert page.count('scope="rowgroup"') == 8
    assert "4 more groups of models are in the file." in page
    assert len(rows(viewer, "headroom")) == 36


def test_the_page_asks_few_questions(viewer: Client, pressed: Project) -> None:
    assert asked(viewer, "/limits/") == (10, 2)
    Budget.objects.create(project=pressed, name="Month", amount_nanousd=10**9)
    found = [asked(viewer, "/limits/")[0], asked(viewer, "/limits/?feature=inbox&x=2")[0]]
    assert found == [11, 11]
    assert asked(viewer, "/limits/?env=production")[0] <= MOST
