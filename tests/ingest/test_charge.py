"""Known, nothing, or unknown: what a call cost."""

from datetime import UTC, datetime
from typing import Any

import pytest

from ingest import wire
from ingest.charge import charge
from ingest.pricing import Columns, PriceBook, Rate
from ingest.vocabulary import Flag
from tests import factories

NOW = factories.NOW
BOOK = PriceBook(
    [
        Rate(
            price_id=7,
            model="claude-sonnet-4-5",
            effective_from=datetime(2025, 1, 1, tzinfo=UTC),
            effective_until=None,
            short=Columns(3_000, 15_000, 300, 3_750, 6_000),
        )
    ]
)


def charged(document: dict[str, Any]) -> tuple[int | None, int | None, Flag]:
    found = charge(wire.event_of(document), BOOK, NOW)
    return found.nanousd, found.price_id, Flag(found.flags)


def test_an_answered_call_costs_its_tokens() -> None:
    assert charged(factories.event()) == (100 * 3_000 + 20 * 15_000, 7, Flag(0))


def test_an_unknown_model_is_unpriced_and_its_usage_is_known() -> None:
    assert charged(factories.event(model="claude-next-99")) == (None, None, Flag(0))


def test_a_call_without_any_model_is_unpriced() -> None:
    assert charged(factories.event(model=None, model_requested=None)) == (None, None, Flag(0))


def test_without_an_answering_model_the_requested_one_sets_the_price() -> None:
    assert charged(factories.event(model=None))[0] == 600_000


@pytest.mark.parametrize("outcome", ["ok", "degraded"])
def test_an_answer_without_usage_cost_nobody_knows_what(outcome: str) -> None:
    assert charged(factories.event(outcome=outcome, usage=None)) == (None, None, Flag.USAGE_UNKNOWN)


@pytest.mark.parametrize("status", [400, 401, 429, 500, 529])
def test_a_refusal_with_an_http_status_cost_nothing(status: int) -> None:
    assert charged(factories.failed("any", status)) == (0, None, Flag(0))


@pytest.mark.parametrize("category", ["timeout", "connection", "stream_interrupted", "deadline_exceeded"])
def test_a_call_that_may_have_been_answered_cost_nobody_knows_what(category: str) -> None:
    assert charged(factories.failed(category, None)) == (None, None, Flag.USAGE_UNKNOWN)


def test_an_error_inside_a_stream_that_had_begun_is_unknown() -> None:
    assert charged(factories.failed("overloaded", 200)) == (None, None, Flag.USAGE_UNKNOWN)


def test_one_lost_attempt_makes_the_whole_call_unknown() -> None:
    attempts = [{"n": 1, "category": "timeout"}, {"n": 2, "status": 529}]
    assert charged(factories.failed(attempts=attempts)) == (None, None, Flag.USAGE_UNKNOWN)


@pytest.mark.parametrize("category", ["circuit_open", "local_rate_limited", "budget_exceeded", "input_rejected"])
@pytest.mark.parametrize("outcome", ["error", "rejected"])
def test_a_call_that_never_left_cost_nothing(category: str, outcome: str) -> None:
    assert charged(factories.failed(category, None, attempts=None, outcome=outcome)) == (0, None, Flag(0))


def test_a_rejection_after_a_lost_attempt_is_unknown() -> None:
    attempts = [{"n": 1, "category": "timeout"}]
    assert charged(factories.failed("budget_exceeded", None, attempts=attempts, outcome="rejected"))[0] is None


def test_a_cancelled_call_without_usage_is_unknown() -> None:
    assert charged(factories.event(outcome="cancelled", usage=None)) == (None, None, Flag.USAGE_UNKNOWN)


@pytest.mark.parametrize("source", ["cache", "stale_cache", "rule", "deferred", "notice"])
def test_an_answer_that_was_not_bought_cost_nothing(source: str) -> None:
    assert charged(factories.event(source=source)) == (0, None, Flag(0))
    assert charged(factories.event(source=source, usage=None)) == (0, None, Flag(0))


def test_another_model_that_stepped_in_was_bought() -> None:
    assert charged(factories.event(source="model_fallback", outcome="degraded"))[0] == 600_000


def test_counting_tokens_is_free() -> None:
    assert charged(factories.event(operation="count_tokens", usage=None)) == (0, None, Flag(0))


def test_an_interrupted_stream_costs_its_estimate_and_says_so() -> None:
    document = factories.failed("stream_interrupted", 200, usage={"input_tokens": 100, "output_tokens": 20})
    found = charged({**document, "usage_complete": False, "model": "claude-sonnet-4-5"})
    assert found == (600_000, 7, Flag.USAGE_ESTIMATED)


@pytest.mark.parametrize(
    ("usage", "flag"),
    [
        ({"service_tier": "batch"}, Flag.BATCH),
        ({"service_tier": "priority"}, Flag.PRIORITY),
        ({"speed": "fast"}, Flag.FAST),
        ({"inference_geo": "us"}, Flag.US_ONLY),
        ({"service_tier": "standard", "speed": "standard", "inference_geo": "global"}, Flag(0)),
    ],
)
def test_what_changes_the_price_is_flagged(usage: dict[str, str], flag: Flag) -> None:
    assert charged(factories.event(usage={"input_tokens": 1, **usage}))[2] == flag
