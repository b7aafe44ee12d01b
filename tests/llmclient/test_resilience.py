"""What becomes of a call when something goes wrong: every fault, in every way a call is made, on real sockets."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import anthropic
import pytest

import llmclient
from llmclient._policy import Breaker, Policy, Retry, Timeout
from llmclient.testing import (
    Answer,
    FakeAnthropic,
    broken,
    capture,
    fail,
    hang_up,
    own_spend_limit,
    reply,
    slow,
    spend_limit,
    stalled,
)
from tests.llmclient.asking import STREAMED, WAYS, Ask
from tests.llmclient.conftest import QUICK

way = pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
streamed_way = pytest.mark.parametrize("way", STREAMED, ids=lambda way: way.__name__)


class Case(NamedTuple):
    name: str
    script: Sequence[Answer]
    categories: list[str | None]
    """Of the attempts; None is an answer."""


CURED = (
    Case("overloaded", [fail(529), fail(529), reply("at last")], ["overloaded", "overloaded", None]),
    Case("server error", [fail(500), fail(503), reply("at last")], ["server_error", "server_error", None]),
    Case("connection", [hang_up(), hang_up(), reply("at last")], ["connection", "connection", None]),
    Case("rate limit", [fail(429, retry_after=0.01), reply("at last")], ["rate_limit", None]),
    Case("rate limit without a time", [fail(429), reply("at last")], ["rate_limit", None]),
    Case("timeout", [fail(504), reply("at last")], ["timeout", None]),
    Case("conflict", [fail(409), reply("at last")], ["invalid_request", None]),
)
FINAL = (
    Case("bad request", [fail(400)], ["invalid_request"]),
    Case("no permission", [fail(403)], ["permission"]),
    Case("retired model", [fail(404)], ["not_found"]),
    Case("too large", [fail(413)], ["request_too_large"]),
    Case("prompt too long", [fail(400, message="prompt is too long: 9 tokens > 8 maximum")], ["context_window"]),
    Case("spend limit", [spend_limit()], ["spend_limit"]),
    Case("own spend limit", [own_spend_limit()], ["spend_limit"]),
    Case("billing", [fail(402)], ["billing"]),
    Case("wrong key", [fail(401)], ["authentication"]),
    Case("told not to", [fail(529, headers={"x-should-retry": "false"})], ["overloaded"]),
    Case("long wait", [fail(429, retry_after=100.0)], ["rate_limit"]),
    Case("never", [fail(529), fail(529), fail(529)], ["overloaded"] * 3),
    Case("two timeouts", [fail(504), fail(504)], ["timeout", "timeout"]),
)
BROKEN_STREAMS = (
    Case("error event", [broken("error", after=0), reply("at last")], ["stream_interrupted", None]),
    Case("silent end", [broken("eof", after=0), reply("at last")], ["stream_interrupted", None]),
    Case("reset", [broken("reset", after=0), reply("at last")], ["stream_interrupted", None]),
)


def by_name(case: Any) -> str:
    return case.name if isinstance(case, Case) else str(case)


@way
@pytest.mark.parametrize("case", CURED, ids=by_name)
def test_what_passes_is_waited_out(way: Ask, case: Case, ask: dict[str, Any]) -> None:
    with FakeAnthropic(list(case.script)) as fake, capture() as calls:
        assert way(fake, ask) == "at last"
    [call] = calls
    assert [attempt.category for attempt in call.attempts] == case.categories
    assert (call.outcome, call.error, call.source) == ("ok", None, "api")


@way
@pytest.mark.parametrize("case", FINAL, ids=by_name)
def test_what_does_not_pass_is_the_callers_at_once(way: Ask, case: Case, ask: dict[str, Any]) -> None:
    with FakeAnthropic(list(case.script)) as fake, capture() as calls:
        with pytest.raises(anthropic.APIStatusError) as caught:
            way(fake, ask)
        assert len(fake.requests) == len(case.categories)
    [call] = calls
    assert [attempt.category for attempt in call.attempts] == case.categories
    assert call.outcome == "error"
    assert call.error is not None
    assert call.error.category == llmclient.category(caught.value) == case.categories[-1]


@streamed_way
@pytest.mark.parametrize("case", BROKEN_STREAMS, ids=by_name)
def test_a_stream_that_breaks_before_its_first_content_is_asked_for_again(
    way: Ask, case: Case, ask: dict[str, Any]
) -> None:
    with FakeAnthropic(list(case.script)) as fake, capture() as calls:
        assert way(fake, ask) == "at last"
    [call] = calls
    assert [attempt.category for attempt in call.attempts] == case.categories
    assert call.outcome == "ok"


@streamed_way
@pytest.mark.parametrize("how", ["error", "eof", "reset"])
def test_a_stream_that_breaks_after_it_is_not(way: Ask, how: str, ask: dict[str, Any]) -> None:
    with FakeAnthropic([broken(how, after=1, text="x" * 28), reply("never asked for")]) as fake, capture() as calls:
        with pytest.raises(llmclient.StreamInterrupted) as caught:
            way(fake, ask)
        assert len(fake.requests) == 1
    [call] = calls
    assert caught.value.partial == "x" * 7
    assert caught.value.call is call
    assert [attempt.category for attempt in call.attempts] == ["stream_interrupted"]
    assert (call.outcome, call.usage_complete) == ("error", False)


# --- time ------------------------------------------------------------------------------------------------------------

HASTY = replace(QUICK, timeout=Timeout(total=0.5, first_token=0.25, idle=0.25))


@way
def test_no_call_takes_longer_than_its_total(way: Ask, ask: dict[str, Any]) -> None:
    policy = replace(HASTY, timeout=Timeout(total=0.2))
    with FakeAnthropic(lambda _: slow(10.0)) as fake, capture() as calls, pytest.raises(llmclient.DeadlineExceeded):
        way(fake, ask, policy)
    [call] = calls
    assert call.duration is not None
    assert 0.2 <= call.duration < 5
    assert (call.outcome, call.error and call.error.category) == ("error", "deadline_exceeded")


@way
def test_a_deadline_around_calls_holds_for_all_of_them(way: Ask, ask: dict[str, Any]) -> None:
    with (
        FakeAnthropic(lambda _: slow(10.0)) as fake,
        llmclient.deadline(60),
        llmclient.deadline(0.2),
        llmclient.deadline(30),
        pytest.raises(llmclient.DeadlineExceeded),
    ):
        way(fake, ask)


@way
def test_when_the_deadline_is_over_nothing_is_sent(way: Ask, ask: dict[str, Any]) -> None:
    with FakeAnthropic([]) as fake, llmclient.deadline(1e-9), pytest.raises(llmclient.DeadlineExceeded):
        way(fake, ask)
    assert len(fake.requests) == 0


@way
def test_a_wait_beyond_the_deadline_is_not_begun(way: Ask, ask: dict[str, Any]) -> None:
    script = [fail(429, retry_after=30)]
    with (
        FakeAnthropic(script) as fake,
        capture() as calls,
        llmclient.deadline(20),
        pytest.raises(anthropic.RateLimitError),
    ):
        way(fake, ask)
    assert calls[0].duration is not None
    assert calls[0].duration < 5


@streamed_way
def test_a_stream_whose_first_token_does_not_come_is_asked_for_again(way: Ask, ask: dict[str, Any]) -> None:
    with FakeAnthropic([slow(10.0), reply("at last")]) as fake, capture() as calls:
        assert way(fake, ask, replace(HASTY, timeout=Timeout(total=5, first_token=0.2))) == "at last"
    assert [attempt.category for attempt in calls[0].attempts] == ["timeout", None]


@streamed_way
def test_pings_do_not_keep_a_stream_alive_that_brings_nothing(way: Ask, ask: dict[str, Any]) -> None:
    with FakeAnthropic([stalled(60.0, after=0), reply("at last")], speed=20) as fake, capture() as calls:
        policy = replace(HASTY, timeout=Timeout(total=5, first_token=0.3, idle=2))
        assert way(fake, ask, policy) == "at last"  # the fake pings every twentieth of a second
    assert [attempt.category for attempt in calls[0].attempts] == ["timeout", None]


@streamed_way
def test_pings_do_not_keep_a_stream_alive_that_stops_in_the_middle(way: Ask, ask: dict[str, Any]) -> None:
    policy = replace(HASTY, timeout=Timeout(total=5, first_token=2, idle=0.3))
    with (
        FakeAnthropic([stalled(60.0, after=2)], speed=20) as fake,
        capture() as calls,
        pytest.raises(llmclient.StreamInterrupted, match="nothing but pings"),
    ):
        way(fake, ask, policy)
    assert calls[0].error is not None
    assert calls[0].error.type == "idle_timeout"


@streamed_way
def test_silence_is_idle_too(way: Ask, ask: dict[str, Any]) -> None:
    policy = replace(HASTY, timeout=Timeout(total=9, first_token=8, idle=0.3))
    script = [stalled(60.0, after=2, ping_every=50.0)]
    with FakeAnthropic(script) as fake, capture() as calls, pytest.raises(llmclient.StreamInterrupted):
        way(fake, ask, policy)
    assert calls.only.duration is not None
    assert calls.only.duration < 5


@streamed_way
def test_a_stream_that_goes_on_and_on_ends_with_the_total(way: Ask, ask: dict[str, Any]) -> None:
    script = [reply("word " * 400, deltas=400, ttft=0.01, duration=60.0)]
    with FakeAnthropic(script) as fake, capture() as calls, pytest.raises(llmclient.DeadlineExceeded) as caught:
        way(fake, ask, replace(HASTY, timeout=Timeout(total=0.5, first_token=0.4, idle=0.4)))
    assert caught.value.partial.startswith("word")
    assert calls[0].error is not None
    assert calls[0].error.category == "deadline_exceeded"


def test_a_longer_timeout_of_the_call_is_meant(ask: dict[str, Any]) -> None:
    with FakeAnthropic([slow(0.5, reply("late"))]) as fake:
        policy = replace(QUICK, timeout=Timeout(total=0.2))
        assert WAYS[0](fake, {**ask, "timeout": 5.0}, policy) == "late"


def test_a_longer_timeout_of_the_client_is_meant_where_there_is_no_policy() -> None:
    client = llmclient.instrument(anthropic.Anthropic(api_key="x", timeout=300.0))
    assert client.middleware[0].engine.policy.timeout.total == 300.0  # type: ignore[union-attr]
    assert client.with_options(timeout=600.0).middleware[0].engine.policy.timeout.total == 600.0  # type: ignore[union-attr]
    assert client.with_options(timeout=5.0).middleware[0].engine.policy.timeout.total == 300.0  # type: ignore[union-attr]


# --- the breaker -----------------------------------------------------------------------------------------------------


@way
def test_after_five_failures_in_a_row_nothing_is_sent(way: Ask, ask: dict[str, Any]) -> None:
    policy = replace(QUICK, retry=replace(QUICK.retry, attempts=1), breaker=Breaker(cooldown=60))
    with FakeAnthropic(lambda _: fail(500)) as fake, capture() as calls:
        for _ in range(5):
            with pytest.raises(anthropic.InternalServerError):
                way(fake, ask, policy)
        with pytest.raises(llmclient.CircuitOpen) as caught:
            way(fake, ask, policy)
        assert len(fake.requests) == 5
    assert isinstance(caught.value, llmclient.Unavailable)
    assert caught.value.call is calls[5]
    assert caught.value.retry_at.tzinfo is not None
    assert (calls[5].outcome, calls[5].attempts) == ("error", [])
    assert calls[5].error is not None
    assert calls[5].error.category == "circuit_open"


@way
def test_a_breaker_that_opens_stops_the_retries_of_the_call_that_opened_it(way: Ask, ask: dict[str, Any]) -> None:
    policy = replace(QUICK, retry=replace(QUICK.retry, attempts=9))
    with FakeAnthropic(lambda _: fail(500)) as fake, pytest.raises(llmclient.CircuitOpen):
        way(fake, ask, policy)
    assert len(fake.requests) == 5


@way
def test_a_probe_closes_it_again(way: Ask, ask: dict[str, Any]) -> None:
    breaker = Breaker(cooldown=0.01, probes=1)
    policy = replace(QUICK, retry=replace(QUICK.retry, attempts=1), breaker=breaker)
    with FakeAnthropic([fail(500)] * 5 + [reply("well again")] * 2) as fake:
        for _ in range(5):
            with pytest.raises(anthropic.InternalServerError):
                way(fake, ask, policy)
        said: list[str] = []
        while len(said) < 2:
            try:
                said.append(way(fake, ask, policy))
            except llmclient.CircuitOpen:
                continue
    assert said == ["well again", "well again"]


@way
def test_a_spend_limit_opens_it_at_once(way: Ask, ask: dict[str, Any]) -> None:
    with FakeAnthropic([spend_limit()]) as fake:
        with pytest.raises(anthropic.RateLimitError):
            way(fake, ask)
        with pytest.raises(llmclient.CircuitOpen):
            way(fake, ask)
        assert len(fake.requests) == 1


def test_other_models_have_a_breaker_of_their_own(ask: dict[str, Any]) -> None:
    policy = replace(QUICK, retry=replace(QUICK.retry, attempts=1))
    with FakeAnthropic([spend_limit(), reply("another pool")]) as fake:
        with pytest.raises(anthropic.RateLimitError):
            WAYS[0](fake, ask, policy)
        assert WAYS[0](fake, {**ask, "model": "claude-haiku-5-5"}, policy) == "another pool"


def test_a_circuit_may_be_opened_before_the_first_call(ask: dict[str, Any]) -> None:
    with FakeAnthropic() as fake:
        llm = llmclient.instrument(anthropic.Anthropic(api_key="x", base_url=fake.url))
        llmclient.open_circuit("claude-sonnet-5-5", reason="the status page says so")
        for asked in (ask, {**ask, "speed": "fast"}):
            with pytest.raises(llmclient.CircuitOpen):
                llm.beta.messages.create(**asked)
        llmclient.reset_circuit("claude-sonnet-5-5")
        llm.messages.create(**ask)


def test_a_circuit_may_be_opened_and_reset_by_hand(ask: dict[str, Any]) -> None:
    with FakeAnthropic() as fake:
        client = WAYS[0]
        client(fake, ask)
        llmclient.open_circuit("claude-sonnet-5-5")
        with pytest.raises(llmclient.CircuitOpen):
            client(fake, ask)
        llmclient.reset_circuit("claude-sonnet-5-5")
        client(fake, ask)


# --- what the SDK itself may be told ----------------------------------------------------------------------------------


def test_whoever_has_the_sdk_retry_gets_plain_attempts(ask: dict[str, Any]) -> None:
    with FakeAnthropic(lambda _: fail(500, headers={"retry-after-ms": "1"})) as fake, capture() as calls:
        client = llmclient.instrument(anthropic.Anthropic(api_key="x", base_url=fake.url), QUICK)
        with pytest.raises(anthropic.InternalServerError):
            client.post("/v1/messages", cast_to=anthropic.types.Message, body=ask, options={"max_retries": 2})
        assert len(fake.requests) == 3
    assert [len(call.attempts) for call in calls] == [1, 1, 1]


def test_the_budget_for_retries_is_used_up_at_last(ask: dict[str, Any]) -> None:
    policy = Policy(retry=Retry(attempts=2, base=0.001, cap=0.001), breaker=None)
    with FakeAnthropic(lambda _: fail(500)) as fake:
        for _ in range(12):
            with pytest.raises(anthropic.InternalServerError):
                WAYS[0](fake, ask, policy)
        assert len(fake.requests) == 12 + 10  # ten retries are saved up at the beginning
