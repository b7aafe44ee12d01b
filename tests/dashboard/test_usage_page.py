"""Usage & cost: every figure against sums done by hand, the ways down to the log, and what is not known."""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from html import unescape
from typing import Any

import brotli  # type: ignore[import-untyped]
import pytest
from django.contrib.auth.models import User
from django.http import QueryDict
from django.test import Client

from dashboard.address import parse
from dashboard.pages.usage import USAGE
from dashboard.query import GROUPS, DashboardQuery
from dashboard.search import search
from dashboard.usage import drill
from projects.models import Project
from tests import factories
from tests.dashboard import reading
from tests.dashboard.conftest import count
from tests.dashboard.reading import rows, section, takeaway
from tests.dashboard.test_number_of_queries import MOST
from tests.dashboard.test_number_of_queries import asked as questions_asked

pytestmark = pytest.mark.django_db

WEEK = timedelta(days=7)
SPACE = "\u202f"
# In nano-dollars a token: sonnet 3,000 in, 15,000 out, 300 read, 3,750 and 6,000 written; haiku a third of that.
SUMMARY: Mapping[str, Any] = {
    "feature": "doc-summary",
    "prompt_type": "summarise",
    "prompt_version": "42",
    "user_id": "anna",
    "usage": {
        "input_tokens": 1_000,
        "output_tokens": 200,
        "cache_read_input_tokens": 5_000,
        "cache_creation_input_tokens": 500,
        "cache_creation": {"ephemeral_5m_input_tokens": 400, "ephemeral_1h_input_tokens": 100},
    },
}  # 3,000,000 + 3,000,000 + 1,500,000 + 1,500,000 + 600,000 = 9,600,000
INBOX: Mapping[str, Any] = {
    "user_id": "ben",
    "model": "claude-haiku-4-5-20251001",
    "model_requested": "claude-haiku-4-5",
    "usage": {"input_tokens": 2_000, "output_tokens": 100},
}  # 2,000,000 + 500,000 = 2,500,000
BROKEN: Mapping[str, Any] = {
    "user_id": "ben",
    "outcome": "error",
    "error": {"category": "stream_interrupted"},
}  # 100 × 3,000 + 20 × 15,000 = 600,000
UNKNOWN: Mapping[str, Any] = {
    "feature": None,
    "user_id": None,
    "model": "nobody-knows-me",
    "model_requested": "nobody-knows-me",
    "usage": {"input_tokens": 10, "output_tokens": 5},
}
CUT_OFF: Mapping[str, Any] = {"stop_reason": "max_tokens"}
INVALID: Mapping[str, Any] = {"quality": {"valid": False}}


@pytest.fixture
def project() -> Project:
    return factories.project("helpdesk", name="Help desk", infra_nanousd_per_request=100_000)


