"""Growth of the requests sent: by half a minute."""

import itertools
import math

import pytest

from llmclient._ramp import Ramp

LATER = 10_000.0


def guard(limit: float | None = 1_000) -> Ramp:
    """One that has been idle for long, at LATER."""
    made = Ramp()
    if limit is not None:
        made.learn(limit)
    made.sent(0.0)
    made.rate(LATER)
    return made


def flood(ramp: Ramp, start: float, minutes: int) -> list[int]:
    """Requests per minute when there is always another one."""
    sent = [0] * minutes
    now = start
    while now < start + 60 * minutes:
        wait = ramp.wait(now)
        if wait == 0:
            ramp.sent(now)
            sent[int((now - start) // 60)] += 1
        now += max(wait, 0.001)
    return sent


def test_the_rate_is_that_of_steady_traffic() -> None:
    ramp = Ramp()
    for n in range(6_000):
        ramp.sent(n / 10)
    assert ramp.rate(600.0) == pytest.approx(600, rel=0.001)
    assert ramp.rate(660.0) == pytest.approx(600 / math.e, rel=0.001)


def test_a_tenth_of_the_limit_is_free_at_once() -> None:
    ramp = guard()
    for _ in range(99):
        ramp.sent(LATER)
    assert ramp.wait(LATER) == 0.0
    ramp.sent(LATER)
    assert ramp.wait(LATER) == pytest.approx(60 / 99)


def test_a_request_a_second_is_free_whatever_the_limit_is() -> None:
    ramp = guard(50)
    for _ in range(59):
        assert ramp.wait(LATER) == 0.0
        ramp.sent(LATER)


def test_beyond_that_each_minute_has_at_most_half_as_many_more_as_the_last() -> None:
    sent = flood(guard(), LATER, 8)
    assert sent[0] < 300
    for last, next_ in itertools.pairwise(sent[1:]):
        assert 1.3 * last < next_ <= 1.51 * last


def test_the_first_two_minutes_of_a_process_are_not_held_back() -> None:
    ramp = Ramp()
    ramp.learn(1_000)
    ramp.sent(0.0)
    for _ in range(5_000):
        ramp.sent(100.0)
    assert ramp.wait(119.0) == 0.0
    rate = 5_000 * math.exp(-21 / 60)
    assert ramp.wait(121.0, ahead=round(rate / 2) - 10) == 0.0
    assert ramp.wait(121.0, ahead=round(rate / 2) + 10) > 0.0


def test_traffic_that_was_there_at_the_start_goes_on_after_it() -> None:
    ramp = Ramp()
    ramp.learn(1_000)
    for n in range(9_000):  # 900 a minute for ten minutes
        assert ramp.wait(n / 15) == 0.0
        ramp.sent(n / 15)


def test_traffic_within_half_again_of_the_last_minute_is_not_held_back() -> None:
    ramp = Ramp()
    ramp.learn(10_000)
    for n in range(12_000):  # 2,400 a minute for five minutes
        ramp.sent(n / 40)
    for n in range(3_000):  # 3,300 a minute from then on
        assert ramp.wait(300 + n / 55) == 0.0
        ramp.sent(300 + n / 55)


def test_after_a_lull_it_grows_from_what_was_sent_of_late() -> None:
    ramp = Ramp()
    ramp.learn(10_000)
    for n in range(24_000):
        ramp.sent(n / 40)
    rate = 2_400 / math.e
    assert ramp.wait(600.0 + 60.0, ahead=round(rate / 2) - 10) == 0.0
    assert ramp.wait(600.0 + 60.0, ahead=round(rate / 2) + 10) > 0.0
    assert ramp.wait(600.0 + 3_600.0, ahead=998) == 0.0
    assert ramp.wait(600.0 + 3_600.0, ahead=1_001) > 0.0


def test_a_refusal_for_growth_ends_the_free_start_and_slows_the_growth() -> None:
    ramp = Ramp()
    ramp.learn(1_000)
    for n in range(600):
        ramp.sent(n / 10)
    rate = ramp.rate(60.0)
    ramp.tighten(60.0)
    assert ramp.wait(60.0) == pytest.approx((rate + 1 - 0.9 * rate) * 60 / (0.9 * rate - 1))
    sent = flood(ramp, 60.0, 4)
    assert sent[0] < 600
    assert sent[2] < 1.4 * sent[1]
    assert sent[3] < 1.45 * sent[2]


def test_refusals_leave_a_little_and_are_forgotten_in_ten_minutes() -> None:
    ramp = guard(1_000)
    for n in range(20):
        ramp.tighten(LATER + n)
    assert ramp.wait(LATER + 100.0, ahead=9) == 0.0
    assert ramp.wait(LATER + 100.0, ahead=30) > 0.0
    assert ramp.wait(LATER + 100.0 + 600.0, ahead=98) == 0.0


def test_without_a_known_limit_nothing_is_held_back() -> None:
    ramp = guard(None)
    ramp.tighten(LATER)
    assert ramp.wait(LATER, ahead=10_000) == 0.0


def test_what_was_not_sent_after_all_is_taken_back() -> None:
    ramp = guard()
    ramp.sent(LATER)
    before = ramp.rate(LATER + 30.0)
    ramp.sent(LATER + 30.0)
    ramp.unsent(LATER + 30.0, LATER + 60.0)
    assert ramp.rate(LATER + 60.0) == pytest.approx(before * math.exp(-0.5))


def test_who_waits_as_long_as_told_after_others_is_let_through() -> None:
    ramp = guard()
    for _ in range(100):
        ramp.sent(LATER)
    told = ramp.wait(LATER, ahead=20)
    now = LATER
    for _ in range(20):
        now += ramp.wait(now)
        ramp.sent(now)
    assert now + ramp.wait(now) <= LATER + told
