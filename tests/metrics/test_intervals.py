"""Wilson's interval against values computed by hand and by others, and how many more calls a margin needs."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.intervals import Interval, more_for, wilson


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [
        # z² = 3.841459: (0.8 + 0.192073 ∓ 1.959964 · √(0.016 + 0.009604)) / 1.384146.
        (8, 10, "0.4901625", "0.9433178"),
        # z² / (n + z²) = 3.841459 / 13.841459.
        (0, 10, "0", "0.2775328"),
        (10, 10, "0.7224672", "1"),
        # Newcombe (1998), table I: 81 of 263, 15 of 148, 0 of 20, 1 of 29.
        (81, 263, "0.2553", "0.3662"),
        (15, 148, "0.0624", "0.1605"),
        (0, 20, "0", "0.1611"),
        (1, 29, "0.0061", "0.1718"),
    ],
)
def test_the_interval_is_what_the_papers_say(successes: int, trials: int, low: str, high: str) -> None:
    found = wilson(successes, trials)
    assert found is not None
    assert [value.quantize(Decimal(digits)) for value, digits in zip(found, (low, high), strict=True)] == [
        Decimal(low),
        Decimal(high),
    ]


def test_nothing_tried_has_no_interval_and_more_successes_than_trials_are_refused() -> None:
    assert wilson(0, 0) is None
    with pytest.raises(ValueError, match="3 of 2 is no share"):
        wilson(3, 2)


def test_intervals_are_apart_when_they_share_no_value() -> None:
    low, high = Interval(Decimal("0.1"), Decimal("0.3")), Interval(Decimal("0.3"), Decimal("0.5"))
    assert not low.is_apart_from(high)
    assert Interval(Decimal("0.1"), Decimal("0.29")).is_apart_from(high)
    assert high.is_apart_from(Interval(Decimal("0.1"), Decimal("0.29")))
    assert high.margin == Decimal("0.1")


@pytest.mark.parametrize(
    ("successes", "trials", "more"),
    [
        # Half of n: the half width is z / (2 √(n + z²)), at most 0.03 from n = 1067.07 − 3.84 = 1063.2 on.
        (0, 0, 1064),
        (50, 100, 964),
        (532, 1064, 0),
        # All of n: the half width is z² / (2 (n + z²)), at most 0.03 from n = 64.02 − 3.84 = 60.2 on.
        (20, 20, 41),
        (61, 61, 0),
    ],
)
def test_how_many_more_would_tell(successes: int, trials: int, more: int) -> None:
    assert more_for(Decimal("0.03"), successes, trials) == more


@given(st.integers(0, 3000), st.integers(1, 3000))
def test_it_holds_the_share_lies_within_0_and_1_and_is_symmetric(successes: int, trials: int) -> None:
    successes = min(successes, trials)
    found, mirrored = wilson(successes, trials), wilson(trials - successes, trials)
    assert found is not None
    assert mirrored is not None
    assert 0 <= found.low <= Decimal(successes) / trials <= found.high <= 1
    assert abs(found.low - (1 - mirrored.high)) < Decimal("1e-20")