def _events(at: datetime, *kinds: tuple[int, Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [factories.event(at + timedelta(milliseconds=n), **kind) for number, kind in kinds for n in range(number)]


@pytest.fixture
def bill(project: Project, now: datetime) -> Project:
    """67 calls half an hour ago, 42 calls a week before, and a second project that is nobody's business here.

    Spent: 40 × 9,600,000 + 20 × 2,500,000 + 4 × 600,000 = 436,400,000 nano-dollars; a week before
    32 × 9,600,000 + 10 × 2,500,000 = 332,200,000.
    """
    at = now - timedelta(minutes=30)
    inbox = [(17, INBOX), (2, {**INBOX, **CUT_OFF}), (1, {**INBOX, **INVALID}), (4, BROKEN)]
    factories.stored(project, *_events(at, (40, SUMMARY), *inbox, (3, UNKNOWN)), now=now)
    factories.stored(project, *_events(at - WEEK, (32, SUMMARY), (10, INBOX)), now=now)
    factories.stored(factories.project("shop"), *_events(at, (50, SUMMARY)), now=now)
    count(now)
    return project


def text(client: Client, address: str) -> str:
    return reading.text(client, address).replace(SPACE, " ")


def answer(page: str) -> str:
    found = re.search(r'<h2 role="status">(.*?)</h2>', page)
    assert found is not None
    return unescape(found.group(1))


def grid(page: str, key: str, part: str = "tbody") -> list[list[str]]:
    """The cells of a panel's table as one reads them."""
    body = re.search(rf"<{part}>(.*?)</{part}>", section(page, key), re.DOTALL)
    if body is None:
        return []
    rows = re.findall(r"<tr>(.*?)</tr>", body.group(1))
    return [
        [unescape(re.sub(r"<[^>]+>", "", cell)).strip() for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row)]
        for row in rows
    ]


def asked(project: Project, now: datetime, address: str) -> DashboardQuery:
    return parse(
        QueryDict(address),
        projects=[project],
        environments=lambda _: {"production"},
        failure_group=lambda *_: None,
        now=now,
    )


def test_the_answer_says_what_costs_most_its_share_whether_it_grows_and_what_a_request_costs(
    viewer: Client, bill: Project
) -> None:
    page = text(viewer, "/usage/?from=now-1h")
    # 384,000,000 of 436,400,000 after 307,200,000; 9,600,000 a request, and 436,400,000 for 64 with a known cost.
    assert answer(page) == "doc-summary costs most: $0.38 of $0.44, 88.0 %, up 25 % on last week."
    assert "One request costs $0.0096 there, $0.0068 on the whole." in page
    assert (
        '<a class="next" href="?project=helpdesk&amp;from=now-1h&amp;feature=doc-summary&amp;g=prompt_type">'
        "See its prompt types" in page
    )


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("feature=inbox", "inbox is all of the spend: $0.05, against $0.02 last week."),
        ("g=user", "User anna costs most: $0.38 of $0.44, 88.0 %, up 25 % on last week."),
        ("g=version&cmp=off", "Prompt version 42 costs most: $0.38 of $0.44, 88.0 %."),
        ("g=model&cmp=1d", "claude-sonnet-4-5-20250929 costs most: $0.39 of $0.44, 88.5 %."),
        ("g=key", "Calls without an API key are all of the spend: $0.44, up 31 % on last week."),
        ("model=nobody-knows-me", "What 3 calls cost is not known."),
        ("feature=nobody", "No call was made in this range."),
        ("g=user&feature=(none)", "No call in this range has a user."),
    ],
)
def test_the_answer_fits_what_is_asked(viewer: Client, bill: Project, address: str, said: str) -> None:
    assert answer(text(viewer, f"/usage/?from=now-1h&{address}")).startswith(said)


def test_the_tiles_are_what_was_spent_and_what_one_costs(viewer: Client, bill: Project) -> None:
    page = text(viewer, "/usage/?from=now-1h")
    tiles = re.findall(r'<h3>(.*?)</h3><p class="value"[^>]*>(.*?)</p>', page)
    month = tiles.pop(1)
    assert month[0] == "Month to date"
    # 63 answers; 67 requests at 100,000 nano-dollars beside; 200,000 tokens read of 300,430 that went in.
    assert tiles == [
        ("Spend", "$0.44"),
        ("Cost per request", "$0.0068"),
        ("Cost per answer", "$0.0069"),
        ("Fully loaded cost", "$0.44"),
        ("Cache hit rate", "66.6 %"),
    ]
    assert 'title="$0.4364"' in page
    assert 'title="$0.4431"' in page
    assert "without 3 calls of unknown cost" in page
    # 436.4 after 332.2.
    assert re.search(r"<h3>Spend</h3>.*?▲</span> 31 %</b>", page, re.DOTALL)


def test_the_table_has_every_part_with_all_its_figures_and_their_sum(viewer: Client, bill: Project) -> None:
    page = text(viewer, "/usage/?from=now-1h")
    assert takeaway(page, "parts") == "3 features; the first makes up 88.0 % of the spend."
    # Feature, bar, cost, change, requests, per request, per answer, fully loaded, input, output, cache write, read,
    # hits, p95 (1,200 ms stand in a bucket whose middle is 1,225 ms or near it), errors.
    summary, inbox, unnamed = grid(page, "parts")
    assert summary[:4] + summary[4:13] == [
        *("doc-summary", "", "$0.38", "+25 %", "40", "$0.0096", "$0.0096", "$0.39"),
        *("40.0 k", "8,000", "20.0 k", "200 k", "76.9 %"),
    ]
    # 52,400,000 after 25,000,000; 24 calls, 20 answered, 4 failed.
    assert inbox[:13] == [
        *("inbox", "", "$0.05", "+110 %", "24", "$0.0022", "$0.0026", "$0.05"),
        *("40.4 k", "2,080", "0", "0", "0 %"),
    ]
    assert inbox[14] == "16.7 %"
    assert unnamed[:8] == ["not named", "", "no price", "–", "3", "–", "$0.00", "$0.0003"]
    (total,) = grid(page, "parts", "tfoot")
    assert total[:13] == [
        *("Total", "", "$0.44 (without 3 of unknown cost)", "+31 %", "67", "$0.0068", "$0.0069", "$0.44"),
        *("80.4 k", "10.1 k", "20.0 k", "200 k", "66.6 %"),
    ]


