"""A call as the wire spells it."""

import json
import uuid

import pytest

from llmclient import _event
from llmclient._call import Attempt, Call, Failure
from llmclient._event import Names
from llmclient._policy import Capture
from llmclient._privacy._hashes import content_hash
from llmclient._privacy._pseudonyms import Pseudonyms
from llmclient._sse import StreamReader

ID = uuid.UUID("019a0000-0000-7000-8000-000000000000")
MS = 1_800_000_000_123
NAMES = Names("helpdesk")


def as_dict(call: Call) -> dict[str, object]:
    return _event.as_dict(call, NAMES, sdk="anthropic/2.12.0")


def test_what_is_not_known_is_left_out() -> None:
    assert as_dict(Call(ID, MS, "count_tokens", outcome="ok", duration=0.0)) == {
        "id": str(ID),
        "started_at": "2027-01-15T08:00:00.123Z",
        "operation": "count_tokens",
        "app": "helpdesk",
        "sdk": "anthropic/2.12.0",
        "stream": False,
        "duration_ms": 0,
        "attempts": [],
        "source": "api",
        "outcome": "ok",
    }


def test_seconds_become_whole_milliseconds() -> None:
    attempt = Attempt(1, 0.0004, wait=0.0016, duration=1.2345, status=200, retry_after=7.0)
    event = as_dict(Call(ID, MS, "messages", attempts=[attempt], ttft=0.25, ttft_text=0.3, duration=1.5))
    assert (event["duration_ms"], event["ttft_ms"], event["ttft_text_ms"]) == (1500, 250, 300)
    assert event["attempts"] == [
        {"n": 1, "start_ms": 0, "duration_ms": 1234, "status": 200, "wait_ms": 2, "retry_after_s": 7.0}
    ]


def test_of_very_many_attempts_the_last_twenty_are_told() -> None:
    event = as_dict(Call(ID, MS, "messages", attempts=[Attempt(n, 0.0) for n in range(1, 31)]))
    attempts = event["attempts"]
    assert isinstance(attempts, list)
    assert [attempt["n"] for attempt in attempts] == list(range(11, 31))


def test_an_error_says_what_the_provider_said() -> None:
    failure = Failure("rate_limit", "rate_limit_error", "ramp_limit_exceeded", 429, "slow down")
    assert as_dict(Call(ID, MS, "messages", outcome="error", error=failure))["error"] == {
        "category": "rate_limit",
        "type": "rate_limit_error",
        "code": "ramp_limit_exceeded",
        "status": 429,
        "message": "slow down",
    }


def test_labels_and_trace_lie_beside_the_rest() -> None:
    call = Call(ID, MS, "messages", labels={"feature": "inbox", "tags": {"plan": "pro"}}, trace=("a" * 32, "b" * 16))
    event = as_dict(call)
    assert (event["feature"], event["tags"]) == ("inbox", {"plan": "pro"})
    assert (event["trace_id"], event["span_id"]) == ("a" * 32, "b" * 16)


def test_a_very_long_string_in_the_content_is_cut_and_the_rest_stays_json() -> None:
    sent = json.dumps({"messages": [{"content": [{"data": "x" * 70_000}]}], "model": "m"}).encode()
    content = as_dict(Call(ID, MS, "messages", sent=sent, received=b'{"content": []}', capture="full"))["content"]
    assert isinstance(content, dict)
    kept = json.loads(content["input"])["messages"][0]["content"][0]["data"]
    assert kept == "x" * 65_536 + "… [4464 characters left out]"
    assert content["output"] == "[]"


def test_the_content_of_a_call_without_an_answer_is_its_question() -> None:
    content = as_dict(Call(ID, MS, "messages", sent=b'{"model": "m"}', capture="full"))["content"]
    assert content == {"input": '{"model": "m"}', "output": "[]", "redactions": {}}


