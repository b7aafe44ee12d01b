"""A message becomes a stream of events and comes back out of one unchanged."""

import json
from typing import Any

import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmclient import _message, _stream
from llmclient.testing import FakeAnthropic, broken, reply
from tests.llmclient.conftest import ASK

texts = st.text(max_size=40)
scalars = st.none() | st.booleans() | st.integers(-(2**40), 2**40) | texts
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3))
blocks = st.one_of(
    st.fixed_dictionaries({"type": st.just("text"), "text": texts}),
    st.fixed_dictionaries(
        {"type": st.just("text"), "text": texts, "citations": st.lists(st.just({"cited_text": "x"}), min_size=1)}
    ),
    st.fixed_dictionaries({"type": st.just("thinking"), "thinking": texts, "signature": texts}),
    st.fixed_dictionaries(
        {
            "type": st.sampled_from(["tool_use", "server_tool_use", "mcp_tool_use"]),
            "id": texts,
            "name": texts,
            "input": st.dictionaries(texts, values, max_size=3),
        }
    ),
    st.fixed_dictionaries({"type": st.just("redacted_thinking"), "data": texts}),
    st.fixed_dictionaries({"type": st.just("web_search_tool_result"), "content": st.lists(st.just({"url": "u"}))}),
)


@given(st.lists(blocks, max_size=4), st.integers(1, 7), st.integers(0, 999))
@settings(max_examples=200, deadline=None)
def test_what_goes_into_a_stream_comes_out_of_it(content: list[dict[str, Any]], pieces: int, tokens: int) -> None:
    usage = {"input_tokens": 3, "output_tokens": tokens, "service_tier": "standard"}
    message = {**_message.of("x", model="claude-haiku-5-5"), "content": content, "usage": usage}
    assert _stream.message_of(_stream.events_of(message, pieces=pieces)) == message


def test_what_a_message_carries_beside_its_content_arrives_too() -> None:
    message = {
        **_message.of("x", model="claude-haiku-5-5"),
        "container": {"id": "container_1", "expires_at": "2026-12-01T00:00:00Z"},
        "context_management": {"applied_edits": []},
    }
    assert _stream.message_of(_stream.events_of(message)) == message


def test_deltas_of_a_kind_not_known_here_bring_fields_of_the_block() -> None:
    start = {"type": "content_block_start", "index": 0, "content_block": {"type": "compaction", "content": None}}
    delta = {"type": "compaction_delta", "content": "in short", "encrypted_content": "e"}
    events = [
        {"type": "message_start", "message": {"type": "message", "content": [], "usage": {}}},
        start,
        {"type": "content_block_delta", "index": 0, "delta": delta},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_stop"},
    ]
    data = b"".join(b"data: %s\n\n" % json.dumps(event).encode() for event in events)
    found = _stream.message_of(data)
    assert found is not None
    assert found["content"] == [{"type": "compaction", "content": "in short", "encrypted_content": "e"}]
    assert _stream.message_of(_stream.events_of({**found, "type": "message"})) is not None


def test_of_a_block_nobody_ended_the_text_counts_and_an_input_that_was_cut_off_does_not() -> None:
    tool = {"type": "tool_use", "id": "t", "name": "look", "input": {}}
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": {"type": "message", "content": [], "usage": {}}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": "a"}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "b"}},
        {"type": "content_block_start", "index": 1, "content_block": tool},
        {"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": '{"x'}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "c"}},
        {"type": "message_stop"},
    ]
    found = _stream.assembled(events)
    assert found is not None
    assert found["content"] == [{"type": "text", "text": "abc"}, tool]


def received(fake: FakeAnthropic, *, stream: bool) -> bytes:
    body = {**ASK, "stream": stream}
    return httpx2.post(f"{fake.url}/v1/messages", json=body, headers={"authorization": "Bearer x"}).content


def test_a_stream_of_claudes_is_read_as_the_plain_answer_says_it() -> None:
    answer = reply("some words\n\nand more", thinking="Hm.", deltas=3, pings=2, usage={"cache_read_input_tokens": 7})
    with FakeAnthropic([answer, answer]) as fake:
        streamed, plain = _stream.message_of(received(fake, stream=True)), json.loads(received(fake, stream=False))
    assert streamed is not None
    assert {**streamed, "id": ""} == {**plain, "id": ""}


@pytest.mark.parametrize("how", ["error", "eof", "malformed"])
def test_a_stream_that_broke_off_is_no_message(how: str) -> None:
    with FakeAnthropic([broken(how)]) as fake:
        try:
            data = received(fake, stream=True)
        except httpx2.RemoteProtocolError:
            data = b""
    assert _stream.message_of(data) is None


@pytest.mark.parametrize(
    "data", [b"", b"not a stream", b"data: {}\n\n", b"data: 1\n\n", b'data: {"type":"message_stop"}\n\n']
)
def test_other_bytes_are_no_message(data: bytes) -> None:
    assert _stream.message_of(data) is None


def test_the_pieces_of_a_text_are_equal_but_for_the_last() -> None:
    message = _message.of("abcdefgh", model="claude-haiku-5-5")
    events = [
        json.loads(line[6:]) for line in _stream.events_of(message, pieces=3).splitlines() if line[:5] == b"data:"
    ]
    deltas = [event["delta"]["text"] for event in events if event["type"] == "content_block_delta"]
    assert deltas == ["abc", "def", "gh"]
