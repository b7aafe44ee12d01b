"""One learning bucket, by hand, and by a property nobody who writes a bucket can get wrong."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmclient._bucket import Bucket, refill_range
from llmclient._quota import Quota


def bucket(limit: int | None = 60, *, target: float = 1.0, share: float = 1.0, now: float = 0.0) -> Bucket:
    made = Bucket(target=target, share=share, settling=5.0)
    if limit is not None:
        made.learn(Quota(limit), now)
    return made


def test_without_a_known_limit_everything_is_let_through() -> None:
    unknown = bucket(None)
    unknown.reserve(1e9, 0.0)
    assert unknown.wait(1e9, 0.0) == 0.0
    assert unknown.level(0.0) == math.inf
    assert unknown.reserved == 1e9


@pytest.mark.parametrize("amount", [0, 40, 59.9, 60, 60.1, 61, 1_000])
def test_what_is_there_is_what_nobody_waits_for(amount: float) -> None:
    unknown, known, blocked = bucket(None), bucket(120, target=0.5), bucket(None)
    blocked.block(5.0, 0.0)
    for each, now in ((unknown, 0.0), (known, 0.0), (blocked, 4.9), (blocked, 5.0)):
        assert each.has(amount, now) == (each.wait(amount, now) == 0)
    known.reserve(20, 0.0)
    for now in (0.0, 10.0, 20.0):
        assert known.has(amount, now) == (known.wait(amount, now) == 0)


def test_what_is_under_way_when_the_limit_becomes_known_is_taken_from_it() -> None:
    learning = bucket(None)
    learning.reserve(10, 0.0)
    learning.reserve(10, 0.0)
    learning.learn(Quota(60, remaining=59), 3.0)
    assert learning.level(3.0) == 39.0  # 59 - 20, however long they are under way
    learning.settle(10, 4, 3.0)
    assert learning.level(3.0) == 45.0
    assert learning.reserved == 10


def test_it_holds_target_times_share_of_the_limit_and_refills_that_in_a_minute() -> None:
    mine = bucket(1000, target=0.9, share=0.5)
    assert mine.capacity == 450
    mine.reserve(450, 0.0)
    assert mine.level(0.0) == 0.0
    assert mine.level(2.0) == pytest.approx(15.0)
    assert mine.level(600.0) == 450.0


def test_the_wait_is_what_is_missing_over_the_refill() -> None:
    mine = bucket(120)  # two a second
    mine.reserve(120, 0.0)
    assert mine.wait(1, 0.0) == 0.5
    assert mine.wait(1, 0.0, ahead=3) == 2.0
    assert mine.wait(1, 0.5) == 0.0


def test_more_than_a_whole_bucket_waits_for_a_full_one_and_overdraws_it() -> None:
    mine = bucket(60)
    mine.reserve(10, 0.0)
    assert mine.wait(500, 0.0) == 10.0
    mine.reserve(500, 10.0)
    assert mine.level(10.0) == -440.0
    assert mine.wait(1, 10.0) == 441.0


def test_a_clock_that_stands_still_or_goes_back_adds_nothing() -> None:
    mine = bucket(60, now=10.0)
    mine.reserve(60, 10.0)
    assert mine.level(10.0) == 0.0
    assert mine.level(4.0) == 0.0
    assert mine.level(11.0) == 1.0


def test_settling_gives_back_what_was_too_much_and_takes_what_was_too_little() -> None:
    mine = bucket(1000)
    mine.reserve(300, 0.0)
    mine.settle(300, 100, 0.0)
    assert mine.level(0.0) == 900.0
    mine.reserve(300, 0.0)
    mine.settle(300, 1500, 0.0)
    assert mine.level(0.0) == -600.0
    assert mine.reserved == 0.0


def test_a_refund_never_makes_it_fuller_than_full() -> None:
    mine = bucket(60)
    mine.reserve(10, 0.0)
    mine.settle(10, 0, 50.0)
    assert mine.level(50.0) == 60.0


@pytest.mark.parametrize(
    ("remaining", "later", "expected"),
    [
        (50, 0.0, 40.0),  # 50 - 10 just sent
        (50, 5.0, 46.321),  # 10 / e of them are perhaps not counted yet, and ours has refilled to 55
        (60, 30.0, 59.975),  # 10 / e**6
        (0, 0.0, -10.0),
    ],
)
def test_it_is_never_fuller_than_the_provider_says_less_what_is_still_on_its_way(
    remaining: int, later: float, expected: float
) -> None:
    mine = bucket(60)
    mine.reserve(10, 0.0)
    mine.learn(Quota(60, remaining=remaining), later)
    assert mine.level(later) == pytest.approx(expected, abs=0.001)


def test_an_answer_never_makes_it_fuller() -> None:
    mine = bucket(60)
    mine.reserve(60, 0.0)
    mine.settle(60, 60, 0.0)
    mine.learn(Quota(60, remaining=60), 0.0)
    assert mine.level(0.0) == 0.0


def test_tokens_are_believed_to_be_rounded_up() -> None:
    mine = bucket(10_000)
    mine.learn(Quota(10_000, remaining=7_000, grain=1_000), 0.0)
    assert mine.level(0.0) == 6_500.0
    mine.learn(Quota(10_000, remaining=0, grain=1_000), 0.0)
    assert mine.level(0.0) == 0.0
    full = bucket(10_000)
    full.learn(Quota(10_000, remaining=10_000, grain=1_000), 0.0)
    assert full.level(0.0) == 10_000.0


def test_only_this_process_s_share_of_what_is_left_is_used() -> None:
    mine = bucket(100, share=0.25)
    mine.learn(Quota(100, remaining=40), 0.0)
    assert mine.level(0.0) == 10.0


def test_a_changed_limit_changes_depth_and_refill() -> None:
    mine = bucket(60)
    mine.reserve(60, 0.0)
    mine.learn(Quota(600), 0.0)
    assert (mine.capacity, mine.level(1.0)) == (600, 10.0)
    mine.learn(Quota(6), 60.0)
    assert mine.level(60.0) == 6.0


@pytest.mark.parametrize(
    ("quota", "age", "least", "most"),
    [
        # Little is missing: a sixtieth of the limit per second is well within what rounding leaves open.
        (Quota(600, 599, 1.0), 0.0, 5.0, 600.0),
        # Half is missing for 30 s: 300.5 / 28 and 299.5 / 31.
        (Quota(600, 300, 30.0), 0.0, 9.661, 10.732),
        # The same from an answer that may be 10 s late: 299.5 / 41.
        (Quota(600, 300, 30.0), 10.0, 7.305, 10.732),
        # Full within 6 s: it refills ten times as fast as it is said to. 599.5 / 7; 0 left says nothing of the most.
        (Quota(600, 0, 6.0), 0.0, 85.643, 600.0),
        # ... which is not believed when nobody knows how late the answer is.
        (Quota(600, 0, 6.0), None, 10.0, 600.0),
        # Refills slower, but not slower than half.
        (Quota(600, 300, 50.0), 0.0, 5.873, 6.260),
        (Quota(600, 300, 5_000.0), 0.0, 5.0, 5.0),
        # Overdrawn: full only after two minutes, and that is no sign of a slow refill.
        (Quota(600, 0, 120.0), 0.0, 5.0, 600.0),
        (Quota(600, None, 30.0), 0.0, 5.0, 600.0),
        (Quota(600, 300, None), 0.0, 5.0, 600.0),
    ],
)
def test_the_refill_is_as_exact_as_the_headers_are(quota: Quota, age: float | None, least: float, most: float) -> None:
    assert refill_range(quota, age) == pytest.approx((least, most), abs=0.001)


def test_the_refill_moves_only_as_far_as_headers_contradict_it() -> None:
    mine = bucket(600)
    mine.learn(Quota(600, 0, 6.0), 0.0, age=0.0)
    assert mine.level(1.0) == pytest.approx(85.643, abs=0.001)
    mine.learn(Quota(600, 599, 1.0), 1.0, age=0.0)  # consistent with everything
    assert mine.level(2.0) == pytest.approx(171.286, abs=0.001)


def test_a_push_back_blocks_and_then_slows_down_for_a_minute() -> None:
    mine = bucket(60)
    assert mine.cut(10.0, 0.0) is True
    assert mine.level(0.0) == 0.0
    assert mine.wait(1, 0.0) == 10.0
    assert mine.level(10.0) == 7.0  # 0.7 a second, credited as it was at the start
    assert mine.wait(1, 10.0) == 0.0
    assert mine.level(20.0) == pytest.approx(14.5)  # 0.75 a second
    assert mine.level(30.0) == pytest.approx(22.5)
    for second in range(30, 80):
        mine.level(float(second))
    mine.reserve(mine.level(80.0), 80.0)
    assert mine.level(81.0) == pytest.approx(1.0)


def test_push_backs_in_a_blocked_time_are_one() -> None:
    mine = bucket(60)
    mine.cut(10.0, 0.0)
    assert mine.cut(20.0, 5.0) is False
    assert mine.blocked_until == 25.0
    mine.reserve(mine.level(25.0), 25.0)
    assert mine.level(26.0) == pytest.approx(0.825)  # 0.7 + 25 * 0.005; a second cut would have made it 0.58
    mine.cut(1.0, 26.0)
    mine.reserve(mine.level(27.0), 27.0)
    assert mine.level(28.0) == pytest.approx(0.7 * 0.83 + 0.005)


def test_however_often_it_is_pushed_back_a_tenth_of_the_rate_is_left() -> None:
    mine = bucket(60)
    for second in range(50):
        mine.cut(0.5, float(second))
    mine.reserve(mine.level(50.0), 50.0)
    assert 0.1 <= mine.level(51.0) <= 0.11


def test_what_refused_calls_give_back_is_not_there_to_be_spent_again() -> None:
    mine = bucket(60)
    for _ in range(20):
        mine.reserve(1, 0.0)
    mine.cut(5.0, 0.0)
    assert mine.level(0.0) == -20.0
    for _ in range(20):
        mine.settle(1, 0, 0.0)
    assert mine.level(0.0) == 0.0


def test_a_push_back_before_any_limit_is_known_blocks() -> None:
    unknown = bucket(None)
    unknown.cut(3.0, 0.0)
    assert unknown.wait(1, 0.0) == 3.0
    assert unknown.wait(1, 3.0) == 0.0


def test_another_share_counts_at_once() -> None:
    mine = bucket(600, share=0.5)
    mine.take_share(0.1, 0.0)
    assert mine.level(0.0) == 60.0
    mine.reserve(60, 0.0)
    mine.take_share(1.0, 1.0)
    assert mine.level(1.0) == 1.0
    assert mine.level(2.0) == 11.0


Step = tuple[float, float, float]  # seconds passed, amount wanted, share of it that is used
STEPS = st.lists(st.tuples(st.floats(0, 20), st.floats(0, 90), st.floats(0, 1)), max_size=60)


@settings(max_examples=200)
@given(limit=st.integers(1, 600), target=st.floats(0.1, 1), steps=STEPS, told=st.lists(st.integers(0, 600)))
def test_in_no_stretch_of_time_is_more_used_than_the_depth_and_the_refill_of_that_time(
    limit: int, target: float, steps: list[Step], told: list[int]
) -> None:
    mine, now = bucket(limit, target=target), 0.0
    answers = iter(told)
    used: list[tuple[float, float]] = []
    for passed, amount, share in steps:
        now += passed
        wanted = min(amount, mine.capacity)
        if mine.wait(wanted, now) == 0:
            mine.reserve(wanted, now)
            mine.settle(wanted, wanted * share, now)
            used.append((now, wanted * share))
        remaining = next(answers, None)
        if remaining is not None:
            mine.learn(Quota(limit, remaining=min(remaining, limit)), now)
    assert mine.reserved == pytest.approx(0.0, abs=1e-6)
    for start in range(len(used)):
        total = 0.0
        for at, amount in used[start:]:
            total += amount
            assert total <= mine.capacity + (at - used[start][0]) * limit * target / 60 + 0.01


@settings(max_examples=200)
@given(limit=st.integers(1, 600), steps=STEPS, ahead=st.floats(0, 100))
def test_after_the_wait_it_told_it_is_there(limit: int, steps: list[Step], ahead: float) -> None:
    mine, now = bucket(limit), 0.0
    for passed, amount, _ in steps:
        now += passed
        mine.reserve(amount, now)
    if steps and steps[-1][0] > 10:
        mine.cut(steps[-1][1], now)
    told = now + mine.wait(20, now, ahead)
    now += mine.wait(ahead, now)
    mine.reserve(ahead, now)
    assert now + mine.wait(20, now) <= told + 0.001
