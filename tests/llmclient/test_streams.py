"""Streams through a real client: usage, times, and every way in which they break off."""

import asyncio
import gc
from typing import Any

import anthropic
import httpx2
import pytest

import llmclient
from llmclient.testing import FakeAnthropic, broken, reply, stalled
from tests.llmclient.backend import Backend, configured, only_event
from tests.llmclient.conftest import async_client_of, client_of

USAGE = {"input_tokens": 11, "cache_read_input_tokens": 7, "output_tokens": 5}


def test_a_stream_carries_merged_usage_and_the_times_to_first_token(backend: Backend, ask: dict[str, Any]) -> None:
    configured(backend)
    script = [reply("some text", thinking="hm", usage=USAGE, usage_updates=3, ttft=0.05)]
    with FakeAnthropic(script) as fake, llmclient.context() as call, client_of(fake).messages.stream(**ask) as stream:
        assert stream.get_final_text() == "some text"
    event = only_event(backend)
    assert event["stream"] is True
    assert event["outcome"] == "ok"
    assert {name: event["usage"][name] for name in USAGE} == USAGE
    assert 50 <= event["ttft_ms"] <= event["ttft_text_ms"] <= event["duration_ms"]
    assert "usage_complete" not in event
    assert event["stop_reason"] == "end_turn"
    assert call.ttft is not None
    assert call.ttft >= 0.05


def test_create_with_stream_is_measured_like_stream(backend: Backend, ask: dict[str, Any]) -> None:
    configured(backend)
    with FakeAnthropic([reply("some text", usage=USAGE)]) as fake:
        kinds = [event.type for event in client_of(fake).messages.create(**ask, stream=True)]
    assert kinds[-1] == "message_stop"
    assert only_event(backend)["usage"]["output_tokens"] == 5


@pytest.mark.parametrize(
    ("how", "type_", "cause"),
    [("error", "overloaded_error", None), ("eof", "eof", None), ("reset", "ReadError", httpx2.ReadError)],
)
def test_a_stream_that_breaks_off_raises_and_is_charged_for_what_came(
    backend: Backend, ask: dict[str, Any], how: str, type_: str, cause: type[Exception] | None
) -> None:
    configured(backend)
    with (
        FakeAnthropic([broken(how, after=2, text="x" * 28, input_tokens=11)]) as fake,
        client_of(fake).messages.stream(**ask) as stream,
        pytest.raises(llmclient.StreamInterrupted) as caught,
    ):
        stream.get_final_message()
    event = only_event(backend)
    assert event["outcome"] == "error"
    assert (event["error"]["category"], event["error"]["type"]) == ("stream_interrupted", type_)
    assert event["attempts"][0]["category"] == "stream_interrupted"
    assert event["usage_complete"] is False
    assert event["usage"]["input_tokens"] == 11
    assert event["usage"]["output_tokens"] == 4  # 14 characters at 3.5 a token
    error = caught.value
    assert error.partial == "x" * 14
    assert isinstance(error, anthropic.APIError)
    assert type(error.__cause__) is (cause or type(None))
    assert str(error.call and error.call.id) == event["id"]


@pytest.mark.parametrize("how", ["error", "eof", "reset"])
def test_an_async_stream_that_breaks_off_raises_alike(backend: Backend, ask: dict[str, Any], how: str) -> None:
    async def read(fake: FakeAnthropic) -> None:
        async with async_client_of(fake).messages.stream(**ask) as stream:
            await stream.get_final_message()

    configured(backend)
    with FakeAnthropic([broken(how, after=1)]) as fake, pytest.raises(llmclient.StreamInterrupted):
        asyncio.run(read(fake))
    assert only_event(backend)["error"]["category"] == "stream_interrupted"


def test_a_stream_that_stalls_ends_with_the_read_timeout(backend: Backend, ask: dict[str, Any]) -> None:
    configured(backend)
    with FakeAnthropic([stalled(5.0, after=1)]) as fake:
        client = client_of(fake, timeout=httpx2.Timeout(30, read=0.6))  # the fake pings every second
        with client.messages.stream(**ask) as stream, pytest.raises(llmclient.StreamInterrupted) as caught:
            stream.get_final_message()
    assert isinstance(caught.value.__cause__, httpx2.ReadTimeout)
    event = only_event(backend)
    assert (event["error"]["type"], event["usage_complete"]) == ("ReadTimeout", False)


def test_a_caller_who_closes_early_has_cancelled(backend: Backend, ask: dict[str, Any]) -> None:
    configured(backend)
    with FakeAnthropic([reply("x" * 40, deltas=4)]) as fake, client_of(fake).messages.stream(**ask) as stream:
        for event in stream:
            if event.type == "content_block_delta":
                break
    measured = only_event(backend)
    assert measured["outcome"] == "cancelled"
    assert measured["error"] == {"category": "cancelled"}
    assert measured["usage_complete"] is False
    assert measured["usage"]["output_tokens"] >= 1


def test_a_caller_who_closes_after_the_last_event_has_not(backend: Backend, ask: dict[str, Any]) -> None:
    configured(backend)
    with FakeAnthropic([reply("all of it")]) as fake:
        stream = client_of(fake).messages.create(**ask, stream=True)
        for event in stream:
            if event.type == "message_stop":
                break
        stream.close()
    assert only_event(backend)["outcome"] == "ok"


def test_a_stream_nobody_reads_is_cancelled_when_it_is_dropped(backend: Backend, ask: dict[str, Any]) -> None:
    configured(backend)
    with FakeAnthropic([reply("never read")] * 2) as fake:
        client = client_of(fake)
        client.messages.create(**ask, stream=True).close()
        client.messages.create(**ask, stream=True)
        gc.collect()
    assert llmclient.flush(30)
    assert [event["outcome"] for event in backend.events] == ["cancelled", "cancelled"]
