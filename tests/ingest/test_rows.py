"""Every column of a stored call, read back from the database."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from ingest import dimensions, wire
from ingest.models import RequestLog
from ingest.rows import COLUMNS, digest_of
from ingest.vocabulary import DimensionKind, ErrorCategory, Flag, Outcome, Source, StopReason
from projects.models import Project
from tests import factories

NOW = factories.NOW

pytestmark = [pytest.mark.django_db, pytest.mark.storage]


@pytest.fixture
def owner(db: None) -> Project:
    return factories.project(infra_nanousd_per_request=1_000, infra_nanousd_per_token=3)


def stored(owner: Project, document: dict[str, Any], **options: Any) -> RequestLog:
    factories.stored(owner, document, **options)
    return RequestLog.objects.get(pk=document["id"], project=owner)


def named(owner: Project, kind: DimensionKind, number: int | None) -> str | None:
    return None if number is None else dimensions.names(owner.pk, kind).get(number)


def test_the_copy_writes_every_column_of_the_table() -> None:
    assert sorted(COLUMNS.split(", ")) == sorted(str(field.column) for field in RequestLog._meta.concrete_fields)


def test_a_call_with_everything_is_stored_as_it_was_told(owner: Project) -> None:
    at = NOW + timedelta(milliseconds=7)
    document = factories.event(
        at,
        trace_id="4bf92f3577b34da6a3ce929d0e0e4736",
        span_id="f067aa0ba902b7ff",
        stream=True,
        duration_ms=1200,
        ttft_ms=300,
        ttft_text_ms=350,
        queue_ms=15,
        tags={"plan": "pro"},
        usage={
            "input_tokens": 100,
            "output_tokens": 20,
            "cache_read_input_tokens": 30,
            "cache_creation_input_tokens": 11,
            "cache_creation": {"ephemeral_5m_input_tokens": 4, "ephemeral_1h_input_tokens": 7},
            "server_tool_use": {"web_search_requests": 2},
            "brand_new": {"a": 1},
            "empty": None,
        },
        limits={
            "requests_limit": 1,
            "requests_remaining": 2,
            "input_limit": 3,
            "input_remaining": 4,
            "output_limit": 5,
            "output_remaining": 6,
        },
        stop_category="cyber",
    )
    call = stored(owner, document, now=NOW + timedelta(seconds=3, microseconds=5))
    assert call.started_at == at
    assert call.received_at == NOW + timedelta(seconds=3, microseconds=5)
    # 161 tokens in all, 3 nano-dollars each, and 1,000 for the request.
    assert call.infra_nanousd == 1_000 + 3 * 161
    assert call.trace_id == UUID("4bf92f3577b34da6a3ce929d0e0e4736")
    assert call.span_id == 0xF067AA0BA902B7FF - 2**64
    assert named(owner, DimensionKind.ENVIRONMENT, call.environment_id) == "production"
    assert named(owner, DimensionKind.FEATURE, call.feature_id) == "inbox"
    assert named(owner, DimensionKind.PROMPT_TYPE, call.prompt_type_id) == "triage"
    assert named(owner, DimensionKind.PROMPT_VERSION, call.prompt_version_id) == "7"
    assert named(owner, DimensionKind.MODEL, call.model_id) == "claude-sonnet-4-5-20250929"
    assert named(owner, DimensionKind.MODEL, call.requested_model_id) == "claude-sonnet-4-5"
    assert named(owner, DimensionKind.APP, call.app_id) == "helpdesk"
    assert named(owner, DimensionKind.RELEASE, call.release_id) == "1.4.2"
    assert named(owner, DimensionKind.SDK, call.sdk_id) == "anthropic/2.12.0"
    assert call.flags == Flag.STREAM
    assert (call.duration_ms, call.latency_bucket) == (1200, 71)
    assert (call.ttft_ms, call.ttft_bucket, call.queue_ms) == (300, 57, 15)
    assert (call.input_tokens, call.output_tokens, call.cache_read_tokens) == (100, 20, 30)
    assert (call.cache_write_5m_tokens, call.cache_write_1h_tokens, call.web_searches) == (4, 7, 2)
    # 3 $ in, 15 $ out, 0.3 $ read, 3.75 $ and 6 $ written per million tokens, 1 cent a search, in nano-dollars.
    assert call.cost_nanousd == 100 * 3000 + 20 * 15000 + 30 * 300 + 4 * 3750 + 7 * 6000 + 2 * 10_000_000
    assert call.price_id is not None
    assert (call.requests_limit, call.requests_remaining, call.input_limit) == (1, 2, 3)
    assert (call.input_remaining, call.output_limit, call.output_remaining) == (4, 5, 6)
    assert (call.outcome, call.error, call.source, call.attempts) == (Outcome.OK, 0, Source.API, 1)
    assert (call.http_status, call.stop_reason) == (200, StopReason.END_TURN)
    assert (call.user_id, call.session_id, call.request_id) == ("user-1", "session-1", "req_1")
    assert call.error_message is None
    assert call.detail == {
        "params": {"max_tokens": 400},
        "tags": {"plan": "pro"},
        "usage": {"server_tool_use": {"web_search_requests": 2}, "brand_new": {"a": 1}},
        "ttft_text_ms": 350,
        "stop_category": "cyber",
    }


def test_a_call_that_tells_only_what_it_must_leaves_the_rest_empty(owner: Project) -> None:
    needed = {"id", "started_at", "duration_ms", "outcome"}
    document = {name: value for name, value in factories.event().items() if name in needed}
    call = stored(owner, document)
    empty = ["trace_id", "span_id", "ttft_ms", "ttft_bucket", "queue_ms", "cost_nanousd", "price_id", "http_status"]
    empty += ["stop_reason", "user_id", "session_id", "request_id", "error_message", "detail", "requests_limit"]
    assert [getattr(call, name) for name in empty] == [None] * len(empty)
    absent = ["feature_id", "prompt_type_id", "prompt_version_id", "model_id", "requested_model_id", "app_id"]
    absent += ["release_id", "sdk_id", "key_id"]
    assert [getattr(call, name) for name in absent] == [0] * len(absent)
    assert (call.flags, call.attempts, call.infra_nanousd) == (Flag.USAGE_UNKNOWN, 1, 1_000)


@pytest.mark.parametrize("missing", ["ttft_ms", "queue_ms", "stop_reason", "attempts", "usage"])
def test_one_missing_number_leaves_its_neighbours_in_their_places(owner: Project, missing: str) -> None:
    overrides: dict[str, Any] = {"queue_ms": 15, missing: None}
    document = factories.event(**overrides)
    call = stored(owner, document)
    expected: dict[str, object] = {"ttft_ms": 300, "queue_ms": 15, "stop_reason": 0, "cost_nanousd": 600_000}
    gone = {"attempts": "http_status", "usage": "cost_nanousd"}.get(missing, missing)
    expected |= {"http_status": 200} | {gone: None}
    assert {name: getattr(call, name) for name in expected} == expected
    assert call.user_id == "user-1"


def test_a_trace_without_a_span_and_half_the_limits(owner: Project) -> None:
    call = stored(owner, factories.event(trace_id="0" * 31 + "1", limits={"input_limit": 5}))
    assert (call.trace_id, call.span_id, call.input_limit, call.output_limit) == (UUID(int=1), None, 5, None)
    call = stored(owner, factories.event(span_id="0" * 15 + "1"))
    assert (call.trace_id, call.span_id) == (None, 1)


def test_long_and_foreign_texts_come_back_whole(owner: Project) -> None:
    text = "日本語🙂" * 40
    call = stored(owner, factories.event(user_id=text, feature="größe"))
    assert call.user_id == text
    assert named(owner, DimensionKind.FEATURE, call.feature_id) == "größe"


def test_a_failure_keeps_its_story(owner: Project) -> None:
    attempts = [
        {"n": 1, "start_ms": 0, "duration_ms": 300, "status": 529, "category": "overloaded", "wait_ms": 200},
        {"n": 2, "start_ms": 500, "duration_ms": 300, "status": 529, "category": "overloaded", "retry_after_s": 1.5},
    ]
    error = {"category": "overloaded", "type": "overloaded_error", "status": 529, "message": "Overloaded"}
    call = stored(owner, factories.failed(attempts=attempts, error=error))
    assert (call.outcome, call.error) == (Outcome.ERROR, ErrorCategory.OVERLOADED)
    assert (call.attempts, call.http_status, call.error_message) == (2, 529, "Overloaded")
    assert call.detail is not None
    assert call.detail["error"] == {"type": "overloaded_error", "code": None}
    assert call.detail["attempts"] == [
        {"n": 1, "duration_ms": 300, "status": 529, "category": "overloaded", "wait_ms": 200},
        {"n": 2, "start_ms": 500, "duration_ms": 300, "status": 529, "category": "overloaded", "retry_after_s": 1.5},
    ]


@pytest.mark.parametrize(
    ("overrides", "category"),
    [
        ({"outcome": "ok"}, ErrorCategory.NONE),
        ({"outcome": "ok", "error": {"category": "truncated"}}, ErrorCategory.TRUNCATED),
        ({"outcome": "error"}, ErrorCategory.OTHER),
        ({"outcome": "rejected"}, ErrorCategory.OTHER),
        ({"outcome": "rejected", "error": {"category": "budget_exceeded"}}, ErrorCategory.BUDGET_EXCEEDED),
        ({"outcome": "cancelled"}, ErrorCategory.CANCELLED),
        ({"outcome": "error", "error": {"category": "from the future"}}, ErrorCategory.OTHER),
    ],
)
def test_every_failed_call_has_a_category(owner: Project, overrides: dict[str, Any], category: int) -> None:
    assert stored(owner, factories.event(**overrides)).error == category


@pytest.mark.parametrize(
    ("overrides", "attempts"),
    [
        ({"attempts": None}, 1),
        ({"attempts": None, "outcome": "rejected"}, 0),
        ({"attempts": None, "source": "cache"}, 0),
        ({"attempts": [{"n": 1}, {"n": 2}, {"n": 3}]}, 3),
    ],
)
def test_attempts_are_the_requests_that_went_out(owner: Project, overrides: dict[str, Any], attempts: int) -> None:
    assert stored(owner, factories.event(**overrides)).attempts == attempts


def test_a_call_names_the_model_that_was_asked_when_none_answered(owner: Project) -> None:
    call = stored(owner, factories.event(model=None))
    assert named(owner, DimensionKind.MODEL, call.model_id) == "claude-sonnet-4-5"
    call = stored(owner, factories.event(model_requested=None))
    assert named(owner, DimensionKind.MODEL, call.requested_model_id) == "claude-sonnet-4-5-20250929"


def test_an_empty_name_is_no_name(owner: Project) -> None:
    assert stored(owner, factories.event(feature="")).feature_id == dimensions.ABSENT


def test_the_stored_start_is_that_of_the_id_to_the_millisecond(owner: Project) -> None:
    document = factories.event(NOW) | {"started_at": "2026-11-22T10:00:00.000999Z"}
    assert stored(owner, document).started_at == NOW


@pytest.mark.parametrize("field", ["iterations", "output_tokens_details"])
def test_what_usage_says_beyond_the_columns_is_kept_for_pricing_again(owner: Project, field: str) -> None:
    extra: object = [{"type": "message", "input_tokens": 5}] if field == "iterations" else {"thinking_tokens": 9}
    call = stored(owner, factories.event(usage={"input_tokens": 100, "output_tokens": 20, field: extra}))
    assert call.detail is not None
    assert call.detail["usage"] == {field: extra}
    assert call.cost_nanousd == 600_000


@pytest.mark.parametrize(
    ("quality", "stored_as"),
    [
        (None, (None, None)),
        ({}, (None, None)),
        ({"valid": True, "repairs": 0}, (1, 0)),
        ({"valid": False, "repairs": 100}, (0, 100)),
        ({"valid": None, "repairs": 2}, (None, 2)),
        ({"valid": True}, (1, None)),
    ],
)
def test_quality_is_counted_in_columns_and_what_was_not_told_is_unknown(
    owner: Project, quality: dict[str, Any] | None, stored_as: tuple[int | None, int | None]
) -> None:
    call = stored(owner, factories.event(quality=quality))
    assert (call.valid, call.repairs) == stored_as
    assert call.user_id == "user-1"


INPUT, OUTPUT = "4bf92f3577b34da6a3ce929d0e0e4736" + "a" * 32, "F067AA0BA902B7FF" * 4


@pytest.mark.parametrize(
    ("hashes", "kept"),
    [
        (None, None),
        ({}, None),
        ({"input": INPUT, "output": OUTPUT}, "4bf92f3577b34da6a3ce929d0e0e4736" + "f067aa0ba902b7ff" * 2),
        ({"input": INPUT}, "4bf92f3577b34da6a3ce929d0e0e4736" + "0" * 32),
        ({"output": OUTPUT}, "0" * 32 + "f067aa0ba902b7ff" * 2),
    ],
)
def test_half_of_each_hash_is_kept_and_nought_for_a_missing_one(
    owner: Project, hashes: dict[str, str] | None, kept: str | None
) -> None:
    call = stored(owner, factories.event(hashes=hashes))
    assert (None if call.hashes is None else bytes(call.hashes).hex()) == kept


def test_the_budget_of_the_client_is_kept_as_told(owner: Project) -> None:
    budget = {"key": "team-a", "unit": "nanousd", "spent": 0, "limit": 2**63 - 1}
    call = stored(owner, factories.event(budget=budget))
    assert call.detail is not None
    assert call.detail["budget"] == budget


PLAIN = {"n": 1, "start_ms": 0, "duration_ms": 1200, "status": 200, "request_id": "req_1"}


@pytest.mark.parametrize(
    ("overrides", "kept"),
    [
        ({}, {}),
        ({"attempts": [PLAIN | {"key_alias": "blue"}]}, {}),
        ({"attempts": [PLAIN | {"model": "claude-sonnet-4-5"}]}, {}),
        (
            {"attempts": [PLAIN | {"model": "claude-haiku-4-5", "key_alias": "blue"}]},
            {"attempts": [{"n": 1, "duration_ms": 1200, "status": 200, "request_id": "req_1"}
                          | {"key_alias": "blue", "model": "claude-haiku-4-5"}]},
        ),
        (
            {
                "attempts": [{"n": 1, "category": "overloaded", "status": 529}],
                "outcome": "degraded",
                "source": "cache",
                "fallback_from": "overloaded",
            },
            {"attempts": [{"n": 1, "category": "overloaded", "status": 529}], "fallback_from": "overloaded"},
        ),
    ],
)  # fmt: skip
def test_an_attempt_is_kept_when_the_columns_do_not_tell_it(
    owner: Project, overrides: dict[str, Any], kept: dict[str, Any]
) -> None:
    call = stored(owner, factories.event(**overrides))
    assert call.detail is not None
    names = ("attempts", "fallback_from")
    assert {name: value for name, value in call.detail.items() if name in names} == kept
    aliases = [attempt.get("key_alias") for attempt in overrides.get("attempts", [])]
    assert named(owner, DimensionKind.KEY, call.key_id) == (aliases[-1] if aliases else None)


def test_a_digest_is_the_same_in_every_process() -> None:
    document = factories.event(datetime(2026, 1, 1, tzinfo=UTC), id="019b76da-a800-7001-8000-000000000001")
    assert digest_of(wire.event_of(document)).hex() == "0b1653cee378192d"
