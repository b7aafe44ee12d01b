"""Usage and cost reports, from what was really served."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import anthropic
import pytest

from llmclient.testing import FakeAnthropic, broken, fail, hang_up, reply
from llmclient.testing._analytics import BETA, report
from llmclient.testing._ledger import Ledger, api_key_id
from llmclient.testing._requests import Request
from tests.llmclient.backend import wait_until
from tests.llmclient.testing.asking import HELLO, MODEL, ask, read, sdk
from tests.llmclient.testing.conftest import Serve

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
OPUS, HAIKU = "claude-opus-5-5", "claude-haiku-5-5"


def asked(kind: str, start: datetime, end: datetime | None, *, now: datetime = NOON, **query: Any) -> list[Any]:
    """The rows of a report on a ledger of six calls."""
    rows: list[Any] = next(pages(kind, start, end, now=now, **query))["data"]
    return rows


def pages(kind: str, start: datetime, end: datetime | None, *, now: datetime, **query: Any) -> Iterator[dict[str, Any]]:
    ledger = Ledger()
    ledger.book(NOON - timedelta(hours=1), MODEL, "k1", {"input_tokens": 1_000, "output_tokens": 100})
    ledger.book(NOON - timedelta(seconds=61), MODEL, "k1", {"input_tokens": 500, "output_tokens": 50})
    ledger.book(NOON - timedelta(seconds=61), f"{MODEL}-20261101", "k2", {"input_tokens": 1, "output_tokens": 2})
    cached = {
        "input_tokens": 10,
        "output_tokens": 20,
        "cache_read_input_tokens": 300,
        "cache_creation_input_tokens": 70,
        "cache_creation": {"ephemeral_5m_input_tokens": 30, "ephemeral_1h_input_tokens": 40},
        "server_tool_use": {"web_search_requests": 3},
    }
    ledger.book(NOON, OPUS, "k1", {**cached, "inference_geo": "us"})
    ledger.book(NOON + timedelta(minutes=2), HAIKU, "k1", {"input_tokens": 100_001, "output_tokens": 10})
    ledger.book(NOON + timedelta(days=1), HAIKU, "k1", {"input_tokens": 8, "output_tokens": 4, "service_tier": "batch"})
    parameters = {
        "starting_at": [start.isoformat()],
        **({} if end is None else {"ending_at": [end.isoformat()]}),
        **{name if name in PLAIN else f"{name}[]": value if isinstance(value, list) else [value]
           for name, value in query.items()},
    }  # fmt: skip
    while True:
        request = Request("GET", f"/v1/organizations/analytics/{kind}", {"anthropic-beta": BETA}, query=parameters)
        answer = report(request, ledger, now)
        yield answer
        if not answer["has_more"]:
            return
        parameters["page"] = [answer["next_page"]]


PLAIN = ("time_bucket_width", "limit", "order", "order_by")
DAY = timedelta(days=1)


def tokens(row: dict[str, Any]) -> tuple[int, int, int]:
    usage = row["usage"]
    return usage["requests"], usage["uncached_input_tokens"], usage["output_tokens"]


def test_without_anything_asked_for_there_is_one_row_of_everything() -> None:
    [row] = asked("usage", NOON - DAY, NOON + 2 * DAY)
    assert tokens(row) == (6, 101_520, 186)
    assert row["usage"]["cache_creation"] == {"ephemeral_5m_input_tokens": 30, "ephemeral_1h_input_tokens": 40}
    assert row["usage"]["cache_read_input_tokens"] == 300
    assert row["usage"]["server_tool_use"] == {"web_search_requests": 3}
    assert row["usage"]["total_tokens"] == 101_520 + 186 + 370
    assert set(row["group"].values()) == {None}


def test_rows_are_broken_out_by_model_the_largest_first() -> None:
    rows = asked("usage", NOON - DAY, NOON + 2 * DAY, group_by="model")
    assert [(row["group"]["model"], tokens(row)) for row in rows] == [
        (HAIKU, (2, 100_009, 14)),
        (MODEL, (3, 1_501, 152)),
        (OPUS, (1, 10, 20)),
    ]


@pytest.mark.parametrize(
    ("width", "buckets"),
    [
        ("1m", [("12:02", 1), ("12:00", 1), ("11:58", 2), ("11:00", 1)]),
        ("1h", [("12:00", 2), ("11:00", 3)]),
        ("1d", [("00:00", 5)]),
    ],
)
def test_buckets_are_those_of_the_clock(width: str, buckets: list[tuple[str, int]]) -> None:
    rows = asked(
        "usage", NOON - timedelta(hours=2), NOON + timedelta(hours=2), time_bucket_width=width, order_by="time"
    )
    assert [(row["starting_at"][11:16], row["usage"]["requests"]) for row in rows] == buckets


def test_a_range_is_half_open() -> None:
    rows = asked("usage", NOON - timedelta(minutes=2), NOON, time_bucket_width="1m")
    assert [tokens(row) for row in rows] == [(2, 501, 52)]


def test_without_buckets_a_report_covers_whole_hours() -> None:
    [row] = asked("usage", NOON - timedelta(minutes=90), None, now=NOON + timedelta(minutes=50))
    assert (row["starting_at"], row["ending_at"]) == ("2026-11-22T10:00:00+00:00", "2026-11-22T12:00:00+00:00")
    assert tokens(row) == (3, 1_501, 152)


def test_filters_keep_what_they_name() -> None:
    def requests(**query: Any) -> int:
        return sum(row["usage"]["requests"] for row in asked("usage", NOON - DAY, NOON + 2 * DAY, **query))

    assert requests(models=[HAIKU, OPUS]) == 3
    assert requests(service_tiers="batch") == 1
    assert requests(inference_geos="us") == 1
    assert requests(inference_geos="not_available") == 5
    assert requests(api_key_ids=api_key_id("k2")) == 1
    assert requests(models=MODEL, api_key_ids=api_key_id("k2")) == 1


def test_costs_are_decimal_fractions_of_a_cent() -> None:
    costs = {
        row["group"]["model"]: (row["cost"]["list_amount"], row["cost"]["requests"])
        for row in asked("cost", NOON - DAY, NOON + 2 * DAY, group_by="model")
    }
    # Nano-dollars: 1501 × 2,000 + 152 × 10,000 = 4,522,000. A cent has ten million.
    assert costs[MODEL] == ("0.4522", 3)
    # (10 × 4,000 + 20 × 20,000 + 300 × 200 + 30 × 5,000 + 40 × 8,000) × 1.1 = 1,067,000, and 30,000,000 for 3 searches.
    assert costs[OPUS] == ("3.1067", 1)
    # Above 100,000 tokens all cost five times: 100,001 × 500 + 10 × 2,500; in a batch half: (8 × 100 + 4 × 500) / 2.
    assert costs[HAIKU] == ("5.00269", 2)


def test_costs_are_broken_out_by_kind_of_token() -> None:
    rows = asked("cost", NOON - DAY, NOON + 2 * DAY, models=OPUS, group_by=["cost_type", "token_type"])
    assert [(row["group"]["cost_type"], row["group"]["token_type"], row["cost"]["list_amount"]) for row in rows] == [
        ("tokens", "uncached_input_tokens", "0.0044"),
        ("tokens", "cache_creation.ephemeral_5m_input_tokens", "0.0165"),
        ("tokens", "cache_creation.ephemeral_1h_input_tokens", "0.0352"),
        ("tokens", "cache_read_input_tokens", "0.0066"),
        ("tokens", "output_tokens", "0.044"),
        ("web_search", None, "3"),
    ]
    assert {row["cost"]["requests"] for row in rows} == {None}
    kinds = asked("cost", NOON - DAY, NOON + 2 * DAY, models=OPUS, group_by="cost_type")
    assert [(row["group"]["cost_type"], row["cost"]["list_amount"]) for row in kinds] == [
        ("tokens", "0.1067"),
        ("web_search", "3"),
    ]


def test_pages_hold_every_row_once() -> None:
    found = list(pages("usage", NOON - DAY, NOON + 2 * DAY, now=NOON, group_by=["model"], limit="2"))
    assert [[row["group"]["model"] for row in page["data"]] for page in found] == [[HAIKU, MODEL], [OPUS]]


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({"time_bucket_width": "5m"}, "time_bucket_width: '5m' is not one of"),
        ({"time_bucket_width": "1m"}, "ending_at: the range is too long"),
        ({"group_by": ["colour"]}, r"group_by\[\]: 'colour' is not a dimension"),
        ({"group_by": ["model", "speed", "actor", "actor_type", "api_key_id", "service_tier"]}, "more than 5"),
        ({"order_by": "beauty"}, "order_by: 'beauty' is not one of"),
        ({"limit": "0"}, "limit: 0 is not between 1 and 1000"),
    ],
)
def test_a_report_that_cannot_be_made_names_the_parameter(query: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        asked("usage", NOON - DAY, NOON + 2 * DAY, **query)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({}, "starting_at: Field required"),
        ({"starting_at": ["2026-11-22T00:00:00"]}, "has no time zone"),
        ({"starting_at": ["2026-11-22T00:00:00Z"], "time_bucket_width": ["1d"]}, "ending_at: Field required with"),
    ],
)
def test_a_range_that_is_none_is_refused(query: dict[str, list[str]], message: str) -> None:
    request = Request("GET", "/v1/organizations/analytics/usage", {"anthropic-beta": BETA}, query=query)
    with pytest.raises(ValueError, match=message):
        report(request, Ledger(), NOON)


def test_a_model_without_a_price_is_told_and_not_free() -> None:
    ledger = Ledger()
    ledger.book(NOON, "claude-next-7", "k", {"input_tokens": 1, "output_tokens": 1})
    query = {"starting_at": [(NOON - DAY).isoformat()], "ending_at": [(NOON + DAY).isoformat()]}
    with pytest.raises(ValueError, match="no price for a model it served"):
        report(Request("GET", "/cost", {"anthropic-beta": BETA}, query=query), ledger, NOON)


# --- over the wire


def usage_of(fake: FakeAnthropic) -> anthropic.types.beta.organization.analytics.BetaAnalyticsUsageMetrics:
    now = datetime.now(UTC)
    with sdk(fake) as client:
        [row] = client.beta.organization.analytics.usage.list(starting_at=now - DAY, ending_at=now + 10 * DAY)
    return row.usage


def test_what_failed_is_not_billed_and_what_the_caller_did_not_wait_for_is(serve: Serve) -> None:
    fake = serve(
        fail(529),
        hang_up(),
        reply(input_tokens=100, output_tokens=10, duration=30.0),
        reply(input_tokens=5, output_tokens=7),
    )
    for _ in range(2):
        with pytest.raises(anthropic.AnthropicError):
            ask(fake)
    with pytest.raises(anthropic.APITimeoutError):
        ask(fake, timeout=0.1)
    ask(fake)
    usage = usage_of(fake)
    assert (usage.requests, usage.uncached_input_tokens, usage.output_tokens) == (2, 105, 17)


def test_a_stream_that_breaks_off_is_billed_for_what_was_written(serve: Serve) -> None:
    fake = serve(*(broken(how, after=1, input_tokens=50, output_tokens=40) for how in ("error", "eof", "malformed")))
    for error in (anthropic.APIStatusError, None, ValueError):
        if error is None:
            read(fake)
        else:
            with pytest.raises(error):
                read(fake)
    # One of four deltas each: ten tokens.
    usage = usage_of(fake)
    assert (usage.requests, usage.uncached_input_tokens, usage.output_tokens) == (3, 150, 30)


def test_a_stream_the_caller_closes_is_billed_until_then(serve: Serve) -> None:
    fake = serve(reply("one two three four", deltas=4, input_tokens=9, output_tokens=400, duration=1.0), speed=5)
    with sdk(fake) as client, client.messages.stream(model=MODEL, max_tokens=9, messages=HELLO) as stream:
        next(event for event in stream if event.type == "content_block_delta")
    wait_until(lambda: fake._account.ledger._rows)
    usage = usage_of(fake)
    assert usage.uncached_input_tokens == 9
    assert usage.output_tokens in (100, 200)


def test_the_bill_agrees_with_what_was_answered_across_days_and_batches(serve: Serve) -> None:
    fake = serve(*(reply(input_tokens=1_000, output_tokens=100) for _ in range(5)), batch_seconds=0.01)
    start = datetime.now(UTC)
    with sdk(fake) as client:
        ask(fake)
        fake.advance(86_400)
        ask(fake)
        params: Any = {"model": MODEL, "max_tokens": 9, "messages": HELLO}
        client.messages.batches.create(requests=[{"custom_id": name, "params": params} for name in "abc"])
        fake.advance(86_400)
        rows = list(
            client.beta.organization.analytics.cost.list(
                starting_at=start - DAY,
                ending_at=start + 4 * DAY,
                time_bucket_width="1d",
                group_by=["service_tier", "api_key_id"],
                order_by="time",
                order="asc",
            )
        )
    # 1,000 × 2,000 + 100 × 10,000 nano-dollars are three tenths of a cent.
    assert [(row.group.service_tier, row.cost.requests, Decimal(row.cost.list_amount)) for row in rows] == [
        ("standard", 1, Decimal("0.3")),
        ("batch", 3, Decimal("0.45")),
        ("standard", 1, Decimal("0.3")),
    ]
    assert {row.group.api_key_id for row in rows} == {api_key_id("test")}


def test_a_wrong_question_is_a_400(serve: Serve) -> None:
    with sdk(serve()) as client:
        with pytest.raises(anthropic.BadRequestError, match="starting_at: 'now' is not an instant"):
            client.beta.organization.analytics.usage.list(starting_at="now")
        with pytest.raises(anthropic.BadRequestError, match="anthropic-beta"):
            client.get("/v1/organizations/analytics/usage", cast_to=object)
