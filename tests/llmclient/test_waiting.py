"""Encoded events wait in order, packed when there are many, and bounded twice."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from llmclient._waiting import BLOCK_EVENTS, EVENT_BYTES, Waiting


def event(number: int, size: int = 0) -> bytes:
    return b'{"n":%d,"x":"%s"}' % (number, Random(number).randbytes(size // 2).hex().encode())


def test_they_come_out_in_order_packed_or_not() -> None:
    waiting = Waiting()
    events = [event(number) for number in range(2 * BLOCK_EVENTS + 7)]
    assert [waiting.add(each) for each in events] == [0] * len(events)
    assert len(waiting) == 507
    assert waiting.take(300, 10**9) == events[:300]
    assert len(waiting) == 207
    assert waiting.take(300, 10**9) == events[300:]
    assert (waiting.take(300, 10**9), len(waiting), waiting.bytes) == ([], 0, 0)


def test_a_batch_may_be_one_event_too_large() -> None:
    waiting = Waiting()
    for number in range(3):
        waiting.add(event(number, 100))
    assert [len(waiting.take(9, 150)) for _ in range(2)] == [2, 1]


def test_what_waits_is_counted_as_it_lies_in_memory() -> None:
    waiting = Waiting()
    for _ in range(BLOCK_EVENTS - 1):
        waiting.add(b"x" * 1_000)
    assert waiting.bytes == 249 * (1_000 + EVENT_BYTES)
    waiting.add(b"x" * 1_000)
    assert waiting.bytes < 3_000


def test_beyond_their_number_a_block_of_the_oldest_goes() -> None:
    waiting = Waiting(max_events=600)
    gone = [waiting.add(event(number)) for number in range(601)]
    assert gone == [0] * 600 + [250]
    assert waiting.take(1, 10**9) == [event(250)]


def test_beyond_their_number_what_was_unpacked_goes_one_by_one() -> None:
    waiting = Waiting(max_events=300)
    for number in range(300):
        waiting.add(event(number))
    waiting.take(10, 10**9)
    assert [waiting.add(event(number)) for number in range(300, 312)] == [0] * 10 + [1] * 2
    assert waiting.take(1, 10**9) == [event(12)]


def test_beyond_their_bytes_the_oldest_go() -> None:
    waiting = Waiting(max_bytes=600_000)
    assert waiting.add(event(0, 500_000)) == 0
    assert waiting.is_nearly_full
    assert waiting.add(event(1, 500_000)) == 0  # packed: random hexadecimal digits take half as much
    assert waiting.add(event(2, 500_000)) == 2
    assert waiting.take(9, 10**9) == [event(2, 500_000)]


def test_one_event_too_large_for_everything_is_kept() -> None:
    waiting = Waiting(max_bytes=100)
    assert [waiting.add(event(0, 200)), waiting.add(event(1, 200))] == [0, 1]
    assert waiting.take(9, 10**9) == [event(1, 200)]


@given(st.lists(st.one_of(st.integers(0, 3), st.binary(max_size=60).map(lambda each: each.hex().encode() or b"0"))))
def test_it_is_a_queue(steps: list[int | bytes]) -> None:
    waiting, model = Waiting(), list[bytes]()
    for step in steps:
        if isinstance(step, bytes):
            for _ in range(40):
                waiting.add(step)
                model.append(step)
        else:
            taken = waiting.take(step * 30, 10**9)
            assert taken == model[: step * 30]
            del model[: step * 30]
        assert len(waiting) == len(model)
    assert waiting.take(10**9, 10**9) == model
    assert waiting.bytes == 0
