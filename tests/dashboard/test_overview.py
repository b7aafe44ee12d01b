"""The Overview: its numbers, its panels, what fails alone, and what it weighs."""

import csv
import io
import re
from datetime import datetime, timedelta

import brotli  # type: ignore[import-untyped]
import pytest
from django.conf import settings
from django.contrib.staticfiles import finders
from django.db import DatabaseError
from django.test import Client

from budgets.models import Budget
from dashboard import panels
from dashboard.pages.overview import OVERVIEW
from projects.models import Project
from tests import factories
from tests.dashboard.conftest import count

pytestmark = pytest.mark.django_db


def text(client: Client, address: str) -> str:
    response = client.get(address)
    assert response.status_code == 200
    return response.content.decode()


def rows(client: Client, address: str) -> list[dict[str, str]]:
    response = client.get(address)
    assert response["Content-Type"] == "text/csv; charset=utf-8"
    return list(csv.DictReader(io.StringIO(response.content.decode())))


def test_the_tiles_show_what_was_stored(viewer: Client, calls: Project) -> None:
    page = text(viewer, "/?from=now-1h")
    # 40 calls, 4 failed: 90 %. The 35th of 36 answered calls took 2,400 ms, whose bucket stands for 2,334 ms.
    # 36 answered calls at 600,000 nano-dollars and 100 + 20 tokens each.
    values = re.findall(r'<h3>(.*?)</h3><p class="value"[^>]*>(.*?)</p>', page)
    assert values == [
        ("Success rate", "90.00\u202f%"),
        ("p95 latency", "2.3\u202fs"),
        ("Requests", "40"),
        ("Cost", "$0.02"),
        ("Month to date", "$0.02"),
        ("Tokens", "4,320"),
    ]
    assert "3,600 in, 720 out" in page


def test_rounded_sums_have_all_their_digits_in_the_title(viewer: Client, calls: Project) -> None:
    exact = re.findall(r'<p class="value" title="(.*?)">', text(viewer, "/?from=now-1h"))
    assert exact == [
        "$0.0216",
        "3,600 input tokens, 720 output tokens, 0 cache read tokens, 0 cache write tokens",
    ]


def test_the_verdict_is_the_first_thing_and_the_title_of_the_page(viewer: Client, calls: Project) -> None:
    page = text(viewer, "/")
    # None of the calls is younger than 15 minutes.
    assert "<title>Unknown: Help desk · LLM Vitals</title>" in page
    assert "It is quiet" in page
    assert page.index('class="verdict') < page.index('class="tiles"') < page.index('class="panels"')


def test_a_monthly_budget_is_shown_with_its_share(viewer: Client, calls: Project) -> None:
    Budget.objects.create(project=calls, name="Month", amount_nanousd=43_200_000)
    page = text(viewer, "/?from=now-1h")
    assert "50.0\u202f%" in page
    assert 'aria-label="50 percent of the budget"' in page


def test_every_panel_has_a_title_a_sentence_a_table_and_a_file(viewer: Client, calls: Project) -> None:
    page = text(viewer, "/?from=now-1h")
    for panel in OVERVIEW.panels:
        section = page[page.index(f'id="p-{panel.key}"') :]
        section = section[: section.index("</section>")]
        assert f">{panel.title}</h2>" in section
        assert re.search(r'<p class="takeaway">[A-Za-z0-9$].*\.</p>', section)
        assert "<table" in section
        assert f"/overview/{panel.key}.csv?project=helpdesk&amp;from=now-1h" in section


def test_the_files_hold_exactly_what_was_stored(viewer: Client, calls: Project) -> None:
    requests = rows(viewer, "/overview/requests.csv?from=now-1h")
    assert len(requests) == 60
    assert sum(int(row["requests"]) for row in requests) == 40
    cost = rows(viewer, "/overview/cost.csv?from=now-1h")
    assert sum(round(float(row["inbox (USD)"]) * 10**9) for row in cost) == 30 * 600_000
    errors = rows(viewer, "/overview/errors.csv?from=now-1h")
    assert sum(int(row["overloaded"]) for row in errors) == 4
    features = rows(viewer, "/overview/features.csv?from=now-1h")
    assert [(row["Feature"], row["Requests"], row["Cost (USD)"]) for row in features] == [
        ("inbox", "34", "0.018"),
        ("search", "6", "0.0036"),
    ]


def test_a_file_for_programs_has_the_same_numbers_and_says_what_they_are(viewer: Client, calls: Project) -> None:
    response = viewer.get("/overview/features.json?from=now-1h&cmp=off")
    assert response["Content-Type"] == "application/json"
    document = response.json()
    assert document["title"] == "Top features"
    assert document["takeaway"] == "inbox costs most: $0.02, 83.3\u202f% of all spend."
    assert document["columns"] == [
        {"label": "Feature", "unit": None},
        {"label": "Requests", "unit": "count"},
        {"label": "Cost", "unit": "nanousd"},
        {"label": "p95 latency", "unit": "milliseconds"},
        {"label": "Error rate", "unit": "ratio"},
    ]
    # 34 calls of inbox, 4 of them failed; 30 and 6 answers of 600,000 nano-dollars.
    assert [row[:3] for row in document["rows"]] == [["inbox", 34, 18_000_000], ["search", 6, 3_600_000]]
    assert document["rows"][0][4].startswith("0.117647058823529")
    assert document["to"] > document["from"]


