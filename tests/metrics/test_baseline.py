"""Verdicts: what is usual for these hours, by hand, and how seldom chance alone is called unusual."""

import math
import random
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.baseline import (
    Word,
    floor_of,
    judge,
    judge_rates,
    median,
    newcombe,
    noise_of,
    wilson,
    word_of,
)

# --- against the weeks before


def test_a_value_is_held_against_the_median_in_robust_deviations() -> None:
    # The median of 90, 95, 100, 105, 110, 100 is 100; the deviations 10, 5, 0, 5, 10, 0 have the median 5.
    # 1.4826 x 5 x 1.2 (six values) = 8.8956, so 130 lies 30 / 8.8956 = 3.37 deviations away.
    judged = judge(130, [90, 95, 100, 105, 110, 100])
    assert (judged.word, judged.usual, judged.weeks) == (Word.UNUSUAL, Fraction(100), 6)
    assert judged.spread == pytest.approx(8.8956)
    assert judged.z == pytest.approx(30 / 8.8956)


def test_the_floor_is_used_where_the_weeks_scatter_less() -> None:
    judged = judge(130, [100, 100, 100, 100], floor=10.0)
    assert (judged.z, judged.word) == (3.0, Word.UNUSUAL)


@pytest.mark.parametrize(
    ("z", "word"),
    [
        (0, Word.NORMAL),
        (1.99, Word.NORMAL),
        (2, Word.UNUSUAL),
        (-2, Word.UNUSUAL),
        (3.5, Word.UNUSUAL),
        (3.51, Word.VERY_UNUSUAL),
        (-9, Word.VERY_UNUSUAL),
    ],
)
def test_the_words_begin_where_they_say(z: float, word: Word) -> None:
    assert word_of(z) is word
    assert word.is_alarm is (abs(z) >= 2)


def test_fewer_than_two_weeks_are_learned_from_and_not_judged_by() -> None:
    assert judge(5, []).word is Word.LEARNING
    assert judge(5, [4, None, None]).word is Word.LEARNING
    assert judge(5, [4, None, 6], floor=1.0).word is Word.NORMAL


def test_weeks_that_are_all_alike_make_any_other_value_very_unusual_unless_there_is_a_floor() -> None:
    assert judge(0, [0, 0, 0]).z == 0
    assert judge(1, [0, 0, 0]).z == math.inf
    assert judge(-1, [0, 0, 0]).z == -math.inf


@given(st.lists(st.integers(0, 10**15), min_size=1, max_size=9))
def test_the_median_is_exact_and_in_the_middle(values: list[int]) -> None:
    middle = median(map(Fraction, values))
    assert sum(value <= middle for value in values) * 2 >= len(values)
    assert sum(value >= middle for value in values) * 2 >= len(values)


@given(
    st.integers(0, 10**12),
    st.lists(st.integers(0, 10**12), min_size=2, max_size=8),
    st.floats(0.001, 10**9),
    st.integers(1, 1000),
)
def test_a_verdict_does_not_depend_on_the_unit(value: int, weeks: list[int], floor: float, factor: int) -> None:
    one, other = judge(value, weeks, floor), judge(value * factor, [week * factor for week in weeks], floor * factor)
    assert one.z is not None
    assert other.z == pytest.approx(one.z)


def test_the_floor_is_that_of_independent_calls_or_the_noise_of_other_hours_or_two_percent() -> None:
    assert floor_of(400, 400, per_call=1) == pytest.approx(20)  # the root of 400
    assert floor_of(400, 400, per_call=1, noise=0.1) == pytest.approx(40)
    assert floor_of(1_000_000, 1_000_000, per_call=1) == pytest.approx(20_000)
    assert floor_of(1000, 0, per_call=1) == 1000


def test_noise_is_learned_from_how_far_weeks_lie_apart() -> None:
    # Three pairs in each group, relative to its median 100 and 10: 0.1, 0.1, 0.2 twice. The middle one is 0.1.
    assert noise_of([[90, 100, 110], [9, 10, 11]]) == pytest.approx(1.4826 * 0.1 / math.sqrt(2))
    assert noise_of([[90, 100, 110]]) == 0  # three pairs say too little
    assert noise_of([[0, 0, 0, 0], [5]]) == 0


# --- two rates


