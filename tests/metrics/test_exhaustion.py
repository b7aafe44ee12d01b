"""The time to exhaustion: by hand where the answer is known, by properties where it is not."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.exhaustion import FEWEST, LONGEST, minutes_left, slope

shares = st.lists(st.integers(0, 1_000).map(lambda part: part / 1_000), min_size=FEWEST, max_size=30)


def line(first: float, rise: float, number: int = 30) -> list[tuple[float, float]]:
    return [(float(minute), first + rise * minute) for minute in range(number)]


def test_a_straight_rise_is_full_when_it_says() -> None:
    # 20 % at minute 0 and 2 points a minute more: 100 % at minute 40, which is 11 minutes after minute 29.
    assert minutes_left(line(0.20, 0.02), at=29) == pytest.approx(11)
    # From minute 10 on the same line is 30 minutes away.
    assert minutes_left(line(0.20, 0.02), at=10) == pytest.approx(30)


def test_what_is_above_the_limit_already_is_full_now() -> None:
    assert minutes_left(line(0.80, 0.02), at=29) == 0


def test_the_slope_is_the_median_of_all_pairs() -> None:
    # Pairs: 1 / 1, 1 / 2 (half), -0 / 1: slopes 1, 0.5, 0; their median is a half.
    assert slope([(0, 0.0), (1, 1.0), (2, 1.0)]) == 0.5
    # Six pairs: 0.1, 0.1, 0.1 of the line, and those with the wild point.
    assert slope([(0, 0.0), (1, 0.1), (2, 0.2), (3, 9.0)]) == pytest.approx((0.1 + 3.0) / 2)


def test_wild_points_do_not_move_it() -> None:
    points = line(0.20, 0.01)
    for place in (3, 9, 15, 21, 27):
        points[place] = (points[place][0], 5.0 if place % 2 else 0.0)
    # The line is full at minute 80, whatever the five say.
    assert minutes_left(points, at=30) == pytest.approx(50, abs=3)


def test_nothing_is_said_without_enough_points() -> None:
    assert minutes_left(line(0.2, 0.02, FEWEST - 1), at=FEWEST) is None
    assert minutes_left(line(0.2, 0.02, FEWEST), at=FEWEST) is not None
    assert minutes_left([], at=0) is None


def test_nothing_is_said_of_what_falls_stands_or_jumps_about() -> None:
    assert minutes_left(line(0.9, -0.01), at=30) is None
    assert minutes_left(line(0.9, 0.0), at=30) is None
    assert minutes_left([(float(n), 0.9 if n % 2 else 0.1) for n in range(30)], at=30) is None
    # One step up is no rise: fifteen minutes at 30 %, fifteen at 31 %: its median slope is 0.
    dice = random.Random(5)
    assert minutes_left([(float(n), dice.random()) for n in range(30)], at=30) is None


def test_nothing_is_said_of_times_that_are_too_far_away() -> None:
    # One point in a thousand minutes: full 500 minutes after minute 0.
    assert minutes_left(line(0.5, 0.001), at=0) is None
    assert minutes_left(line(0.5, 0.001), at=500 - LONGEST) == pytest.approx(LONGEST)


@given(shares)
def test_what_is_said_is_in_the_future_and_in_reach(values: list[float]) -> None:
    points = [(float(minute), value) for minute, value in enumerate(values)]
    left = minutes_left(points, at=len(values))
    assert left is None or 0 <= left <= LONGEST


@given(shares)
def test_a_rise_and_its_mirror_are_never_both_told(values: list[float]) -> None:
    forward = [(float(minute), value) for minute, value in enumerate(values)]
    back = [(float(minute), value) for minute, value in enumerate(reversed(values))]
    assert minutes_left(forward, at=30) is None or minutes_left(back, at=30) is None


@given(shares, st.randoms(use_true_random=False))
def test_the_order_in_which_points_are_given_does_not_matter(values: list[float], dice: random.Random) -> None:
    points = [(float(minute), value) for minute, value in enumerate(values)]
    shuffled = dice.sample(points, len(points))
    told, again = minutes_left(points, at=30), minutes_left(shuffled, at=30)
    assert told == again or (told is not None and again is not None and told == pytest.approx(again))


@given(st.floats(0.05, 0.9), st.floats(0.002, 0.05), st.floats(1, 4))
def test_more_traffic_is_full_sooner(first: float, rise: float, factor: float) -> None:
    left = minutes_left(line(first, rise), at=29)
    more = minutes_left([(minute, share * factor) for minute, share in line(first, rise)], at=29)
    if left is not None:
        assert more is not None
        assert more <= left + 1e-6
