"""Calls through a real client against a real socket: one call, one event, whatever happens on the way."""

import asyncio
import json
import threading
import time
from typing import Any

import anthropic
import httpx2
import pydantic
import pytest

import llmclient
from llmclient._recording import lend
from llmclient.testing import Answer, FakeAnthropic, broken, fail, hang_up, reply
from tests.llmclient.backend import Backend, configured, only_event, until
from tests.llmclient.conftest import async_client_of, client_of

SOON = {"retry-after-ms": "1"}
USAGE = {"input_tokens": 11, "cache_read_input_tokens": 7, "output_tokens": 5}


def test_a_plain_call_becomes_one_event(backend: Backend, ask: dict[str, Any]) -> None:
    configured(backend)
    before = time.time()
    with FakeAnthropic([reply("hello", usage=USAGE, model="claude-sonnet-5-5-20260901")]) as fake:
        message = client_of(fake).messages.create(
            **ask, tools=[{"name": "t", "input_schema": {"type": "object"}}], output_config={"effort": "low"}
        )
    event = only_event(backend)
    assert event["outcome"] == "ok"
    assert event["operation"] == "messages"
    assert event["model_requested"] == "claude-sonnet-5-5"
    assert event["model"] == "claude-sonnet-5-5-20260901"
    assert event["params"] == {"max_tokens": 50, "effort": "low", "tools": 1}
    assert {name: event["usage"][name] for name in USAGE} == USAGE
    assert event["usage"] == json.loads(message.to_json())["usage"]
    assert event["stop_reason"] == "end_turn"
    assert event["request_id"] == message._request_id
    assert (event["app"], event["release"], event["sdk"]) == (
        "helpdesk",
        "4.2",
        f"anthropic/{anthropic.__version__}",
    )
    assert event["stream"] is False
    assert "ttft_ms" not in event
    assert "usage_complete" not in event
    assert int(event["id"].replace("-", "")[:12], 16) / 1000 == pytest.approx(before, abs=2)
    assert event["limits"]["requests_limit"] > 0
    assert backend.requests[0]["authorization"] == "Bearer llv_ing_test"
    assert backend.requests[0]["path"] == "/api/v1/events"


def test_what_was_read_is_lent_once_and_to_nobody_who_asks_for_more() -> None:
    message = {"cost": 1.5}
    response = httpx2.Response(200, content=b'{"cost": 1.5}')
    lend(response, message)
    assert response.json() is message
    assert response.json() == message
    assert response.json() is not message
    lend(response, message)
    assert response.json(parse_float=str) == {"cost": "1.5"}
    assert response.json() is not message


def test_an_application_that_reads_the_answer_itself_gets_one_of_its_own(ask: dict[str, Any]) -> None:
    with FakeAnthropic([reply("hello", usage=USAGE)]) as fake, llmclient.context() as call:
        raw = client_of(fake).messages.with_raw_response.create(**ask)
        raw.http_response.json()["usage"].clear()
    assert call.last is not None
    assert call.last.usage is not None
    assert call.last.usage["output_tokens"] == 5


def test_retries_are_attempts_of_one_event(backend: Backend, ask: dict[str, Any]) -> None:
    configured(backend)
    script: list[Answer] = [fail(529, headers=SOON), fail(529, headers=SOON), reply("at last")]
    with FakeAnthropic(script) as fake, llmclient.context() as call:
        client_of(fake).messages.create(**ask)
        retry_counts = [request.headers["x-stainless-retry-count"] for request in fake.requests]
    event = only_event(backend)
    assert [attempt["status"] for attempt in event["attempts"]] == [529, 529, 200]
    assert [attempt.get("category") for attempt in event["attempts"]] == ["overloaded", "overloaded", None]
    assert [attempt["n"] for attempt in event["attempts"]] == [1, 2, 3]
    assert [attempt["wait_ms"] for attempt in event["attempts"]] == [0, 1, 1]
    assert retry_counts == ["0", "1", "2"]
    assert event["outcome"] == "ok"
    assert len(call.attempts) == 3
    assert [attempt.status for attempt in call.attempts] == [529, 529, 200]


async def async_retries(ask: dict[str, Any], fake: FakeAnthropic) -> None:
    await async_client_of(fake).messages.create(**ask)


