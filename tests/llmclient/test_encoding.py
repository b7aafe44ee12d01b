"""Calls become events as they come, and at the end of the process as far as time allows."""

import json
import uuid
from collections import Counter
from typing import Any

import pytest

from llmclient import _breath, _event
from llmclient._buffer import Buffer
from llmclient._call import Call
from llmclient._encoding import Encoding
from llmclient._score import Score
from llmclient._waiting import Waiting


class Bench:
    def __init__(self, waiting: Waiting | None = None) -> None:
        self.buffer = Buffer()
        self.waiting = Waiting() if waiting is None else waiting
        self.lost: Counter[str] = Counter()
        self.encoding = Encoding(self.buffer, self.waiting, self.encode, self.lose)

    def encode(self, call: Call | Score) -> dict[str, Any]:
        assert isinstance(call, Call)
        return _event.as_dict(call, _event.Names(), sdk=None)

    def lose(self, reason: str, count: int) -> None:
        self.lost[reason] += count

    def put(self, count: int) -> None:
        for _ in range(count):
            sent = b'{"messages":"a text"}'
            self.buffer.put(Call(uuid.uuid4(), 0, "messages", outcome="ok", capture="full", sent=sent))

    def contents(self) -> list[bool]:
        return ["content" in json.loads(event) for event in self.waiting.take(99, 10**9)]


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds slept, on a clock that only sleeping moves."""
    seconds: list[float] = []
    monkeypatch.setattr("time.perf_counter", lambda: sum(seconds))
    monkeypatch.setattr("time.sleep", seconds.append)
    return seconds


@pytest.mark.parametrize(("calls", "rest"), [(1, 0.005), (50, 0.005), (100, 0.004), (500, 0.004)])
def test_what_waits_is_encoded_evenly(slept: list[float], calls: int, rest: float) -> None:
    bench = Bench()
    bench.put(calls)
    bench.encoding.some(500, restful=True)
    assert slept == pytest.approx([rest] * calls)
    assert len(bench.waiting) == calls


def test_more_than_a_thousand_are_not_rested_on(slept: list[float]) -> None:
    bench = Bench()
    bench.put(1001)
    bench.encoding.some(500, restful=True)
    assert (slept, len(bench.buffer)) == ([], 501)


@pytest.mark.parametrize(("calls", "rests"), [(10, 10), (1_200, 5), (4_000, 2)])
def test_the_more_wait_the_longer_are_the_steps(monkeypatch: pytest.MonkeyPatch, calls: int, rests: int) -> None:
    now, slept = 0.0, list[float]()
    bench = Bench()
    bench.put(calls)

    def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds
        slept.append(seconds)

    def encode(call: Call | Score) -> dict[str, Any]:
        nonlocal now
        now += 0.0005001
        return bench.encode(call)

    monkeypatch.setattr("time.perf_counter", lambda: now)
    monkeypatch.setattr("time.sleep", sleep)
    Encoding(bench.buffer, bench.waiting, encode, bench.lose).some(10, restful=True)
    assert slept.count(_breath.REST) == rests


def test_who_waits_for_the_events_is_not_kept_waiting(slept: list[float]) -> None:
    bench = Bench()
    bench.put(3)
    bench.encoding.some(500, restful=False)
    bench.put(3)
    bench.encoding.hurry = True
    bench.encoding.some(500, restful=True)
    assert (slept, len(bench.waiting)) == ([], 6)


def test_who_begins_to_wait_is_not_kept_waiting_either(slept: list[float]) -> None:
    bench = Bench()
    bench.put(4)

    def encode(call: Call | Score) -> dict[str, Any]:
        bench.encoding.hurry = len(bench.waiting) == 1  # while the second is encoded
        return bench.encode(call)

    bench.encoding = Encoding(bench.buffer, bench.waiting, encode, bench.lose)
    bench.encoding.some(500, restful=True)
    assert (slept, len(bench.waiting)) == ([0.005], 4)


def test_behind_schedule_there_is_no_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    now, rests = 0.0, 0

    def sleep(seconds: float) -> None:
        nonlocal now, rests
        now += seconds + 0.012  # the host held the interpreter
        rests += 1

    monkeypatch.setattr("time.perf_counter", lambda: now)
    monkeypatch.setattr("time.sleep", sleep)
    bench = Bench()
    # One is due every 5 ms, and every rest lasts until 12 ms behind that: two of three are made up for at once.
    bench.put(10)
    bench.encoding.some(500, restful=True)
    assert rests == 4


def test_a_step_of_a_long_event_is_half_a_millisecond(monkeypatch: pytest.MonkeyPatch) -> None:
    now, rests = 0.0, list[float]()
    monkeypatch.setattr("time.perf_counter", lambda: now)
    monkeypatch.setattr("time.sleep", rests.append)

    def work() -> str:
        nonlocal now
        for _ in range(10):
            now += 0.0002
            _breath.take()
        return "done"

    assert _breath.in_steps(work) == "done"
    assert rests == [_breath.REST] * 3  # after 0.6, 1.2 and 1.8 ms
    work()
    assert len(rests) == 3


def test_between_threads_that_compute_the_sender_works_as_long_as_it_had_to_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now, rests = 0.0, list[float]()

    def sleep(seconds: float) -> None:
        nonlocal now
        rests.append(now)
        now += seconds + 0.005  # the interpreter was somebody else's

    def work() -> None:
        nonlocal now
        for _ in range(30):
            now += 0.0005001
            _breath.take()

    monkeypatch.setattr("time.perf_counter", lambda: now)
    monkeypatch.setattr("time.sleep", sleep)
    _breath.in_steps(work)
    # After 1, 11 and 21 half milliseconds of work.
    assert rests == pytest.approx([0.0005001, 0.0105511, 0.0206021], abs=0.000001)


def test_when_there_is_hardly_any_room_events_come_without_content() -> None:
    bench = Bench(Waiting(max_bytes=1_200))  # of which an event with content takes 388 here
    bench.put(4)
    bench.encoding.some(500, restful=False)
    assert bench.contents() == [True, True, False]
    assert bench.lost == {"overflow": 1}


def test_at_the_end_calls_go_without_content_and_then_not_at_all() -> None:
    bench = Bench()
    bench.put(5)
    left = iter([1.0, 0.9, 0.9, 0.6, 0.6, 0.4, 0.4, 0.0])
    assert bench.encoding.rest_of_all(lambda: next(left)) == 2
    assert bench.contents() == [True, True, False]
    bench.encoding.some(500, restful=False)
    assert len(bench.waiting) == 0


def test_at_the_end_nobody_waits_for_a_sender_that_hangs() -> None:
    bench = Bench()
    bench.put(2)
    with bench.encoding._lock:
        assert bench.encoding.rest_of_all(lambda: 0.02) == 2
