"""Bodies passed on byte for byte, watched or not; compressed ones too."""

import asyncio
import gc
import gzip
import json
import zlib
from typing import Any

import anthropic
import httpx2
import pytest

import llmclient
from tests.llmclient.backend import Backend, only_event
from tests.llmclient.scripted import END, MESSAGE, START, TEXT, USAGE, Scripted, event


@pytest.mark.parametrize(
    ("encoding", "encode"), [("", bytes), ("identity", bytes), ("gzip", gzip.compress), ("deflate", zlib.compress)]
)
def test_a_stream_is_measured_in_every_encoding(
    backend: Backend, scripted: Scripted, ask: dict[str, Any], encoding: str, encode: Any
) -> None:
    llmclient.configure(backend.dsn)
    scripted.body, scripted.encoding = encode(START + TEXT + END), encoding
    with scripted.client().messages.stream(**ask) as stream:
        assert stream.get_final_text() == "hi"
    measured = only_event(backend)
    assert measured["usage"] == USAGE
    assert measured["outcome"] == "ok"


def test_an_error_in_a_compressed_stream_is_the_sdks_and_is_measured(
    backend: Backend, scripted: Scripted, ask: dict[str, Any]
) -> None:
    llmclient.configure(backend.dsn)
    scripted.body = gzip.compress(START + TEXT + event("error", error={"type": "overloaded_error", "message": "no"}))
    scripted.encoding = "gzip"
    with scripted.client().messages.stream(**ask) as stream, pytest.raises(anthropic.APIStatusError) as caught:
        stream.get_final_message()
    assert llmclient.category(caught.value) == "overloaded"
    measured = only_event(backend)
    assert (measured["outcome"], measured["error"]["category"]) == ("error", "stream_interrupted")


def test_a_connection_lost_after_the_last_event_goes_unnoticed(
    backend: Backend, scripted: Scripted, ask: dict[str, Any]
) -> None:
    llmclient.configure(backend.dsn)
    scripted.body, scripted.length = START + TEXT + END, False
    events = list(scripted.client().messages.create(**ask, stream=True))
    assert events[-1].type == "message_stop"
    assert only_event(backend)["outcome"] == "ok"


def test_a_plain_body_read_piece_by_piece_and_cut_off_is_an_error_of_the_transport(
    backend: Backend, scripted: Scripted, ask: dict[str, Any]
) -> None:
    llmclient.configure(backend.dsn)
    scripted.body, scripted.length, scripted.kind = b'{"id": "m"', False, "application/json"
    with (
        scripted.client().messages.with_streaming_response.create(**ask) as response,
        pytest.raises(Exception, match=r"incomplete|closed"),
    ):
        response.read()
    measured = only_event(backend)
    assert (measured["outcome"], measured["error"]["category"]) == ("error", "connection")


def test_a_plain_body_that_is_not_read_is_cancelled(backend: Backend, scripted: Scripted, ask: dict[str, Any]) -> None:
    llmclient.configure(backend.dsn)
    scripted.body, scripted.kind = json.dumps(MESSAGE).encode(), "application/json"
    with scripted.client().messages.with_streaming_response.create(**ask):
        pass
    assert only_event(backend)["outcome"] == "cancelled"


def test_a_stream_in_a_format_we_do_not_read_is_measured_without_usage(
    backend: Backend, scripted: Scripted, ask: dict[str, Any]
) -> None:
    llmclient.configure(backend.dsn)
    scripted.body, scripted.kind = b"\x00\x00\x00\x10binary", "application/vnd.amazon.eventstream"
    with scripted.client().messages.with_streaming_response.create(**ask) as response:
        assert response.read() == scripted.body
    measured = only_event(backend)
    assert measured["outcome"] == "ok"
    assert measured["usage_complete"] is False
    assert "usage" not in measured


def test_a_body_in_an_encoding_nobody_can_undo_is_passed_on_and_measured_without_usage(
    backend: Backend, scripted: Scripted, ask: dict[str, Any]
) -> None:
    llmclient.configure(backend.dsn)
    scripted.body, scripted.encoding = START + TEXT + END, "rot13"
    with scripted.client().messages.stream(**ask) as stream:
        assert stream.get_final_text() == "hi"
    measured = only_event(backend)
    assert (measured["outcome"], measured["usage_complete"]) == ("ok", False)


def test_a_plain_body_too_large_to_look_into_is_passed_on_all_the_same(
    backend: Backend, scripted: Scripted, ask: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llmclient._watch.LARGEST_BODY", 10)
    llmclient.configure(backend.dsn)
    scripted.body, scripted.kind = json.dumps(MESSAGE).encode(), "application/json"
    with scripted.client().messages.with_streaming_response.create(**ask) as response:
        assert response.read() == scripted.body
    assert only_event(backend)["usage_complete"] is False


def test_an_application_that_drops_an_unread_body_has_cancelled(
    backend: Backend, scripted: Scripted, ask: dict[str, Any]
) -> None:
    llmclient.configure(backend.dsn)
    scripted.body, scripted.length = START + TEXT, False
    scripted.client().messages.create(**ask, stream=True)
    gc.collect()
    measured = only_event(backend)
    assert (measured["outcome"], measured["attempts"][0]["category"]) == ("cancelled", "cancelled")


def test_an_error_whose_body_is_cut_off_raises_as_without_us(
    backend: Backend, scripted: Scripted, ask: dict[str, Any]
) -> None:
    """A streamed request leaves the body of an error unread; the SDK reads it and lets the transport error out."""
    llmclient.configure(backend.dsn)
    scripted.body, scripted.length, scripted.status = b'{"error": ', False, 529
    with pytest.raises(httpx2.RemoteProtocolError):
        anthropic.Anthropic(**scripted.options).messages.create(**ask, stream=True)
    with pytest.raises(httpx2.RemoteProtocolError):
        scripted.client().messages.create(**ask, stream=True)
    measured = only_event(backend)
    assert measured["error"] == {"category": "overloaded", "status": 529}


def test_an_error_whose_body_is_cut_off_raises_alike_in_async_code(
    backend: Backend, scripted: Scripted, ask: dict[str, Any]
) -> None:
    async def call() -> None:
        await scripted.async_client().messages.create(**ask, stream=True)

    llmclient.configure(backend.dsn)
    scripted.body, scripted.length, scripted.status = b'{"error": ', False, 529
    with pytest.raises(httpx2.RemoteProtocolError):
        asyncio.run(call())
    assert only_event(backend)["error"]["category"] == "overloaded"


def test_an_async_stream_survives_a_connection_lost_after_its_last_event(
    backend: Backend, scripted: Scripted, ask: dict[str, Any]
) -> None:
    async def call() -> list[str]:
        stream = await scripted.async_client().messages.create(**ask, stream=True)
        return [item.type async for item in stream]

    llmclient.configure(backend.dsn)
    scripted.body, scripted.length = START + TEXT + END, False
    assert asyncio.run(call())[-1] == "message_stop"
    assert only_event(backend)["outcome"] == "ok"


def test_a_task_cancelled_in_the_middle_of_its_stream_has_cancelled(
    backend: Backend, scripted: Scripted, ask: dict[str, Any]
) -> None:
    async def call() -> None:
        client = scripted.async_client()
        stream = await client.messages.create(**ask, stream=True)
        async for item in stream:
            if item.type == "content_block_delta":
                await client.close()
                raise asyncio.CancelledError

    llmclient.configure(backend.dsn)
    scripted.body = START + TEXT
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(call())
    gc.collect()
    assert only_event(backend)["outcome"] == "cancelled"
