"""Calls of the model told as events: each is taken by the door's own decoder, and says what happened."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from config.demo.telling import event_of
from ingest import wire
from llmclient.testing._faults import FOR_GOOD, Fate
from llmclient.testing.trace import Arrival
from llmclient.testing.traffic import Call, Faults, Traffic

START = datetime(2026, 11, 16, 12, 0, tzinfo=UTC)
CALL = replace(
    Traffic(START, faults=Faults.OFF).assign(Arrival(0, START, 400, 90)), ttft=0.5, duration=2.0, stream=True
)
OVERLOADED = {"status": 529, "delay": 0.25}
LIMITED = {"status": 429, "retry_after": 1.0, "delay": 0.1}


def told(fate: Fate, **more: Any) -> dict[str, Any]:
    return event_of(replace(CALL, fate=fate, **more), with_content=True)


def test_a_good_call() -> None:
    event = told(Fate(reply={}))
    assert (event["outcome"], event["duration_ms"], event["ttft_ms"]) == ("ok", 2000, 500)
    assert event["usage"]["input_tokens"] == 400
    assert event["usage"]["output_tokens"] == 90
    assert event["stop_reason"] == "end_turn"
    assert [attempt["status"] for attempt in event["attempts"]] == [200]
    assert event["request_id"] == event["attempts"][0]["request_id"]


def test_a_plain_call_has_no_time_to_first_token() -> None:
    assert "ttft_ms" not in told(Fate(reply={}), stream=False)


def test_a_retried_call_adds_up_its_attempts_and_waits() -> None:
    event = told(Fate((LIMITED, LIMITED), {}))
    assert event["outcome"] == "ok"
    assert event["duration_ms"] == 100 + 1000 + 100 + 1000 + 2000
    assert [
        (attempt["status"], attempt["start_ms"], attempt["duration_ms"], attempt.get("wait_ms"))
        for attempt in event["attempts"]
    ] == [(429, 0, 100, None), (429, 1100, 100, 1000), (200, 2200, 2000, None)]


def test_a_call_that_never_succeeds_has_three_attempts_and_the_last_error() -> None:
    event = told(Fate((OVERLOADED,) * FOR_GOOD, None))
    assert event["outcome"] == "error"
    assert event["error"] == {
        "category": "overloaded",
        "type": "overloaded_error",
        "status": 529,
        "message": "Overloaded",
    }
    assert len(event["attempts"]) == 3
    assert event["duration_ms"] == 250 + 440 + 250 + 870 + 250
    assert "usage" not in event


def test_a_bad_request_is_not_tried_again() -> None:
    event = told(Fate(({"status": 400, "message": "prompt is too long", "delay": 0.08},) * FOR_GOOD, None))
    assert len(event["attempts"]) == 1
    assert event["error"]["message"] == "prompt is too long"


def test_a_lost_connection_has_no_status_and_no_request_id() -> None:
    event = told(Fate(({"hang_up": True, "delay": 0.5},) * FOR_GOOD, None))
    assert event["error"] == {"category": "connection", "type": "APIConnectionError"}
    assert "request_id" not in event
    assert "status" not in event["attempts"][0]


def test_a_stream_that_breaks_off_costs_what_was_written() -> None:
    event = told(Fate(reply={"breaks": "eof", "break_after": 2}))
    assert event["error"]["category"] == "stream_interrupted"
    assert event["usage"]["output_tokens"] == 30
    assert event["usage_complete"] is False


def test_a_refusal_is_an_answer() -> None:
    event = told(Fate(reply={"stop_reason": "refusal", "stop_category": "general_harms", "text": ""}))
    assert (event["outcome"], event["stop_reason"], event["stop_category"]) == ("ok", "refusal", "general_harms")
    assert event["content"]["output"] == "[]"


@pytest.mark.parametrize("seed", range(3))
def test_every_event_of_a_long_row_is_good_for_the_door(seed: int) -> None:
    traffic = Traffic(START, seed=seed, faults=Faults.ALL, made_up_tokens=True)
    calls: list[Call] = [traffic.assign(Arrival(row, START, 300 + row, 1 + row)) for row in range(900)]
    body = msgspec.json.encode({"events": [event_of(call, with_content=True) for call in calls]})
    envelope = wire.decode(body)
    assert len(list(envelope.events)) == 900
    assert envelope.rejected == []
