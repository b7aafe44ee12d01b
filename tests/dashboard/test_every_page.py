"""What holds for every page of measured numbers, whatever is on it."""

import csv
import io
import re

import brotli  # type: ignore[import-untyped]
import pytest
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dashboard.page import Page
from dashboard.pages import PAGES
from projects.models import Project

pytestmark = pytest.mark.django_db

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.key)


def address(page: Page, query: str = "") -> str:
    return ("/" if page.key == "overview" else f"/{page.key}/") + query


def text(client: Client, where: str) -> str:
    answer = client.get(where)
    assert answer.status_code == 200
    return answer.content.decode()


@each_page
def test_it_answers_its_question_and_each_panel_has_a_sentence_numbers_and_files(
    viewer: Client, busy: Project, page: Page
) -> None:
    shown = text(viewer, address(page, "?from=now-24h"))
    assert "could not be" not in shown
    assert re.search(r'<h2 role="status">[^<]+[.!]</h2>', shown) is not None
    for panel in page.panels:
        section = shown[shown.index(f'id="p-{panel.key}"') :]
        section = section[: section.index("</section>")]
        assert f">{panel.title}</h2>" in section
        assert re.search(r'<p class="takeaway">[^<]+[.!]</p>', section), panel.key
        table = viewer.get(f"/{page.key}/{panel.key}.csv?from=now-24h")
        assert table.status_code == 200
        heading, *rows = csv.reader(io.StringIO(table.content.decode()))
        document = viewer.get(f"/{page.key}/{panel.key}.json?from=now-24h").json()
        assert len(document["columns"]) == len(heading)
        assert len(document["rows"]) == len(rows)


@each_page
def test_it_has_something_to_say_when_there_is_little_to_show(viewer: Client, calls: Project, page: Page) -> None:
    for query in ("", "?feature=nobody", "?from=now-30d&cmp=off", "?env=production&model=claude-sonnet-5"):
        shown = text(viewer, address(page, query))
        assert "could not be" not in shown, query
        assert shown.count('class="takeaway"') == len(page.panels), query


@each_page
def test_it_is_light(viewer: Client, busy: Project, page: Page) -> None:
    assert len(brotli.compress(viewer.get(address(page)).content, quality=9)) <= 12 * 1024


ODD = (
    "from=now&to=now-1h",
    "from=2016-01-01&to=2026-01-01",
    "from=9999-12-31T23:59:59Z",
    "from=now-99999d&to=now",
    "from=' OR 1=1 --",
    "project=nobody",
    "env=nowhere&cmp=never&g=colour&metric=joy&x=-1&sort=up",
    "feature=%00",
    "feature=" + "x" * 201,
    "user=%F0%9F%92%A9&model=%3Cscript%3E&err=joy",
    "&".join(f"feature={n}" for n in range(500)),
)


@each_page
def test_an_odd_address_is_answered_with_a_notice(viewer: Client, calls: Project, page: Page) -> None:
    for query in ODD:
        shown = text(viewer, address(page, f"?{query}"))
        assert "could not be" not in shown, query
        assert '<p class="notice" role="status">' in shown or "%F0" in query, query


@each_page
def test_ten_thousand_filters_are_refused(viewer: Client, calls: Project, page: Page) -> None:
    assert viewer.get(address(page, "?" + "&".join(f"feature={n}" for n in range(10_000)))).status_code == 400


NAMES = st.sampled_from(
    ["project", "env", "from", "to", "cmp", "feature", "model", "user", "err", "g", "metric", "x", "status"]
)


@each_page
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pairs=st.lists(st.tuples(NAMES, st.text(max_size=30)), max_size=6))
def test_no_address_breaks_it(viewer: Client, calls: Project, page: Page, pairs: list[tuple[str, str]]) -> None:
    answer = viewer.get(address(page), dict(pairs))
    assert answer.status_code == 200
    # A panel may say that these filters would read too many calls; it may not fail.
    assert re.search(r"Reference [0-9a-f]{8}", answer.content.decode()) is None
