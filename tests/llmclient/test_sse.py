"""The stream reader: any cut of the bytes gives the same facts."""

import json
from typing import Any

import pytest

from llmclient._sse import StreamReader


def event(name: str, **fields: Any) -> bytes:
    return f"event: {name}\ndata: {json.dumps({'type': name, **fields})}\n\n".encode()


START = event("message_start", message={"model": "claude-x", "usage": {"input_tokens": 9, "output_tokens": 1}})
BLOCK = event("content_block_start", index=0, content_block={"type": "text", "text": ""})


def delta(kind: str, index: int = 0, **fields: Any) -> bytes:
    return event("content_block_delta", index=index, delta={"type": kind, **fields})


def end(output: int, reason: str | None = "end_turn") -> bytes:
    return event("message_delta", delta={"stop_reason": reason}, usage={"output_tokens": output})


STOP = event("message_stop")
WHOLE = (
    START
    + BLOCK
    + event("ping")
    + delta("text_delta", text="Grüße, ")
    + delta("text_delta", text="Welt")
    + end(5, None)
    + end(8)
    + STOP
)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 50, 10_000])
@pytest.mark.parametrize("newline", [b"\n", b"\r\n"])
def test_however_the_bytes_are_cut_the_facts_are_the_same(size: int, newline: bytes) -> None:
    data = WHOLE.replace(b"\n", newline)
    reader = StreamReader()
    for number, start in enumerate(range(0, len(data), size)):
        assert reader.feed(data[start : start + size], float(number)) is None
    assert reader.stopped
    assert reader.usage_final
    assert reader.model == "claude-x"
    assert reader.stop_reason == "end_turn"
    assert reader.settled_usage() == {"input_tokens": 9, "output_tokens": 8}
    assert reader.text() == "Grüße, Welt"
    assert reader.content() == [{"type": "text", "text": "Grüße, Welt"}]


def test_thinking_comes_before_the_first_text() -> None:
    reader = StreamReader()
    reader.feed(START, 1.0)
    reader.feed(delta("thinking_delta", thinking="hm"), 2.0)
    reader.feed(delta("text_delta", index=1, text="a"), 3.0)
    reader.feed(delta("text_delta", index=1, text="b"), 4.0)
    assert (reader.first_delta_at, reader.first_text_at) == (2.0, 3.0)
    assert reader.content() == [{"type": "text", "thinking": "hm"}, {"type": "text", "text": "ab"}]


def test_tool_input_is_put_together_from_its_parts() -> None:
    reader = StreamReader()
    tool = {"type": "tool_use", "id": "t1", "name": "look_up", "input": {}}
    reader.feed(START + event("content_block_start", index=0, content_block=tool), 0.0)
    reader.feed(delta("input_json_delta", partial_json='{"city": '), 0.0)
    reader.feed(delta("input_json_delta", partial_json='"Ulm"}'), 0.0)
    assert reader.content() == [{**tool, "input": {"city": "Ulm"}}]


def test_a_stream_that_broke_off_is_charged_for_the_text_received() -> None:
    reader = StreamReader()
    reader.feed(START + delta("text_delta", text="x" * 35) + delta("thinking_delta", thinking="y" * 35), 0.0)
    assert not reader.usage_final
    assert reader.settled_usage() == {"input_tokens": 9, "output_tokens": 20}


def test_the_count_reported_last_is_kept_when_it_is_above_the_estimate() -> None:
    reader = StreamReader()
    reader.feed(START + delta("text_delta", text="x" * 7) + end(40, None), 0.0)
    assert reader.settled_usage()["output_tokens"] == 40


def test_text_beyond_what_is_kept_still_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llmclient._sse.KEPT_BYTES", 500)
    reader = StreamReader()
    reader.feed(START + b"".join(delta("text_delta", text="x" * 350) for _ in range(10)), 0.0)
    assert reader.kept <= 500
    assert 900 <= reader.settled_usage()["output_tokens"] <= 1100  # 1000 by the text


@pytest.mark.parametrize("size", [1, 5, 33, 10_000])
def test_the_bytes_before_an_error_event_may_be_passed_on_and_no_more(size: int) -> None:
    before = START + delta("text_delta", text="half")
    data = before + event("error", error={"type": "overloaded_error", "message": "Overloaded"})
    reader = StreamReader()
    passed_on = b""
    for start in range(0, len(data), size):
        chunk = data[start : start + size]
        cut = reader.feed(chunk, 0.0)
        passed_on += chunk if cut is None else chunk[:cut]
        if cut is not None:
            break
    assert reader.error == {"type": "overloaded_error", "message": "Overloaded"}
    assert passed_on.startswith(before)
    assert not passed_on.endswith(b"\n\n") or passed_on == before


def test_an_error_event_that_is_no_json_is_told_as_it_is() -> None:
    reader = StreamReader()
    reader.feed(b"event: error\ndata: gone away\n\n", 0.0)
    assert reader.error == {"message": "gone away"}


def test_bytes_that_are_no_events_are_no_message() -> None:
    reader = StreamReader()
    reader.feed(b'{"an": "object"}', 0.0)
    assert (reader.events, reader.usage, reader.settled_usage()) == (0, {}, {})


def test_a_delta_that_is_no_json_is_passed_over() -> None:
    broken = b'event: content_block_delta\ndata: {"index": 0, "delta": {}\n\n'
    reader = StreamReader()
    reader.feed(START + BLOCK + delta("text_delta", text="a") + broken + delta("text_delta", text="b"), 1.0)
    assert (reader.events, reader.text()) == (5, "ab")
    assert reader.content() == [{"type": "text", "text": "ab"}]


@pytest.mark.parametrize(
    "spelled", [b"event: %s\ndata: %s\n\n", b"event:%s \ndata:%s\n\n", b"data: %s\r\nevent: %s\r\n\r\n"]
)
def test_an_event_may_be_written_otherwise(spelled: bytes) -> None:
    name, data = b"content_block_delta", b'{"index": 0, "delta": {"type": "text_delta", "text": "c"}}'
    reader = StreamReader()
    reader.feed(START + BLOCK, 1.0)
    reader.feed(spelled % ((data, name) if spelled.startswith(b"data") else (name, data)), 2.0)
    assert (reader.text(), reader.first_delta_at) == ("c", 2.0)
