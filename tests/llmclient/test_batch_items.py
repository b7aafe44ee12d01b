"""Results of message batches become events, one by one and once."""

import asyncio
import json
import uuid
from dataclasses import replace
from typing import Any

import httpx2
import pytest

import llmclient
from llmclient._batch_items import BatchTimes, ItemsWatch, Times, call_of, item_id
from llmclient._policy import Timeout
from llmclient.testing import FakeAnthropic, capture, fail, reply
from tests.llmclient.conftest import QUICK, async_client_of, client_of

TIMES = Times(1_790_000_000_000, 1_790_000_060_000)


def line(**result: Any) -> bytes:
    return json.dumps({"custom_id": "row-1", "result": result}).encode()


def test_an_item_is_named_after_its_batch_and_its_custom_id() -> None:
    named = item_id(TIMES.created, "msgbatch_1", "row-1")
    assert named == item_id(TIMES.created, "msgbatch_1", "row-1")
    assert named.int >> 80 == TIMES.created
    assert (named.version, named.variant) == (7, uuid.RFC_4122)
    assert len({item_id(TIMES.created, batch, row) for batch in "ab" for row in "123"}) == 6


def test_a_result_is_measured_like_a_call() -> None:
    message = {
        "model": "claude-haiku-5-5",
        "usage": {"input_tokens": 7, "service_tier": "batch"},
        "stop_reason": "end_turn",
    }
    call = call_of(line(type="succeeded", message=message), "msgbatch_1", TIMES, {"feature": "f", "tags": {"a": "b"}})
    assert (call.operation, call.outcome, call.error, call.model) == ("batch_item", "ok", None, "claude-haiku-5-5")
    assert (call.started_ms, call.duration, call.stop_reason) == (TIMES.created, 60.0, "end_turn")
    assert call.usage == message["usage"]
    assert call.labels == {"feature": "f", "tags": {"a": "b", "custom_id": "row-1", "batch_id": "msgbatch_1"}}


@pytest.mark.parametrize(
    ("result", "outcome", "category"),
    [
        ({"type": "canceled"}, "cancelled", "cancelled"),
        ({"type": "expired"}, "error", "timeout"),
        ({"type": "errored", "error": {"error": {"type": "overloaded_error"}}}, "error", "overloaded"),
        ({"type": "errored", "error": {"error": {"type": "invalid_request_error"}}}, "error", "invalid_request"),
    ],
)
def test_a_result_that_is_none_says_why(result: dict[str, Any], outcome: str, category: str) -> None:
    call = call_of(line(**result), "msgbatch_1", TIMES, {})
    assert (call.outcome, call.error and call.error.category, call.usage) == (outcome, category, None)


def test_the_times_of_a_batch_are_remembered_for_a_while() -> None:
    times = BatchTimes()
    batch = {"type": "message_batch", "id": "b", "created_at": "2026-11-25T10:00:00Z", "ended_at": None}
    times.look_at({"data": [batch, {"type": "other"}]})
    assert times.of("b") == Times(1_795_600_800_000, None)
    for number in range(1_000):
        times.look_at({**batch, "id": str(number)})
    assert times.of("b") is None


def test_lines_are_told_whole_however_they_come() -> None:
    told: list[bytes] = []
    watch = ItemsWatch(told.append, decode=None)
    for piece in (b'{"a"', b":1}\n{", b'"b":2}\n\n{"c":3}'):
        assert watch.feed(piece) == (piece, None)
    watch.ended()
    assert told == [b'{"a":1}', b'{"b":2}', b'{"c":3}']


def requests() -> list[Any]:
    params = {"model": "claude-haiku-5-5", "max_tokens": 9, "messages": [{"role": "user", "content": "?"}]}
    return [{"custom_id": f"row-{number}", "params": params} for number in range(3)]


def test_reading_results_twice_makes_the_same_events() -> None:
    with FakeAnthropic([reply("one"), fail(500), reply("three")], batch_seconds=0) as fake, capture() as calls:
        llm = client_of(fake)
        with llmclient.context(feature="nightly"):
            batch = llm.messages.batches.create(requests=requests())
            fake.advance(1)
            for _ in range(2):
                assert len(list(llm.messages.batches.results(batch.id))) == 3
    assert len(calls) == 6
    assert len({call.id for call in calls}) == 3
    assert {call.labels["feature"] for call in calls} == {"nightly"}
    assert sorted(str(call.outcome) for call in calls[:3]) == ["error", "ok", "ok"]
    paid = [call.usage for call in calls[:3] if call.usage is not None]
    assert [usage["service_tier"] for usage in paid] == ["batch", "batch"]
    assert calls.labelled(feature="nightly")[0].started_ms == calls[3].started_ms


def test_async_clients_read_results_alike() -> None:
    async def run(fake: FakeAnthropic) -> int:
        llm = async_client_of(fake)
        batch = await llm.messages.batches.create(requests=requests())
        fake.advance(1)
        return len([item async for item in await llm.messages.batches.results(batch.id)])

    with FakeAnthropic(batch_seconds=0) as fake, capture() as calls:
        assert asyncio.run(run(fake)) == 3
    assert [call.operation for call in calls] == ["batch_item"] * 3


def test_results_may_take_as_long_as_the_caller_allows() -> None:
    policy = replace(QUICK, timeout=Timeout(total=0.2, idle=0.2, first_token=0.2))
    with FakeAnthropic(batch_seconds=0) as fake:
        llm = client_of(fake, policy, timeout=7.0)
        batch = llm.messages.batches.create(requests=requests())
        fake.advance(1)
        seen: list[Any] = []

        def look(request: Any, call_next: Any) -> Any:
            seen.append(request.timeout)
            return call_next(request)

        list(llm.with_middleware(look).messages.batches.results(batch.id))
    assert not [each for each in seen if isinstance(each, httpx2.Timeout | float)]
