"""Movers: shares of a difference, what explains it, and few false discoveries where nothing moved."""

import math
import random
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.baseline import Word
from metrics.movers import (
    Aligned,
    Kind,
    Moved,
    chance_of_rates,
    chances_of_sums,
    discoveries,
    leading,
    movers,
    tail,
)


def part(
    name: str, now: int, before: int, p: float | None = 0.5, dimension: str = "feature", known: bool = True
) -> Moved:
    return Moved(dimension, name, now, before, p, was_known=known)


def test_each_part_has_its_share_of_the_difference_the_largest_first() -> None:
    found = movers([part("a", 10, 10), part("b", 90, 50), part("c", 20, 30)], 30)
    assert [(mover.part.name, mover.share) for mover in found] == [
        ("b", Fraction(4, 3)),
        ("c", Fraction(-1, 3)),
        ("a", Fraction(0)),
    ]
    assert movers([part("a", 1, 2), part("b", 2, 1)], 0)[0].share is None


def test_parts_that_are_new_and_gone_are_named() -> None:
    kinds = [
        part("new", 5, 0, known=False).kind,
        part("back", 5, 0).kind,
        part("gone", 0, 5).kind,
        part("stayed", 5, 6).kind,
    ]
    assert kinds == [Kind.NEW, Kind.STAYED, Kind.GONE, Kind.STAYED]


def test_a_dimension_is_led_by_the_part_that_moved_beyond_its_size() -> None:
    # By feature: docs is 60 of 240 in size and 40 of 40 in movement: 1 - 1/4. By model there is only one, which moved
    # exactly as much as its size says. By key: 30 of 50 in movement, 70 of 240 in size.
    parts = [
        part("docs", 50, 10),
        part("chat", 90, 90),
        part("sonnet", 140, 100, dimension="model"),
        part("main", 90, 80, dimension="key"),
        part("spare", 50, 20, dimension="key"),
    ]
    best = leading(movers(parts, 40))
    assert [(one.mover.part.name, one.excess) for one in best] == [
        ("docs", Fraction(3, 4)),
        ("spare", Fraction(3, 4) - Fraction(7, 24)),
    ]


def test_discoveries_are_those_of_benjamini_and_hochberg() -> None:
    # The example of their paper, at 5 %: the four smallest of fifteen stand.
    chances = [0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344]
    chances += [0.0459, 0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.0]
    assert discoveries(chances, 0.05) == [True] * 4 + [False] * 11
    # A larger p-value that stands takes the smaller ones along; what has none never stands.
    assert discoveries([0.09, None, 0.1, 0.08], 0.1) == [True, False, True, True]
    assert discoveries([]) == []


@given(st.lists(st.one_of(st.none(), st.floats(0, 1)), max_size=30))
def test_what_stands_is_never_less_likely_to_be_chance_than_what_does_not(chances: list[float | None]) -> None:
    found = discoveries(chances)
    standing = [p for p, stands in zip(chances, found, strict=True) if stands and p is not None]
    falling = [p for p, stands in zip(chances, found, strict=True) if not stands and p is not None]
    assert max(standing, default=0) <= min(falling, default=1)
    # Without any correction there would be at least as many.
    assert all(p <= 0.1 for p in standing)


def test_a_part_is_unusual_when_it_stands_and_lies_two_deviations_away() -> None:
    words = [
        mover.word for mover in movers([part("a", 9, 0, 0.06), part("b", 8, 0, 0.01), part("c", 7, 0, 0.0001)], 24)
    ]
    assert words == [Word.NORMAL, Word.UNUSUAL, Word.VERY_UNUSUAL]
    assert movers([part("a", 9, 0, None)], 9)[0].word is Word.NOT_ENOUGH


def test_two_rates_by_hand() -> None:
    # 30 of 1,000 and 10 of 1,000: pooled 0.02, scatter sqrt(0.02 x 0.98 x 0.002), z = 0.02 / 0.006261 = 3.194.
    assert chance_of_rates(30, 1000, 10, 1000) == pytest.approx(tail(3.19438), rel=1e-4)
    assert tail(1.959964) == pytest.approx(0.05, abs=1e-6)
    assert chance_of_rates(1, 20, 10, 1000) is None
    assert chance_of_rates(100, 100, 100, 100) == 1