def test_an_unknown_panel_has_no_file(viewer: Client, calls: Project) -> None:
    assert viewer.get("/overview/nothing.csv").status_code == 404


def test_a_filter_narrows_every_number(viewer: Client, calls: Project) -> None:
    page = text(viewer, "/?from=now-1h&feature=search")
    assert '<h3>Requests</h3><p class="value">6</p>' in page
    assert 'title="Remove this filter"' in page


def test_a_filter_that_only_the_log_knows_is_not_silently_ignored(viewer: Client, calls: Project) -> None:
    assert "The filter status “failed” applies to the logs only" in text(viewer, "/?status=failed")


def test_filters_that_would_read_too_many_calls_are_told_and_fail_nothing(
    viewer: Client, project: Project, now: datetime
) -> None:
    attempts = [{"n": 1, "status": 200, "key_alias": "main"}]
    factories.stored(project, at=now - timedelta(minutes=5), now=now, attempts=attempts)
    count(now)
    page = text(viewer, "/?from=now-7d&key=main&feature=inbox")
    assert page.count("This question reads calls one by one, and can do so for at most 2 days") == 1 + 5
    page = text(viewer, "/?from=now-24h&key=main&feature=inbox")
    assert '<h3>Requests</h3><p class="value">1</p>' in page
    assert '<h3>Month to date</h3><p class="value">–</p>' in page
    file = viewer.get("/overview/requests.csv?from=now-7d&key=main&feature=inbox")
    assert (file.status_code, file.content[:13]) == (400, b"This question")


def test_a_panel_that_fails_says_so_in_its_box_and_leaves_the_others(
    viewer: Client, calls: Project, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise DatabaseError("canceling statement due to statement timeout")

    monkeypatch.setattr(panels.LatencyPanel, "draw", broken)
    page = text(viewer, "/?from=now-1h")
    reference = re.search(r"This panel could not be drawn.*?Reference ([0-9a-f]{8})\.", page)
    assert reference is not None
    assert reference.group(1) in caplog.text
    assert "timeout" not in page
    assert page.count('class="chart"') == 3


def test_only_the_moving_part_is_sent_to_a_refresh(viewer: Client, calls: Project) -> None:
    part = viewer.get("/", headers={"HX-Request": "true"})
    assert "<html" not in part.content.decode()
    assert "HX-Request" in part["Vary"]
    whole = viewer.get("/", headers={"HX-Request": "true", "HX-Boosted": "true"})
    assert "<html" in whole.content.decode()


def test_only_a_range_that_ends_at_now_refreshes(viewer: Client, calls: Project, now: datetime) -> None:
    assert 'data-every="30"' in text(viewer, "/")
    fixed = (now - timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert "data-every" not in text(viewer, f"/?from={fixed}&to={now:%Y-%m-%dT%H:%M:%SZ}")


def test_names_from_outside_are_text_and_nothing_else(viewer: Client, project: Project, now: datetime) -> None:
    evil = "</script><script>alert(1)</script>"
    factories.stored(project, factories.event(now - timedelta(minutes=2), feature=evil), now=now)
    count(now)
    for address in ("/?from=now-1h", "/logs/", "/?feature=%3C/script%3E%3Cb%3E"):
        assert "<script>alert" not in text(viewer, address)


def test_the_page_its_scripts_and_its_styles_are_light(viewer: Client, project: Project, now: datetime) -> None:
    """A day of traffic over many buckets, features and kinds of errors, as the network carries it (brotli)."""
    kinds = ("overloaded", "rate_limit", "timeout", "server_error", "invalid_output")
    events = []
    for n in range(900):
        at = now - timedelta(seconds=90 * n + 30)
        if n % 9 == 0:
            events.append(factories.failed(kinds[n % 5], None, at, feature=f"feature-{n % 7}"))
        else:
            duration = 300 + n * 7919 % 9000
            events.append(factories.event(at, feature=f"feature-{n % 7}", duration_ms=duration))
    for start in range(0, len(events), 300):
        factories.stored(project, *events[start : start + 300], now=now)
    count(now)
    page = viewer.get("/")
    assert len(brotli.compress(page.content, quality=9)) <= 12 * 1024
    sizes = {}
    for name in ("vitals.css", "charts.js", "vitals.js"):
        path = finders.find(name)
        assert isinstance(path, str)
        with open(path, "rb") as file:  # noqa: PTH123
            sizes[name] = len(brotli.compress(file.read(), quality=9))
    assert sizes["vitals.css"] <= 6 * 1024
    assert sizes["charts.js"] + sizes["vitals.js"] <= 8 * 1024


def test_everything_but_health_and_login_asks_who_is_there(client: Client, calls: Project) -> None:
    for address in ("/", "/logs/", "/alerts/", "/mails/", "/overview/latency.csv", "/admin/"):
        response = client.get(address)
        assert response.status_code == 302, address
        assert "/login/" in response["Location"]
    assert settings.LOGIN_URL == "login"