def test_streamed_content_is_put_together_only_here() -> None:
    reader = StreamReader()
    reader.feed(b'event: content_block_delta\ndata: {"index":0,"delta":{"type":"text_delta","text":"hi"}}\n\n', 0.0)
    content = as_dict(Call(ID, MS, "messages", received=reader, capture="full"))["content"]
    assert content == {"input": "{}", "output": '[{"type":"text","text":"hi"}]', "redactions": {}}


@pytest.mark.parametrize("asked", [-1.0, float("nan"), float("inf"), 2e9])
def test_a_wait_the_wire_cannot_carry_is_left_out(asked: float) -> None:
    call = Call(ID, MS, "messages", attempts=[Attempt(1, 0.0, retry_after=asked)])
    (attempt,) = _event.as_dict(call, Names(), sdk=None)["attempts"]
    assert "retry_after_s" not in attempt


def test_texts_are_cut_to_what_the_wire_takes() -> None:
    failure = Failure("server_error", "t" * 300, "c" * 300, 500, "m" * 600)
    call = Call(ID, MS, "messages", model="m" * 200, stop_reason="s" * 100, request_id="r" * 300, error=failure)
    event = _event.as_dict(call, Names(), sdk=None)
    assert [len(event[name]) for name in ("model", "stop_reason", "request_id")] == [100, 64, 200]
    assert [len(event["error"][name]) for name in ("type", "code", "message")] == [200, 200, 500]


def test_what_is_new_on_the_wire_has_its_place() -> None:
    attempt = Attempt(1, 0.0, status=200, key_alias="spare", model="claude-haiku-5-5")
    call = Call(ID, MS, "messages", attempts=[attempt], queued=0.25, fallback_from="overloaded", valid=True, repairs=2)
    event = as_dict(call)
    assert (event["queue_ms"], event["fallback_from"]) == (250, "overloaded")
    assert event["quality"] == {"valid": True, "repairs": 2}
    assert event["attempts"] == [
        {"n": 1, "start_ms": 0, "duration_ms": 0, "status": 200, "wait_ms": 0, "key_alias": "spare"}
        | {"model": "claude-haiku-5-5"}
    ]


@pytest.mark.parametrize("capture", ["off", "redacted", "full"])
def test_hashes_of_what_was_said_are_always_told(capture: Capture) -> None:
    sent, received = b'{"model": "m", "a": 1}', b'{"content": [{"type": "text", "text": "hi"}]}'
    event = as_dict(Call(ID, MS, "messages", sent=sent, received=received, capture=capture))
    assert event["hashes"] == {
        "input": content_hash(b'{"a":1,"model":"m"}'),
        "output": content_hash([{"text": "hi", "type": "text"}]),
    }
    assert ("content" in event) == (capture != "off")


def test_personal_data_is_removed_unless_all_is_captured() -> None:
    labels = {"user_id": "4711", "feature": "for ada@example.com", "tags": {"who": "ada@example.com"}}
    failure = Failure("invalid_request", message="ada@example.com is not a model")
    call = Call(ID, MS, "messages", labels=labels, error=failure, sent=b'{"q": "ada@example.com"}', capture="redacted")
    event = as_dict(call)
    assert "ada@example.com" not in json.dumps(event)
    assert event["content"] == {"input": '{"q":"[email]"}', "output": "[]", "redactions": {"email": 1}}
    assert (event["feature"], event["tags"], event["user_id"]) == ("for [email]", {"who": "[email]"}, "4711")
    call.capture = "off"
    assert "ada@example.com" not in json.dumps(as_dict(call))
    call.capture = "full"
    assert json.dumps(as_dict(call)).count("ada@example.com") == 4


@pytest.mark.parametrize("capture", ["off", "redacted", "full"])
def test_with_a_secret_user_ids_are_pseudonyms(capture: Capture) -> None:
    pseudonyms = Pseudonyms("a secret of the application")
    call = Call(ID, MS, "messages", labels={"user_id": "4711", "feature": "f"}, capture=capture)
    event = _event.as_dict(call, Names(pseudonyms=pseudonyms), sdk=None)
    assert (event["user_id"], event["feature"]) == (pseudonyms.of("4711"), "f")
    assert len(event["user_id"]) == 34