def test_the_file_of_the_table_is_exact(viewer: Client, bill: Project) -> None:
    found = rows(viewer, "/usage/parts.csv?from=now-1h")
    assert [list(row.values())[:5] for row in found] == [
        ["doc-summary", "0.384", "0.3072", "0", "40"],
        ["inbox", "0.0524", "0.025", "0", "24"],
        ["(none)", "0", "0", "3", "3"],
    ]
    assert list(found[0])[:5] == ["Feature", "Spend (USD)", "Spend, last week (USD)", "Unpriced", "Requests"]
    assert found[0]["Cost per answer (USD)"] == "0.0096"
    assert found[1]["Fully loaded cost (USD)"] == "0.0548"


@pytest.mark.parametrize(
    ("sort", "order"),
    [
        ("", ["doc-summary", "inbox", "not named"]),
        ("error_rate", ["inbox", "doc-summary", "not named"]),
        ("input_tokens", ["inbox", "doc-summary", "not named"]),
        ("cost_per_request", ["doc-summary", "inbox", "not named"]),
        ("change", ["doc-summary", "inbox", "not named"]),
    ],
)
def test_the_table_is_ordered_by_the_address(viewer: Client, bill: Project, sort: str, order: list[str]) -> None:
    page = text(viewer, f"/usage/?from=now-1h&sort={sort}")
    assert [row[0] for row in grid(page, "parts")] == order
    assert section(page, "parts").count('aria-sort="descending"') == 1


def test_users_are_shown_as_they_were_sent_and_without_a_latency_nobody_keeps(viewer: Client, bill: Project) -> None:
    page = text(viewer, "/usage/?from=now-1h&g=user")
    assert [row[:5] for row in grid(page, "parts")] == [
        ["anna", "", "$0.38", "+25 %", "40"],
        ["ben", "", "$0.05", "+110 %", "24"],
    ]
    assert ">p95<" not in section(page, "parts")
    # Calls without a user are in the tiles all the same.
    assert '<h3>Spend</h3><p class="value" title="$0.4364">$0.44</p>' in page
    assert "without 3 calls of unknown cost" in page


def test_fifty_users_are_shown_and_a_hundred_and_all_others_are_in_the_file(
    viewer: Client, project: Project, now: datetime
) -> None:
    at = now - timedelta(minutes=30)
    calls = [
        factories.event(at, user_id=f"user-{n:03}", usage={"input_tokens": 1_000 + n, "output_tokens": 0})
        for n in range(103)
    ]
    factories.stored(project, *calls, now=now)
    count(now)
    page = text(viewer, "/usage/?from=now-1h&g=user")
    listed = grid(page, "parts")
    assert [row[0] for row in listed] == [f"user-{n:03}" for n in range(102, 52, -1)]
    said = takeaway(page, "parts")
    assert said.startswith("The 100 users that cost most, and all others together; the first 8")
    assert said.endswith(" of the spend. Shown are the first 50; the file has all of these.")
    assert len(brotli.compress(page.encode(), quality=9)) <= 12 * 1024
    *users, others = rows(viewer, "/usage/parts.csv?from=now-1h&g=user")
    assert [row["User"] for row in users] == [f"user-{n:03}" for n in range(102, 2, -1)]
    # 1,000 + 1,001 + 1,002 tokens at 3,000 nano-dollars.
    assert (others["User"], others["Requests"], others["Spend (USD)"]) == ("(other)", "3", "0.009009")