def test_the_async_client_retries_alike(backend: Backend, ask: dict[str, Any]) -> None:
    configured(backend)
    with FakeAnthropic([hang_up(), fail(429, retry_after=0.001), reply("at last")]) as fake:
        asyncio.run(async_retries(ask, fake))
    event = only_event(backend)
    assert [attempt.get("category") for attempt in event["attempts"]] == ["connection", "rate_limit", None]
    assert [attempt.get("status") for attempt in event["attempts"]] == [None, 429, 200]
    assert event["attempts"][1]["retry_after_s"] == 0.001


def test_the_error_of_the_last_attempt_is_the_callers(backend: Backend, ask: dict[str, Any]) -> None:
    configured(backend)
    with FakeAnthropic([fail(500, headers=SOON)] * 3) as fake:
        with pytest.raises(anthropic.InternalServerError) as caught:
            client_of(fake).messages.create(**ask)
        assert len(fake.requests) == 3
    event = only_event(backend)
    assert event["outcome"] == "error"
    assert event["error"] == {
        "category": "server_error",
        "type": "api_error",
        "status": 500,
        "message": "Internal server error",
    }
    assert [attempt["category"] for attempt in event["attempts"]] == ["server_error"] * 3
    assert event["request_id"] == caught.value.request_id
    assert llmclient.category(caught.value) == "server_error"


def test_an_error_that_no_retry_cures_is_not_retried(backend: Backend, ask: dict[str, Any]) -> None:
    configured(backend)
    with FakeAnthropic([fail(400, message="max_tokens: too large")]) as fake:
        with pytest.raises(anthropic.BadRequestError):
            client_of(fake).messages.create(**ask)
        assert len(fake.requests) == 1
    event = only_event(backend)
    assert event["error"]["category"] == "invalid_request"
    assert event["error"]["message"] == "max_tokens: too large"


