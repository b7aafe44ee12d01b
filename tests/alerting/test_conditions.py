from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerting.conditions import Condition, compare, judge
from alerting.state import Verdict
from metrics.readings import Reading

END = datetime(2026, 11, 22, 13, 45, tzinfo=UTC)
ABOVE_5 = Condition("above", Fraction(5, 100), Fraction(2, 100), minimum_sample=30, no_data="keep")
BELOW_95 = Condition("below", Fraction(95, 100), Fraction(98, 100), minimum_sample=30, no_data="keep")


def reading(value: int | Decimal | None, sample: int = 100, complete_to: datetime | None = END) -> Reading:
    return Reading("error_rate", value, sample, complete_to, unpriced=0)


@pytest.mark.parametrize(
    ("value", "verdict"),
    [
        ("0.050001", Verdict.BREACH),
        ("0.05", Verdict.BAND),
        ("0.020001", Verdict.BAND),
        ("0.02", Verdict.CLEAR),
        ("0", Verdict.CLEAR),
    ],
)
def test_above_begins_above_and_ends_at_the_recovery_threshold(value: str, verdict: Verdict) -> None:
    assert judge(reading(Decimal(value)), ABOVE_5, window_end=END, is_sum=False) is verdict


@pytest.mark.parametrize(
    ("value", "verdict"),
    [
        ("0.949999", Verdict.BREACH),
        ("0.95", Verdict.BAND),
        ("0.979999", Verdict.BAND),
        ("0.98", Verdict.CLEAR),
        ("1", Verdict.CLEAR),
    ],
)
def test_below_is_the_mirror_image(value: str, verdict: Verdict) -> None:
    assert judge(reading(Decimal(value)), BELOW_95, window_end=END, is_sum=False) is verdict


@pytest.mark.parametrize(
    ("policy", "verdict"), [("keep", Verdict.NO_DATA), ("ok", Verdict.CLEAR), ("alert", Verdict.BREACH)]
)
@pytest.mark.parametrize("few", [reading(None, 0), reading(Decimal(1), 29)])
def test_too_few_requests_mean_what_the_rule_says(few: Reading, policy: str, verdict: Verdict) -> None:
    condition = replace(ABOVE_5, no_data=policy)
    assert judge(few, condition, window_end=END, is_sum=False) is verdict


def test_the_minimum_itself_is_enough() -> None:
    assert judge(reading(Decimal(1), 30), ABOVE_5, window_end=END, is_sum=False) is Verdict.BREACH


def test_a_sum_of_nothing_is_nought_and_known() -> None:
    dollars = Condition("above", Fraction(50), Fraction(40), minimum_sample=30, no_data="keep")
    assert judge(reading(0, 0), dollars, window_end=END, is_sum=True) is Verdict.CLEAR
    assert judge(reading(51, 1), dollars, window_end=END, is_sum=True) is Verdict.BREACH


@pytest.mark.parametrize("complete_to", [None, END - timedelta(microseconds=1)])
@pytest.mark.parametrize("value", [Decimal(1), Decimal(0), None])
def test_an_incomplete_window_says_nothing(value: Decimal | None, complete_to: datetime | None) -> None:
    condition = replace(ABOVE_5, no_data="alert")
    verdict = judge(reading(value, complete_to=complete_to), condition, window_end=END, is_sum=False)
    assert verdict is Verdict.INCOMPLETE


def test_an_unknown_direction_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="'over' is not a direction"):
        compare(1, replace(ABOVE_5, direction="over"))


@given(
    st.decimals(allow_nan=False, allow_infinity=False, places=6, min_value=-1000, max_value=1000),
    st.fractions(min_value=-1000, max_value=1000),
    st.fractions(min_value=0, max_value=100),
    st.sampled_from(["above", "below"]),
)
def test_a_value_cannot_be_bad_and_recovered_at_once(
    value: Decimal, threshold: Fraction, band: Fraction, direction: str
) -> None:
    side = 1 if direction == "above" else -1
    condition = Condition(direction, threshold, threshold - side * band, 0, "keep")
    mirrored = Condition("below" if side == 1 else "above", -threshold, -(threshold - side * band), 0, "keep")
    verdict = compare(value, condition)
    assert verdict is compare(-value, mirrored)
    assert (verdict is Verdict.BREACH) == (side * (Fraction(value) - threshold) > 0)