def test_the_chart_shows_what_is_chosen_and_adds_up(viewer: Client, bill: Project) -> None:
    page = text(viewer, "/usage/?from=now-1h&metric=output_tokens&g=model")
    assert takeaway(page, "trend") == (
        "Output tokens: 10.1 k; claude-sonnet-4-5-20250929 has the largest share, 80.0 %."
    )
    assert '<option value="output_tokens" selected>' in page
    lines = rows(viewer, "/usage/trend.csv?from=now-1h&metric=output_tokens&g=model")
    sums = {name: sum(int(row[name]) for row in lines) for name in lines[0] if not name.startswith("Time")}
    assert sums == {
        "claude-sonnet-4-5-20250929": 8_080,
        "claude-haiku-4-5-20251001": 2_000,
        "nobody-knows-me": 15,
    }
    # What the chart cannot show is as good as nothing chosen.
    assert takeaway(text(viewer, "/usage/?from=now-1h&metric=retries"), "trend").startswith("Spend: $0.44;")


def test_users_over_a_week_are_drawn_by_the_day(viewer: Client, bill: Project) -> None:
    lines = rows(viewer, "/usage/trend.csv?from=now-7d&g=user")
    assert len(lines) in (7, 8)
    assert sum(Decimal(row["anna (USD)"] or 0) for row in lines) == Decimal("0.384")


def test_tokens_are_told_apart_by_what_they_are_charged_as(viewer: Client, bill: Project) -> None:
    page = text(viewer, "/usage/?from=now-1h")
    # 80,430 in, 10,095 out, 200,000 read, 20,000 written: 310,525.
    assert takeaway(page, "tokens") == (
        "311 k tokens: 25.9 % input, 3.25 % output, 64.4 % read from the cache, 6.44 % written to the cache."
    )


def test_waste_is_told_by_why_and_each_leads_to_its_calls(viewer: Client, bill: Project, now: datetime) -> None:
    page = text(viewer, "/usage/?from=now-1h")
    assert takeaway(page, "waste") == (
        "$0.0099 brought no usable answer, 2.27 % of the spend; the largest part cut off at the token limit."
    )
    assert grid(page, "waste") == [
        ["Failed or given up", "$0.0024", "0.55 %"],
        ["Cut off at the token limit", "$0.005", "1.15 %"],
        ["In the wrong form", "$0.0025", "0.57 %"],
    ]
    addresses = re.findall(r'href="/logs/(\?[^"]*waste[^"]*)"', section(page, "waste"))
    found = [search(asked(bill, now, unescape(address)[1:])).calls for address in addresses]
    assert [sum(call.row.cost_nanousd or 0 for call in calls) for calls in found] == [2_400_000, 5_000_000, 2_500_000]
    assert [len(calls) for calls in found] == [4, 2, 1]
    assert "applies to the logs only" in text(viewer, "/usage/?waste=failed")


def test_the_cache_saves_what_reading_is_cheaper_less_what_writing_is_dearer(viewer: Client, bill: Project) -> None:
    page = text(viewer, "/usage/?from=now-1h")
    # Read 200,000 × 2,700; written 16,000 × 750 and 4,000 × 3,000.
    assert takeaway(page, "cache") == (
        "The prompt cache saved $0.52 at list prices: $0.54 less for reading, $0.02 more for writing."
    )
    assert grid(page, "cache") == [["claude-sonnet-4-5-20250929", "200 k", "20.0 k", "76.8 %", "$0.52"]]


def test_a_cache_that_costs_more_than_it_saves_is_said_to(viewer: Client, project: Project, now: datetime) -> None:
    usage = {"input_tokens": 1, "output_tokens": 1, "cache_creation_input_tokens": 100_000}
    factories.stored(project, at=now - timedelta(minutes=30), usage=usage, now=now)
    count(now)
    page = text(viewer, "/usage/?from=now-1h")
    # 100,000 × 750.
    assert takeaway(page, "cache") == (
        "The prompt cache cost $0.08 more than it saved: $0.00 less for reading, $0.08 more for writing."
    )
    assert grid(page, "cache")[0][-1] == "−$0.08 (it cost more than it saved)"


def test_calls_of_unknown_cost_are_listed_by_model_with_what_to_do(viewer: Client, bill: Project) -> None:
    page = text(viewer, "/usage/?from=now-1h")
    assert takeaway(page, "unpriced") == (
        "3 calls of 1 model without a price. They are in no sum of money here, and not counted as $0. "
        "Staff can add a price."
    )
    assert grid(page, "unpriced") == [["nobody-knows-me", "3", "45", "no price: add one"]]
    assert 'href="/admin/ingest/price/add/?model=nobody-knows-me"' in section(page, "unpriced")
    assert "The cost of every call in this range is known." in text(viewer, "/usage/?from=now-1h&feature=inbox")