def test_a_sum_is_held_against_its_weeks() -> None:
    weeks = Aligned(1400, 1400, [1000, 1000, 1000, 1000], [1000, 1000, 1000, 1000])
    # One part is too little to learn its scatter from: that of 1,000 independent calls is the root, 31.6, beyond the
    # least of 2 %. The median of four is uncertain by pi/8 of the variance.
    (p,) = chances_of_sums({"a": weeks}, per_call=1, noise=0).values()
    assert p == pytest.approx(tail(400 / math.sqrt(1000) / math.sqrt(1 + math.pi / 8)))
    (p,) = chances_of_sums({"a": weeks}, per_call=1, noise=0.2).values()
    assert p == pytest.approx(tail(400 / math.sqrt(1000 + 200**2) / math.sqrt(1 + math.pi / 8)), rel=1e-6)


@pytest.mark.parametrize(
    "few",
    [
        Aligned(900, 900, [100], [100]),  # one week
        Aligned(9, 9, [7, 8, 9], [7, 8, 9]),  # nine calls
        Aligned(900, 900, [0, 0, 50], [0, 0, 50]),  # was not there in most weeks
    ],
)
def test_too_little_is_not_judged(few: Aligned) -> None:
    assert chances_of_sums({"a": few}, per_call=1, noise=0) == {"a": None}


@pytest.mark.parametrize("noise", [0.0, 0.05, 0.1])
def test_parts_that_did_not_move_are_seldom_called_unusual(noise: float) -> None:
    """A/A: thirty parts of all sizes, four weeks, each week drawn like the one judged.

    Where nothing moved, every discovery is false, so Benjamini and Hochberg bound the share of looks with any by 10 %;
    half as much again because the scatter is itself learned, and three standard errors of the share counted.
    """
    dice = random.Random(5)
    looks, alarms = 300, 0
    for _ in range(looks):
        levels = [math.exp(dice.gauss(6, 1.5)) for _ in range(30)]
        parts = {}
        for place, level in enumerate(levels):
            drawn = [
                max(0, round(dice.gauss(m := level * math.exp(dice.gauss(0, noise)), math.sqrt(m)))) for _ in range(5)
            ]
            parts[str(place)] = Aligned(drawn[0], drawn[0], drawn[1:], drawn[1:])
        chances = chances_of_sums(parts, per_call=1, noise=0.0)
        found = movers([part(name, parts[name].value, 0, p) for name, p in chances.items()], 1)
        alarms += any(mover.word.is_alarm for mover in found)
    bound = 0.15
    assert alarms / looks <= bound + 3 * math.sqrt(bound * (1 - bound) / looks)


def test_a_part_that_doubled_among_thirty_is_found() -> None:
    dice = random.Random(6)
    parts = {}
    for place in range(30):
        drawn = [round(dice.gauss(1000, 60)) for _ in range(5)]
        parts[str(place)] = Aligned(drawn[0] * (2 if place == 7 else 1), drawn[0], drawn[1:], drawn[1:])
    chances = chances_of_sums(parts, per_call=1, noise=0.05)
    found = movers([part(name, parts[name].value, 1000, p) for name, p in chances.items()], 1000)
    assert [(mover.part.name, mover.word) for mover in found if mover.word.is_alarm] == [("7", Word.VERY_UNUSUAL)]


def test_the_size_of_a_rate_is_its_calls() -> None:
    # All 20 errors are new and of docs, which has 100 of 180 calls: the errors alone would say that it is everything.
    docs = Moved("feature", "docs", 20, 0, 0.001, calls=100)
    inbox = Moved("feature", "inbox", 0, 0, None, calls=80)
    (best,) = leading(movers([docs, inbox], 20))
    assert (best.mover.part.name, best.excess) == ("docs", 1 - Fraction(100, 180))
