"""The window counts what a list of times would count."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmclient._breaker_window import BUCKETS, Window


def test_an_attempt_is_counted_for_a_minute() -> None:
    window = Window(60.0)
    window.add(100.2, failed=True)
    window.add(130.0, failed=False)
    assert (window.attempts, window.failures, window.share) == (2, 1, 0.5)
    window.add(159.9, failed=False)
    assert (window.attempts, window.failures) == (3, 1)
    window.add(160.0, failed=False)  # the second that began at 100 is the 61st now
    assert (window.attempts, window.failures, window.share) == (3, 0, 0.0)
    window.add(190.0, failed=True)
    assert (window.attempts, window.failures) == (3, 1)


def test_another_length_has_buckets_of_another_length() -> None:
    window = Window(300.0)  # 60 buckets of 5 s
    window.add(3.0, failed=True)
    window.add(299.9, failed=False)
    assert (window.attempts, window.failures) == (2, 1)
    window.add(300.0, failed=False)
    assert (window.attempts, window.failures) == (2, 0)


def test_nothing_counted_is_a_share_of_nothing() -> None:
    window = Window(60.0)
    assert (window.attempts, window.failures, window.share) == (0, 0, 0.0)
    window.add(7.0, failed=True)
    window.clear()
    assert (window.attempts, window.failures, window.share) == (0, 0, 0.0)


STEPS = st.lists(st.tuples(st.floats(0, 3) | st.floats(0, 200) | st.just(1e9), st.booleans()), min_size=1, max_size=200)


@pytest.mark.parametrize("seconds", [60.0, 7.0, 300.0])
@given(start=st.floats(-1e6, 1e6), steps=STEPS)
@settings(max_examples=60, deadline=None)
def test_the_counts_are_those_of_a_list(seconds: float, start: float, steps: list[tuple[float, bool]]) -> None:
    window, width, now = Window(seconds), seconds / BUCKETS, start
    seen: list[tuple[float, bool]] = []
    for wait, failed in steps:
        now += wait
        seen.append((now, failed))
        window.add(now, failed=failed)
        kept = [failed for at, failed in seen if math.floor(at / width) > math.floor(now / width) - BUCKETS]
        assert (window.attempts, window.failures) == (len(kept), sum(kept))