def test_a_connection_that_fails_to_the_end_raises_what_the_sdk_raises(
    backend: Backend, ask: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    configured(backend)
    with FakeAnthropic([hang_up()] * 3) as fake, pytest.raises(anthropic.APIConnectionError):
        client_of(fake).messages.create(**ask)
    event = only_event(backend)
    assert event["error"]["category"] == "connection"
    assert len(event["attempts"]) == 3


def test_a_timeout_is_a_timeout(backend: Backend, ask: dict[str, Any]) -> None:
    configured(backend)
    with FakeAnthropic(lambda _: reply("late", ttft=5.0)) as fake, pytest.raises(anthropic.APITimeoutError):
        client_of(fake, max_retries=0).messages.create(**ask, timeout=0.1)
    event = only_event(backend)
    assert event["error"] == {"category": "timeout", "type": "APITimeoutError"}


def test_a_refusal_is_an_answer_with_its_reason(backend: Backend, ask: dict[str, Any]) -> None:
    configured(backend)
    with FakeAnthropic([reply("no", stop_reason="refusal", stop_category="cyber")]) as fake:
        client_of(fake).messages.create(**ask)
    event = only_event(backend)
    assert (event["outcome"], event["stop_reason"], event["stop_category"]) == ("ok", "refusal", "cyber")


def test_a_body_that_is_no_json_is_invalid_output(backend: Backend, ask: dict[str, Any]) -> None:
    configured(backend)
    with FakeAnthropic([broken("malformed")]) as fake, pytest.raises(ValueError, match=r".*"):
        client_of(fake).messages.create(**ask)
    event = only_event(backend)
    assert (event["outcome"], event["error"]["category"]) == ("error", "invalid_output")


def test_a_cancelled_task_has_cancelled_its_call(backend: Backend, ask: dict[str, Any]) -> None:
    async def cancel(fake: FakeAnthropic, **more: Any) -> None:
        task = asyncio.ensure_future(async_client_of(fake).messages.create(**ask, **more))
        await until(lambda: fake.requests)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    configured(backend)
    with FakeAnthropic([reply("late", ttft=30.0)]) as fake:
        asyncio.run(cancel(fake))
    event = only_event(backend)
    assert (event["outcome"], event["error"]["category"]) == ("cancelled", "cancelled")


def test_a_task_cancelled_while_waiting_to_retry_has_cancelled_its_call(backend: Backend, ask: dict[str, Any]) -> None:
    async def cancel(fake: FakeAnthropic) -> None:
        with llmclient.context() as call:
            task = asyncio.ensure_future(async_client_of(fake).messages.create(**ask))
            await until(lambda: call.attempts and call.attempts[0].status)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    configured(backend)
    with FakeAnthropic([fail(529, retry_after=30)]) as fake:
        asyncio.run(cancel(fake))
    event = only_event(backend)
    assert event["outcome"] == "cancelled"
    assert [attempt["category"] for attempt in event["attempts"]] == ["overloaded"]


def test_a_program_interrupted_while_waiting_to_retry_has_cancelled_its_call(
    backend: Backend, ask: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    asleep = time.sleep

    def interrupt(seconds: float) -> None:
        # The sender sleeps, too, in a thread of its own, and nobody interrupts that.
        if threading.current_thread() is not threading.main_thread():
            return asleep(seconds)
        raise KeyboardInterrupt

    configured(backend)
    with FakeAnthropic([fail(529, retry_after=30)]) as fake:
        client = client_of(fake)
        with monkeypatch.context() as patched:
            patched.setattr("llmclient._effects.time.sleep", interrupt)
            with pytest.raises(KeyboardInterrupt):
                client.messages.create(**ask)
    assert only_event(backend)["outcome"] == "cancelled"


# --- what else a client can do ---------------------------------------------------------------------------------------


class Ticket(pydantic.BaseModel):
    queue: str


def test_parse_keeps_working_and_is_measured(backend: Backend, ask: dict[str, Any]) -> None:
    configured(backend)
    with FakeAnthropic([reply('{"queue": "billing"}')]) as fake:
        message = client_of(fake).messages.parse(**ask, output_format=Ticket)
    assert message.parsed_output == Ticket(queue="billing")
    assert only_event(backend)["outcome"] == "ok"


def test_counting_tokens_is_an_operation_of_its_own_and_used_nothing(backend: Backend, ask: dict[str, Any]) -> None:
    configured(backend)
    with FakeAnthropic() as fake:
        counted = client_of(fake).messages.count_tokens(model=ask["model"], messages=ask["messages"])
    assert counted.input_tokens > 0
    event = only_event(backend)
    assert event["operation"] == "count_tokens"
    assert "usage" not in event


def test_other_endpoints_work_retry_and_make_no_event(backend: Backend, ask: dict[str, Any]) -> None:
    configured(backend)
    with FakeAnthropic([fail(529, headers=SOON)]) as fake:
        client = client_of(fake)
        assert [model.id for model in client.models.list()] != []
    assert llmclient.flush(30)
    assert backend.events == []


def test_raw_and_streaming_responses_are_measured(backend: Backend, ask: dict[str, Any]) -> None:
    configured(backend)
    with FakeAnthropic([reply("raw", usage=USAGE), reply("piecewise", usage=USAGE)]) as fake:
        client = client_of(fake)
        assert client.messages.with_raw_response.create(**ask).parse().content[0].text == "raw"
        with client.messages.with_streaming_response.create(**ask) as response:
            assert json.loads(response.read())["content"][0]["text"] == "piecewise"
    assert llmclient.flush(30)
    assert [event["usage"]["output_tokens"] for event in backend.events] == [5, 5]
    assert [event["outcome"] for event in backend.events] == ["ok", "ok"]


def test_middleware_of_the_application_runs_inside_once_per_attempt(backend: Backend, ask: dict[str, Any]) -> None:
    seen: list[int] = []

    def own(request: anthropic.APIRequest, call_next: Any) -> Any:
        seen.append(request.retries_taken)
        return call_next(request)

    configured(backend)
    with FakeAnthropic([fail(529, headers=SOON), reply("ok")]) as fake:
        client_of(fake, middleware=[own]).messages.create(**ask)
    assert seen == [0, 1]
    assert len(only_event(backend)["attempts"]) == 2


def test_an_answer_out_of_the_applications_own_middleware_is_from_a_cache(
    backend: Backend, ask: dict[str, Any]
) -> None:
    answer = anthropic.types.Message.model_construct(content=[], role="assistant")
    configured(backend)
    with FakeAnthropic() as fake:
        client = client_of(fake, middleware=[lambda request, call_next: answer])
        assert client.messages.create(**ask) is answer
        assert len(fake.requests) == 0
    event = only_event(backend)
    assert (event["source"], event["outcome"]) == ("cache", "ok")
    assert "usage" not in event
