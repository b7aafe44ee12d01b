"""The buffer is bounded twice, and every call in it is accounted for."""

import threading
import uuid

from llmclient._buffer import Buffer
from llmclient._call import BASE_BYTES, Call
from llmclient._score import Score


def call(content: int = 0) -> Call:
    return Call(uuid.uuid4(), 0, "messages", sent=b"x" * content if content else None)


def test_calls_come_out_in_the_order_they_went_in() -> None:
    buffer = Buffer()
    calls = [call() for _ in range(3)]
    for one in calls:
        buffer.put(one)
    assert [buffer.take(), buffer.take(), buffer.take(), buffer.take()] == [*calls, None]
    assert (buffer.taken, buffer.emitted, buffer.bytes) == (3, 3, 0)


def test_beyond_its_count_the_oldest_go_and_are_counted() -> None:
    buffer = Buffer(max_events=3)
    calls = [call() for _ in range(5)]
    for one in calls:
        buffer.put(one)
    assert (len(buffer), buffer.overflowed, buffer.emitted) == (3, 2, 5)
    buffer.settle()
    assert (buffer.overflowed, buffer.emitted, buffer.bytes) == (2, 5, 3 * BASE_BYTES)
    assert buffer.take() is calls[2]


def test_beyond_its_bytes_content_goes_first_and_then_the_oldest() -> None:
    buffer = Buffer(max_bytes=2 * BASE_BYTES + 1000)
    big, other, third = call(900), call(900), call()
    buffer.put(big)
    buffer.put(other)
    assert (big.sent, other.sent) == (b"x" * 900, None)
    assert (len(buffer), buffer.overflowed) == (2, 0)
    buffer.put(third)
    assert (len(buffer), buffer.overflowed) == (2, 1)
    assert buffer.take() is other


def test_one_call_too_large_for_everything_is_kept_without_its_content() -> None:
    buffer = Buffer(max_bytes=100)
    one = call(900)
    buffer.put(one)
    assert (buffer.take(), one.sent) == (one, None)


def test_many_threads_lose_no_call() -> None:
    buffer = Buffer(max_events=500)
    taken: list[Call | Score] = []
    stop = threading.Event()

    def put() -> None:
        for _ in range(2000):
            buffer.put(call())

    def take() -> None:
        while not stop.is_set() or len(buffer):
            if (one := buffer.take()) is not None:
                taken.append(one)
            buffer.settle()

    taker = threading.Thread(target=take)
    putters = [threading.Thread(target=put) for _ in range(4)]
    for thread in (taker, *putters):
        thread.start()
    for thread in putters:
        thread.join()
    stop.set()
    taker.join()
    buffer.settle()
    assert len(taken) + buffer.overflowed == buffer.emitted == 8000
    assert buffer.bytes == 0
