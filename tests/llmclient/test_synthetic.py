"""Contract with the installed SDK: an answer made here goes through every way of asking as one of Claude's would."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any, Literal
from uuid import UUID

import anthropic
import pydantic
import pytest
from anthropic import APIRequest

from llmclient import _message, _synthetic
from tests.llmclient.conftest import ASK

CALL_ID = UUID("01939e6a-5c00-7000-8000-000000000001")
MESSAGE_ID = "msg_llmclient_01939e6a5c0070008000000000000001"
TEXT = "Guten Tag, 你好\u2028\x85 “quoted”\nnext line"
TOOL = {"type": "tool_use", "id": "toolu_1", "name": "look_up", "input": {"city": "Köln", "days": [1, 2]}}
THINKING = {"type": "thinking", "thinking": "Hm. Let me see.", "signature": "c2lnbmVk"}
CITED = {
    "type": "text",
    "text": "It is so.",
    "citations": [
        {
            "type": "char_location",
            "cited_text": "so",
            "document_index": 0,
            "document_title": None,
            "file_id": None,
            "start_char_index": 3,
            "end_char_index": 5,
        }
    ],
}


class Ticket(pydantic.BaseModel):
    queue: Literal["billing", "bug"]
    urgency: int


class Local(anthropic.Middleware):
    """Answers everything itself, as the engine does from a cache or a rule."""

    def __init__(self, content: str | list[dict[str, Any]], *, pieces: int = 1, **more: Any) -> None:
        self.message = _message.of({"content": content, **more}, model="claude-sonnet-5-5", call_id=CALL_ID)
        self.pieces = pieces

    def handle(self, request: APIRequest, call_next: Any) -> Any:
        return _synthetic.api_response(request, self.message, asynchronous=False, pieces=self.pieces)

    async def handle_async(self, request: APIRequest, call_next: Any) -> Any:
        return _synthetic.api_response(request, self.message, asynchronous=True, pieces=self.pieces)


def client(middleware: anthropic.Middleware) -> anthropic.Anthropic:
    return anthropic.Anthropic(api_key="x", base_url="http://127.0.0.1:9", max_retries=0, middleware=[middleware])


def ask_async(middleware: anthropic.Middleware, ask: Callable[[anthropic.AsyncAnthropic], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        options: dict[str, Any] = {"api_key": "x", "base_url": "http://127.0.0.1:9", "max_retries": 0}
        async with anthropic.AsyncAnthropic(**options, middleware=[middleware]) as llm:
            return await ask(llm)

    return asyncio.run(run())


def assert_answer(message: Any) -> None:
    assert (message.id, message.role, message.model) == (MESSAGE_ID, "assistant", "claude-sonnet-5-5")
    assert [(block.type, block.text) for block in message.content] == [("text", TEXT)]
    assert message.stop_reason == "end_turn"
    assert (message.usage.input_tokens, message.usage.output_tokens) == (0, 0)
    assert (message.usage.cache_creation_input_tokens, message.usage.cache_read_input_tokens) == (0, 0)


def test_a_plain_call_gets_a_message() -> None:
    message = client(Local(TEXT)).messages.create(**ASK)
    assert type(message) is anthropic.types.Message
    assert_answer(message)
    assert_answer(ask_async(Local(TEXT), lambda llm: llm.messages.create(**ASK)))


@pytest.mark.parametrize("pieces", [1, 3, 1000])
def test_a_stream_gets_its_text_in_pieces(pieces: int) -> None:
    with client(Local(TEXT, pieces=pieces)).messages.stream(**ASK) as stream:
        parts = list(stream.text_stream)
        assert_answer(stream.get_final_message())
    assert "".join(parts) == TEXT
    assert len(parts) == min(pieces, len(TEXT))

    async def ask(llm: anthropic.AsyncAnthropic) -> Any:
        async with llm.messages.stream(**ASK) as stream:
            return [part async for part in stream.text_stream], await stream.get_final_message()

    async_parts, message = ask_async(Local(TEXT, pieces=pieces), ask)
    assert async_parts == parts
    assert_answer(message)


def test_raw_events_come_in_the_order_of_the_api() -> None:
    expected = [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    events = list(client(Local("two pieces", pieces=2)).messages.create(**ASK, stream=True))
    assert [event.type for event in events] == expected
    start, delta = events[0], events[5]
    assert isinstance(start, anthropic.types.RawMessageStartEvent)
    assert (start.message.content, start.message.stop_reason, start.message.usage.input_tokens) == ([], None, 0)
    assert isinstance(delta, anthropic.types.RawMessageDeltaEvent)
    assert (delta.delta.stop_reason, delta.usage.output_tokens) == ("end_turn", 0)

    async def ask(llm: anthropic.AsyncAnthropic) -> Any:
        return [event.type async for event in await llm.messages.create(**ASK, stream=True)]

    assert ask_async(Local("two pieces", pieces=2), ask) == expected


def test_parse_reads_the_text_as_the_model_asked_for() -> None:
    said = '{"queue": "billing", "urgency": 3}'
    parsed = client(Local(said)).messages.parse(**ASK, output_format=Ticket)
    assert parsed.parsed_output == Ticket(queue="billing", urgency=3)
    parsed = ask_async(Local(said), lambda llm: llm.messages.parse(**ASK, output_format=Ticket))
    assert parsed.parsed_output == Ticket(queue="billing", urgency=3)
    with client(Local(said)).messages.stream(**ASK, output_format=Ticket) as stream:
        assert stream.get_final_message().parsed_output == Ticket(queue="billing", urgency=3)


def test_raw_responses_carry_it() -> None:
    raw = client(Local(TEXT)).messages.with_raw_response.create(**ASK)
    assert (raw.status_code, raw.headers["content-type"], raw.elapsed.total_seconds()) == (200, "application/json", 0)
    assert_answer(raw.parse())
    assert json.loads(raw.http_request.content) == ASK
    assert "authorization" not in raw.http_request.headers

    async def ask(llm: anthropic.AsyncAnthropic) -> Any:
        raw = await llm.messages.with_raw_response.create(**ASK)
        async with llm.messages.with_streaming_response.create(**ASK) as response:
            return await raw.parse(), json.loads(await response.text())["id"]

    message, streamed_id = ask_async(Local(TEXT), ask)
    assert_answer(message)
    assert streamed_id == MESSAGE_ID


def test_a_response_read_piece_by_piece_carries_it() -> None:
    with client(Local(TEXT)).messages.with_streaming_response.create(**ASK) as response:
        assert_answer(response.parse())
    with client(Local(TEXT)).messages.with_streaming_response.create(**ASK, stream=True) as response:
        lines = [line for line in response.iter_lines() if line.startswith("event: ")]
    assert lines[0] == "event: message_start"
    assert lines[-1] == "event: message_stop"


def test_the_beta_endpoints_get_it() -> None:
    llm = client(Local(TEXT, pieces=2))
    message = llm.beta.messages.create(**ASK, betas=["some-beta-2026-01-01"])
    assert type(message) is anthropic.types.beta.BetaMessage
    assert_answer(message)
    with llm.beta.messages.stream(**ASK) as stream:
        assert_answer(stream.get_final_message())
    parsed = client(Local('{"queue": "bug", "urgency": 1}')).beta.messages.parse(**ASK, output_format=Ticket)
    assert parsed.parsed_output == Ticket(queue="bug", urgency=1)

    async def ask(llm: anthropic.AsyncAnthropic) -> Any:
        async with llm.beta.messages.stream(**ASK) as stream:
            return await llm.beta.messages.create(**ASK), await stream.get_final_message()

    for answer in ask_async(Local(TEXT), ask):
        assert_answer(answer)


@pytest.mark.parametrize("pieces", [1, 5])
def test_thinking_tools_and_citations_survive_a_stream(pieces: int) -> None:
    local = Local([THINKING, CITED, TOOL], pieces=pieces, stop_reason="tool_use")
    plain = client(local).messages.create(**ASK)
    with client(local).messages.stream(**ASK) as stream:
        streamed = stream.get_final_message()
    with client(local).beta.messages.stream(**ASK) as beta_stream:
        beta = beta_stream.get_final_message()
    answers: list[Any] = [plain, streamed, beta]
    for message in answers:
        thinking, cited, tool = message.content
        assert (thinking.thinking, thinking.signature) == ("Hm. Let me see.", "c2lnbmVk")
        assert (cited.text, cited.citations[0].cited_text) == ("It is so.", "so")
        assert (tool.id, tool.name, tool.input) == ("toolu_1", "look_up", {"city": "Köln", "days": [1, 2]})
        assert message.stop_reason == "tool_use"


def test_a_redacted_block_and_a_tool_without_input_come_whole() -> None:
    blocks: list[dict[str, Any]] = [
        {"type": "redacted_thinking", "data": "b3BhcXVl"},
        {"type": "tool_use", "id": "t", "name": "now", "input": {}},
    ]
    with client(Local(blocks, pieces=3)).messages.stream(**ASK) as stream:
        redacted, tool = stream.get_final_message().content
    assert isinstance(redacted, anthropic.types.RedactedThinkingBlock)
    assert isinstance(tool, anthropic.types.ToolUseBlock)
    assert (redacted.data, tool.input) == ("b3BhcXVl", {})


def test_tool_runners_get_it() -> None:
    @anthropic.beta_tool
    def now() -> str:
        """The time."""
        return "noon"

    runner = client(Local(TEXT)).beta.messages.tool_runner(**ASK, tools=[now])
    assert_answer(runner.until_done())


def test_clients_of_other_platforms_get_it_too() -> None:
    options: dict[str, Any] = {"aws_region": "us-east-1", "api_key": "x", "base_url": "http://127.0.0.1:9"}
    bedrock = anthropic.AnthropicBedrock(**options, middleware=[Local(TEXT, pieces=2)])
    assert_answer(bedrock.messages.create(**ASK))
    with bedrock.messages.stream(**ASK) as stream:
        assert_answer(stream.get_final_message())


def test_an_answer_made_here_cannot_reach_the_network() -> None:
    with pytest.raises(anthropic.APIConnectionError):
        _synthetic._reader(False).messages.create(**ASK)


def test_the_usage_of_an_answer_that_was_held_back_is_kept() -> None:
    usage = {
        "input_tokens": 12,
        "output_tokens": 34,
        "cache_read_input_tokens": 5,
        "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
        "service_tier": "standard",
        "output_tokens_details": {"thinking_tokens": 7},
    }
    local = Local("held back")
    local.message = {**local.message, "id": "msg_01", "usage": usage}
    with client(local).messages.stream(**ASK) as stream:
        message = stream.get_final_message()
    assert message.id == "msg_01"
    assert message.usage.to_dict() == usage
