"""Every scripted fault, seen by the real SDK over a real socket."""

import time

import anthropic
import httpx2
import pytest

from llmclient.testing import (
    FakeAnthropic,
    Reply,
    ToolUse,
    broken,
    cut_short,
    fail,
    invalid_json,
    overloaded,
    ramp_limited,
    rate_limited,
    refused,
    reply,
    slow,
    slow_headers,
    stalled,
    structured,
    tool_use,
    trickled,
)
from tests.llmclient.testing.asking import HELLO, MODEL, ask, read, sdk, text_of
from tests.llmclient.testing.conftest import Serve


def test_a_bare_429_says_nothing_about_when_to_come_back(serve: Serve) -> None:
    with pytest.raises(anthropic.RateLimitError) as raised:
        ask(serve(rate_limited()))
    assert "retry-after" not in raised.value.response.headers
    assert raised.value.error_code is None


def test_a_long_retry_after_is_written_in_full(serve: Serve) -> None:
    with pytest.raises(anthropic.RateLimitError) as raised:
        ask(serve(rate_limited(3600)))
    assert raised.value.response.headers["retry-after"] == "3600"


def test_growing_too_fast_has_an_error_of_its_own(serve: Serve) -> None:
    with pytest.raises(anthropic.RateLimitError) as raised:
        ask(serve(ramp_limited(20)))
    assert raised.value.error_code == "ramp_limit_exceeded"
    assert raised.value.response.headers["retry-after"] == "20"


@pytest.mark.parametrize(("should_retry", "requests"), [(True, 2), (False, 1)])
def test_x_should_retry_overrules_the_status(serve: Serve, should_retry: bool, requests: int) -> None:
    status = 400 if should_retry else 529
    fake = serve(fail(status, should_retry=should_retry, headers={"retry-after-ms": "1"}), reply("ok"))
    if should_retry:
        ask(fake, retries=1)
    else:
        with pytest.raises(anthropic.APIStatusError):
            ask(fake, retries=1)
    assert len(fake.requests) == requests


def test_an_overload_may_say_when_to_come_back(serve: Serve) -> None:
    with pytest.raises(anthropic.APIStatusError) as raised:
        ask(serve(overloaded(2)))
    assert raised.value.status_code == 529
    assert raised.value.response.headers["retry-after"] == "2"


def test_a_refusal_says_why(serve: Serve) -> None:
    message = ask(serve(refused("bio", "This could help to make something dangerous.")))
    assert message.stop_reason == "refusal"
    assert message.stop_details is not None
    assert message.stop_details.category == "bio"
    assert message.stop_details.explanation == "This could help to make something dangerous."


def test_a_streamed_refusal_says_why_at_its_end(serve: Serve) -> None:
    [end] = [event for event in read(serve(refused("cyber"))) if event.type == "message_delta"]
    assert end.delta.stop_reason == "refusal"
    assert end.delta.stop_details is not None
    assert end.delta.stop_details.category == "cyber"


def test_an_answer_cut_short_says_so(serve: Serve) -> None:
    assert ask(serve(cut_short())).stop_reason == "max_tokens"


def test_a_tool_is_used_with_its_input(serve: Serve) -> None:
    message = ask(serve(tool_use("look_up", {"order": 4711, "fields": ["state"]})))
    assert message.stop_reason == "tool_use"
    [block] = message.content
    assert block.type == "tool_use"
    assert (block.name, block.input) == ("look_up", {"order": 4711, "fields": ["state"]})
    assert block.id.startswith("toolu_")


def test_the_input_of_a_tool_is_streamed_in_pieces_of_json(serve: Serve) -> None:
    events = read(serve(tool_use("look_up", {"order": 4711}, text="One moment.", deltas=2)))
    kinds = [event.delta.type for event in events if event.type == "content_block_delta"]
    assert kinds == ["text_delta", "text_delta", "input_json_delta", "input_json_delta"]
    parts = [event.delta.partial_json for event in events if event.type == "content_block_delta"
             and event.delta.type == "input_json_delta"]  # fmt: skip
    assert parts == ['{"order', '":4711}']


def test_the_sdk_puts_a_streamed_tool_together(serve: Serve) -> None:
    tools = [ToolUse("first", {"a": 1}, id="toolu_a"), ToolUse("second", {"b": [2, 3]}, id="toolu_b")]
    fake = serve(Reply("", thinking="which one?", tools=tools, stop_reason="tool_use"))
    with sdk(fake) as client, client.messages.stream(model=MODEL, max_tokens=9, messages=HELLO) as stream:
        message = stream.get_final_message()
    assert [block.type for block in message.content] == ["thinking", "tool_use", "tool_use"]
    used = [(block.id, block.name, block.input) for block in message.content if block.type == "tool_use"]
    assert used == [("toolu_a", "first", {"a": 1}), ("toolu_b", "second", {"b": [2, 3]})]


def test_structured_and_broken_json_are_plain_texts(serve: Serve) -> None:
    fake = serve(structured({"größe": 3}), invalid_json())
    assert text_of(ask(fake)) == '{"größe": 3}'
    assert text_of(ask(fake)) == '{"answer": '


@pytest.mark.parametrize("stream", [False, True])
def test_slow_headers_run_into_the_read_timeout(serve: Serve, stream: bool) -> None:
    with pytest.raises(anthropic.APITimeoutError):
        (read if stream else ask)(serve(slow_headers(30)), timeout=0.1)


def test_times_count_from_the_headers_on(serve: Serve) -> None:
    fake = serve(slow_headers(2.0, slow(3.0)), speed=100)
    began = fake.clock()
    ask(fake)
    assert fake.clock() - began >= 5.0


@pytest.mark.parametrize("stream", [False, True])
def test_a_trickle_is_slower_than_any_read_timeout_notices(serve: Serve, stream: bool) -> None:
    # A plain answer has more than 900 bytes with its headers, a stream more than 1,500.
    fake = serve(trickled(0.0003, reply("in the end")))
    began = time.monotonic()
    (read if stream else ask)(fake, timeout=0.2)
    assert time.monotonic() - began > 0.27


def test_a_silent_stall_runs_into_the_read_timeout(serve: Serve) -> None:
    with pytest.raises(httpx2.ReadTimeout):
        read(serve(stalled(30.0, after=1, ping_every=None)), timeout=0.1)


def test_pings_keep_a_stalled_stream_alive_for_as_long_as_it_lasts(serve: Serve) -> None:
    fake = serve(stalled(40.0, after=0, ping_every=2.0), speed=40)
    began = fake.clock()
    events = read(fake, timeout=0.3)
    assert [event.type for event in events] == ["message_start"]
    assert fake.clock() - began >= 40.0


def test_a_script_that_raises_is_told_where_the_test_looks() -> None:
    def script(_: object) -> None:
        raise LookupError("no such ticket")

    with FakeAnthropic(script) as fake, pytest.raises(anthropic.InternalServerError, match="no such ticket"):
        ask(fake, retries=2)
    assert len(fake.requests) == 1


def test_the_fake_says_that_it_is_one_and_what_time_it_is(serve: Serve) -> None:
    with sdk(serve(broken("eof"), reply())) as client:
        client.messages.with_raw_response.create(model=MODEL, max_tokens=9, messages=HELLO, stream=True)
        headers = client.messages.with_raw_response.create(model=MODEL, max_tokens=9, messages=HELLO).headers
    assert headers["server"] == "llmclient-fake"
    assert headers["date"].endswith(" GMT")