def test_a_call_that_never_said_what_it_used_is_not_for_want_of_a_price(
    viewer: Client, project: Project, now: datetime
) -> None:
    at = now - timedelta(minutes=30)
    lost = factories.failed("timeout", None, at)
    silent = factories.event(at, outcome="cancelled", usage=None, stop_reason=None, error={"category": "cancelled"})
    factories.stored(project, lost, silent, factories.event(at), now=now)
    count(now)
    page = text(viewer, "/usage/?from=now-1h")
    assert takeaway(page, "unpriced") == (
        "Of 2 calls nobody knows the cost. They are in no sum of money here, and not counted as $0."
    )
    assert sorted(grid(page, "unpriced")) == [
        ["claude-sonnet-4-5", "1", "–", "broke off, or came before the price"],
        ["claude-sonnet-4-5-20250929", "1", "–", "broke off, or came before the price"],
    ]


def test_the_same_tokens_are_priced_at_every_model_of_the_price_book(viewer: Client, bill: Project) -> None:
    found = {row["Model"]: row for row in rows(viewer, "/usage/models.csv?from=now-1h")}
    # 80,400 in, 10,080 out, 200,000 read, 16,000 and 4,000 written; what has no price is left out.
    # haiku: 80,400,000 + 50,400,000 + 20,000,000 + 20,000,000 + 8,000,000 = 178,800,000 nano-dollars.
    haiku, sonnet = found["claude-haiku-4-5"], found["claude-sonnet-4-5"]
    assert (haiku["Cost (USD)"], haiku["Difference (USD)"]) == ("0.1788", "-0.2576")
    assert haiku["Used in this range"] == "yes"
    # sonnet: 241,200,000 + 151,200,000 + 60,000,000 + 60,000,000 + 24,000,000.
    assert (sonnet["Cost (USD)"], sonnet["Difference (USD)"]) == ("0.5364", "0.1")
    assert Decimal(sonnet["Difference, share (0..1)"]) == Decimal(100_000_000) / 436_400_000
    costs = [Decimal(row["Cost (USD)"]) for row in found.values()]
    assert costs == sorted(costs)
    page = text(viewer, "/usage/?from=now-1h")
    said = takeaway(page, "models")
    assert said.startswith("An estimate: the same tokens, quality not assessed. At today's list prices of the models ")
    assert "45 tokens of models without a price are left out." in said
    assert grid(page, "models", "tfoot") == [["The models used", "$0.44", "", ""]]


def test_the_estimate_goes_by_the_filters_of_the_page(viewer: Client, bill: Project) -> None:
    found = {row["Model"]: row for row in rows(viewer, "/usage/models.csv?from=now-1h&feature=doc-summary")}
    # 40 × (1,000,000 + 1,000,000 + 500,000 + 500,000 + 200,000) instead of 40 × 9,600,000.
    assert found["claude-haiku-4-5"]["Cost (USD)"] == "0.128"
    assert found["claude-haiku-4-5"]["Difference (USD)"] == "-0.256"
    assert found["claude-haiku-4-5"]["Used in this range"] == "no"


@pytest.mark.parametrize(
    ("address", "href"),
    [
        ("", "?project=helpdesk&feature=x&g=prompt_type"),
        ("g=prompt_type&feature=a", "?project=helpdesk&feature=a&prompt_type=x&g=version"),
        ("g=version&feature=a&prompt_type=b", "/logs/?project=helpdesk&feature=a&prompt_type=b&version=x"),
        ("g=user&sort=requests&metric=requests", "?project=helpdesk&user=x&metric=requests&sort=requests"),
        ("g=user&feature=a", "?project=helpdesk&feature=a&user=x&g=prompt_type"),
        (
            "g=model&feature=a&prompt_type=b&version=c",
            "/logs/?project=helpdesk&feature=a&model=x&prompt_type=b&version=c",
        ),
        ("g=env", "?project=helpdesk&env=x"),
        ("g=key", "?project=helpdesk&key=x"),
        # Read call by call, which is not done over so long a time.
        ("g=key&from=now-7d", "/logs/?project=helpdesk&from=now-7d&key=x"),
        ("g=feature&release=1&from=now-7d", "/logs/?project=helpdesk&from=now-7d&feature=x&release=1"),
    ],
)
def test_a_row_leads_to_the_next_question_and_the_last_one_to_the_log(
    project: Project, now: datetime, address: str, href: str
) -> None:
    assert drill.href(asked(project, now, address), "x") == href