def test_wilsons_and_newcombes_intervals_are_those_of_the_paper() -> None:
    # Newcombe 1998, Statistics in Medicine 17, table II, example (a): 56/70 - 48/80, method 10: 0.0524 to 0.3339.
    low, high = newcombe(56, 70, 48, 80, 1.959964)
    assert (round(low, 4), round(high, 4)) == (0.0524, 0.3339)
    # Example (d) there: 5/56 - 0/29: -0.0381 to 0.1926.
    low, high = newcombe(5, 56, 0, 29, 1.959964)
    assert (round(low, 4), round(high, 4)) == (-0.0381, 0.1926)
    # Wilson for 81 of 263, the usual example: 0.2553 to 0.3662.
    assert [round(end, 4) for end in wilson(81, 263, 1.959964)] == [0.2553, 0.3662]


@pytest.mark.parametrize(
    ("sides", "word"),
    [
        ((10, 29, 10, 5000), Word.NOT_ENOUGH),  # fewer than 30 calls
        ((0, 100, 4, 100), Word.NOT_ENOUGH),  # 2 errors were to be expected on each side
        ((10, 100, 10, 100), Word.NORMAL),
        ((20, 1000, 10, 1000), Word.NORMAL),
        ((30, 1000, 10, 1000), Word.UNUSUAL),
        ((60, 1000, 10, 1000), Word.VERY_UNUSUAL),
        ((10, 1000, 60, 1000), Word.VERY_UNUSUAL),
    ],
)
def test_rates_are_judged_when_there_is_enough(sides: tuple[int, int, int, int], word: Word) -> None:
    assert judge_rates(*sides).word is word


@given(st.integers(30, 10**6), st.integers(30, 10**6), st.data())
def test_the_interval_of_a_difference_holds_the_difference_and_turns_with_the_sides(
    calls: int, other_calls: int, data: st.DataObject
) -> None:
    events, other_events = data.draw(st.integers(0, calls)), data.draw(st.integers(0, other_calls))
    low, high = newcombe(events, calls, other_events, other_calls, 2.0)
    assert low - 1e-12 <= events / calls - other_events / other_calls <= high + 1e-12
    turned = newcombe(other_events, other_calls, events, calls, 2.0)
    assert (-turned[1], -turned[0]) == pytest.approx((low, high))


# --- no alarm where nothing is different


def alarms_by_chance(weeks: int) -> float:
    """How often a value of the same normal distribution as `weeks` others lies 2 deviations from their median.

    Value and median vary independently: together by 1 + v of the variance, v that of the median of so many values
    (of 200,000 drawn samples of 2, 4 and 8; exactly a half for 2).
    """
    v = {2: 0.5, 4: 0.2982, 8: 0.1682}[weeks]
    return math.erfc(2 / math.sqrt(1 + v) / math.sqrt(2))


def test_the_figure_that_chance_alone_may_reach() -> None:
    assert [round(alarms_by_chance(weeks), 3) for weeks in (2, 4, 8)] == [0.102, 0.079, 0.064]


@pytest.mark.parametrize("weeks", [2, 4, 8])
@pytest.mark.parametrize(("calls", "noise"), [(400, 0.0), (20_000, 0.0), (20_000, 0.1)], ids=["few", "many", "noisy"])
def test_weeks_that_are_all_the_same_cause_no_more_alarms_than_chance_does(
    weeks: int, calls: int, noise: float
) -> None:
    """A/A: the week judged is drawn like the others. The scatter of the noisy ones is learned from seven days."""
    dice = random.Random(weeks * calls)
    trials = 2000

    def week() -> int:
        level = calls * math.exp(dice.gauss(0, noise))
        return round(dice.gauss(level, math.sqrt(level)))

    words = []
    for _ in range(trials):
        days = [[week() for _ in range(weeks)] for _ in range(7)]
        usual = median(map(Fraction, days[0]))
        floor = floor_of(usual, usual, per_call=1, noise=noise_of(days))
        words.append(judge(week(), days[0], floor).word)
    # Where the scatter itself has to be learned it is sometimes learned too small: a quarter more for that. And three
    # standard errors of a share counted in so many trials.
    bound = alarms_by_chance(weeks) * (1.25 if noise else 1)
    assert sum(word.is_alarm for word in words) / trials <= bound + 3 * math.sqrt(bound * (1 - bound) / trials)
    assert sum(word is Word.VERY_UNUSUAL for word in words) / trials <= 0.035


def test_equal_rates_cause_no_more_alarms_than_two_deviations_do() -> None:
    dice = random.Random(11)
    trials = 1500

    def errors() -> int:
        return sum(dice.random() < 0.05 for _ in range(300))

    words = [judge_rates(errors(), 300, errors(), 300).word for _ in range(trials)]
    bound = math.erfc(2 / math.sqrt(2))  # 4.6 %
    assert sum(word.is_alarm for word in words) / trials <= bound + 3 * math.sqrt(bound * (1 - bound) / trials)
