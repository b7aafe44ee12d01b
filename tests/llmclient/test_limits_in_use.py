"""Rate limits through real clients against real token buckets: threads, tasks and processes."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import anthropic
import pytest

import llmclient
from llmclient import Limits as Rules
from llmclient import _groups
from llmclient.testing import FakeAnthropic, Limits, capture, fail, reply, slow
from tests.llmclient.conftest import QUICK, async_client_of, client_of


def test_calls_of_many_threads_stay_under_a_limit_they_learned(ask: dict[str, Any]) -> None:
    """600 requests a minute, sped up thirty times: 300 a second. Without a limiter half of them would be refused."""
    limits = Limits(requests=600, input_tokens=10_000_000, output_tokens=10_000_000)
    policy = replace(QUICK, breaker=None, limits=Rules(max_wait=30, queue=500), retry=replace(QUICK.retry, attempts=1))
    with FakeAnthropic(lambda _: reply("ok"), limits=limits, speed=30) as fake, capture() as calls:
        llm = client_of(fake, policy)
        llm.messages.create(**ask)  # brings the headers

        def one(_: int) -> None:
            llm.messages.create(**ask)

        with ThreadPoolExecutor(16) as pool:
            list(pool.map(one, range(700)))
    refused = sum(call.attempts[-1].status == 429 for call in calls)
    assert (len(calls), refused) == (701, 0)


def test_no_more_attempts_are_under_way_than_allowed(ask: dict[str, Any]) -> None:
    policy = replace(QUICK, limits=Rules(concurrency=3, max_wait=30))
    under_way: list[int] = []
    lock, now = threading.Lock(), [0]

    def script(_: Any) -> Any:
        return slow(0.02)

    with FakeAnthropic(script) as fake:
        llm = client_of(fake, policy)
        group = llm.middleware[0].engine.guards.group("claude-sonnet-5-5")  # type: ignore[union-attr]

        def one(_: int) -> None:
            llm.messages.create(**ask)
            with lock:
                under_way.append(group.snapshot(0.0)["limiter"]["in_flight"])
                now[0] += 1

        with ThreadPoolExecutor(12) as pool:
            list(pool.map(one, range(40)))
    assert now == [40]
    assert max(under_way) <= 3
    assert group.snapshot(0.0)["limiter"]["in_flight"] == 0


def test_who_would_wait_too_long_is_told_at_once(ask: dict[str, Any]) -> None:
    policy = replace(QUICK, limits=Rules(max_wait=0.2), retry=replace(QUICK.retry, attempts=1))
    with FakeAnthropic([fail(429, retry_after=60), reply("never")]) as fake, capture() as calls:
        llm = client_of(fake, policy)
        with pytest.raises(anthropic.RateLimitError):
            llm.messages.create(**ask)
        with pytest.raises(llmclient.LocalRateLimited) as caught:
            llm.messages.create(**ask)
        assert len(fake.requests) == 1
    assert 55 < caught.value.retry_after < 70
    assert calls[1].error is not None
    assert calls[1].error.category == "local_rate_limited"


def test_the_wait_for_a_turn_is_told(ask: dict[str, Any]) -> None:
    policy = replace(QUICK, limits=Rules(concurrency=1, max_wait=30))
    with FakeAnthropic(lambda _: slow(0.2)) as fake, capture() as calls:
        llm = client_of(fake, policy)
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda _: llm.messages.create(**ask), range(2)))
    waits = sorted(call.queued for call in calls)
    assert waits[0] < 0.1
    assert 0.1 < waits[1] < 5


def test_a_task_cancelled_while_it_waits_gives_its_place_back(ask: dict[str, Any]) -> None:
    async def run(fake: FakeAnthropic) -> None:
        llm = async_client_of(fake, replace(QUICK, limits=Rules(concurrency=1, max_wait=30)))
        first = asyncio.create_task(llm.messages.create(**ask))
        await asyncio.sleep(0.1)
        second = asyncio.create_task(llm.messages.create(**ask))
        await asyncio.sleep(0.1)
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        await first
        await llm.messages.create(**ask)
        for group in _groups.every_group():
            found = group.snapshot(0.0)["limiter"]
            assert (found["in_flight"], found["waiting"]) == (0, 0)

    with FakeAnthropic(lambda _: slow(0.4)) as fake, capture() as calls:
        asyncio.run(run(fake))
    assert sorted(str(call.outcome) for call in calls) == ["cancelled", "ok", "ok"]


def test_a_stream_that_is_dropped_gives_its_turn_back(ask: dict[str, Any]) -> None:
    with FakeAnthropic(lambda _: reply("x" * 400, deltas=100)) as fake:
        llm = client_of(fake, replace(QUICK, limits=Rules(concurrency=1, max_wait=5)))
        for _ in range(3):
            with llm.messages.stream(**ask) as stream:
                next(iter(stream))


def test_threads_and_loops_share_the_limits_of_one_key(ask: dict[str, Any]) -> None:
    async def many(fake: FakeAnthropic) -> None:
        llm = async_client_of(fake, replace(QUICK, limits=Rules(concurrency=2, max_wait=30)))
        await asyncio.gather(*(llm.messages.create(**ask) for _ in range(10)))

    with FakeAnthropic(lambda _: slow(0.01)) as fake, ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: asyncio.run(many(fake)), range(4)))
        assert len(fake.requests) == 40


def test_counting_tokens_says_nothing_about_the_limits_of_messages(ask: dict[str, Any]) -> None:
    question = {"model": ask["model"], "messages": ask["messages"]}
    once = replace(QUICK, retry=replace(QUICK.retry, attempts=1))
    with FakeAnthropic(limits=Limits(count_requests=2)) as fake:
        llm = client_of(fake, once)
        for _ in range(2):
            llm.messages.count_tokens(**question)
        with pytest.raises(anthropic.RateLimitError):
            llm.messages.count_tokens(**question)
        llm.messages.create(**ask)