def test_every_cut_answers_for_every_range(viewer: Client, bill: Project) -> None:
    for group, words in GROUPS.items():
        for span in ("1h", "24h", "7d", "30d"):
            page = text(viewer, f"/usage/?from=now-{span}&g={group}")
            assert "could not be drawn" not in page
            assert f'aria-current="true">{words}<' in page
            # The calls of a week before are in the longest range only.
            spent = "0.7686" if span == "30d" else "0.4364"
            assert f'<h3>Spend</h3><p class="value" title="${spent}">' in page


def test_what_is_not_kept_together_is_told_and_fails_nothing(viewer: Client, bill: Project) -> None:
    page = text(viewer, "/usage/?from=now-7d&g=user&feature=inbox")
    assert answer(page).startswith("The answer could not be read. This question reads calls one by one,")


def test_every_panel_has_a_title_a_sentence_a_table_and_files(viewer: Client, bill: Project) -> None:
    page = text(viewer, "/usage/?from=now-1h")
    for panel in USAGE.panels:
        own = section(page, panel.key)
        assert f">{panel.title}</h2>" in own
        assert re.search(r'<p class="takeaway">[A-Za-z0-9$].*\.</p>', own)
        assert "<table" in own
        for form in ("csv", "json"):
            address = f"/usage/{panel.key}.{form}?project=helpdesk&amp;from=now-1h"
            assert address in own
            assert viewer.get(unescape(address)).status_code == 200


def test_a_quiet_range_says_so_everywhere(viewer: Client, bill: Project, now: datetime) -> None:
    start = f"{now - timedelta(days=3):%Y-%m-%dT%H:%M:%SZ}"
    end = f"{now - timedelta(days=2):%Y-%m-%dT%H:%M:%SZ}"
    page = text(viewer, f"/usage/?from={start}&to={end}")
    assert answer(page) == "No call was made in this range."
    assert [takeaway(page, panel.key) for panel in USAGE.panels] == [
        "Spend: nothing in this range.",
        "No token is known to have been used in this range.",
        'No call with a feature was made in this range. Calls made inside llmclient.context(feature="inbox") have one.',
        "Nothing is known to have been paid for calls without a usable answer.",
        "No prompt went through the provider's cache in this range.",
        "No call was made in this range.",
        "No token of a model with a price was used in this range.",
    ]


@pytest.mark.parametrize(
    "address", ["", "from=now-1h", "from=now-7d&g=model", "from=now-30d&g=user", "g=env&cmp=off", "feature=inbox&g=key"]
)
def test_the_page_asks_few_questions(viewer: Client, bill: Project, address: str) -> None:
    number, _ = questions_asked(viewer, f"/usage/?{address}")
    assert number <= MOST


def test_another_project_has_its_own_numbers(viewer: Client, bill: Project) -> None:
    page = text(viewer, "/usage/?from=now-1h&project=shop")
    # 50 × 9,600,000.
    assert answer(page) == "doc-summary is all of the spend: $0.48."


def test_names_from_outside_are_text_and_nothing_else(viewer: Client, project: Project, now: datetime) -> None:
    evil = "</script><script>alert(1)</script>"
    hostile = {"feature": evil, "user_id": evil, "model": evil, "prompt_version": evil, "release": evil}
    factories.stored(project, factories.event(now - timedelta(minutes=5), **hostile), now=now)
    count(now)
    for group in GROUPS:
        assert "<script>alert" not in text(viewer, f"/usage/?from=now-1h&g={group}")
    formula = {"user_id": "=1+1", "feature": "=1+1"}
    factories.stored(project, factories.event(now - timedelta(minutes=5), **formula), now=now)
    count(now)
    assert "\n=1+1" not in viewer.get("/usage/parts.csv?from=now-1h&g=user").content.decode()


def test_the_way_to_a_price_is_open_to_staff(client: Client, bill: Project) -> None:
    client.force_login(User.objects.create_superuser("boss", "boss@example.com", "boss"))
    form = client.get("/admin/ingest/price/add/?model=nobody-knows-me").content.decode()
    assert 'value="nobody-knows-me"' in form
