from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics import units
from metrics.units import Unit

DOLLAR = 1_000_000_000


def plain(text: str) -> str:
    """The narrow no-break space as a plain one, so that the expectations can be read."""
    return text.replace(units.SPACE, " ")


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (22_361_870, Unit.TOKENS, "22,361,870"),
        (0, Unit.TOKENS, "0"),
        (None, Unit.NANOUSD, "–"),
        (0, Unit.NANOUSD, "$0.00"),
        (1, Unit.NANOUSD, "$0.000000001"),
        (20 * DOLLAR, Unit.NANOUSD, "$20.00"),
        (85_610_390_000, Unit.NANOUSD, "$85.61039"),
        (-1_234 * DOLLAR - 500_000_000, Unit.NANOUSD, "−$1,234.50"),
    ],
)
def test_all_digits_of_a_sum_are_written(value: int | None, unit: Unit, text: str) -> None:
    assert units.all_digits(value, unit) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (Decimal(0), "0"),
        (Decimal("0.71234"), "0.7123"),
        (Decimal("0.0000123456"), "0.00001235"),
        (Decimal("0.99999"), "1"),
        (Decimal("3.25"), "3.25"),
        (Decimal("4.99996"), "5"),
        (Decimal(100), "100"),
        (Decimal("999.96"), "1,000"),
        (Decimal("12345.6"), "12,346"),
        (Decimal("-2.5"), "−2.5"),
        (None, "–"),
    ],
)
def test_a_number_on_any_scale_has_four_digits(number: Decimal | None, text: str) -> None:
    assert units.scalar(number) == units.number(number, Unit.NUMBER) == text


@pytest.mark.parametrize(
    ("nanousd", "text"),
    [
        (0, "$0.00"),
        (1, "$0.000000001"),
        (3_100_000, "$0.0031"),
        (3_149_999, "$0.0031"),
        (9_949_999, "$0.0099"),
        (9_960_000, "$0.01"),
        (10_000_000, "$0.01"),
        (15_000_000, "$0.02"),
        (25_000_000, "$0.02"),
        (212_400_000_000, "$212.40"),
        (999_994_999_999, "$999.99"),
        (999_996_000_000, "$1,000"),
        (4_961 * DOLLAR + 400_000_000, "$4,961"),
        (1_234_567 * DOLLAR, "$1,234,567"),
        (-1_500_000_000, "−$1.50"),
        (None, "–"),
    ],
)
def test_money_has_cents_below_a_thousand_and_two_digits_below_a_cent(nanousd: int | None, text: str) -> None:
    assert units.money(nanousd) == text


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (0, "0 ms"),
        (840, "840 ms"),
        (Fraction(9994, 10), "999 ms"),
        (Fraction(9996, 10), "1.0 s"),
        (1_000, "1.0 s"),
        (11_800, "11.8 s"),
        (59_940, "59.9 s"),
        (59_960, "1 min"),
        (125_000, "2 min 5 s"),
        (3_599_600, "1 h"),
        (11_520_000, "3 h 12 min"),
        (187_200_000, "2 d 4 h"),
        (-840, "−840 ms"),
        (None, "–"),
    ],
)
def test_a_duration_is_written_in_the_unit_people_think_in(ms: int | Fraction | None, text: str) -> None:
    assert plain(units.duration(ms)) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0"), (41_207, "41,207"), (1_234_567, "1,234,567"), (-3, "−3"), (Decimal("2.5"), "2"), (None, "–")],
)
def test_a_count_separates_thousands(number: int | Decimal | None, text: str) -> None:
    assert units.count(number) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"),
        (9_412, "9,412"),
        (9_999, "9,999"),
        (12_600, "12.6 k"),
        (99_960, "100 k"),
        (126_000, "126 k"),
        (999_600, "1.00 M"),
        (1_260_000, "1.26 M"),
        (22_361_870, "22.4 M"),
        (2_500_000_000, "2.50 B"),
        (4_500_000_000_000, "4,500 B"),
        (None, "–"),
    ],
)
def test_tokens_keep_three_significant_digits(number: int | None, text: str) -> None:
    assert plain(units.tokens(number)) == text


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (Fraction(0), "0 %"),
        (Fraction(1), "100 %"),
        (Fraction(1, 1_000_000), "< 0.01 %"),
        (Fraction(999_999, 1_000_000), "> 99.99 %"),
        (Fraction(42, 10_000), "0.42 %"),
        (Fraction(124, 1000), "12.4 %"),
        (Fraction(9931, 10_000), "99.31 %"),
        (Decimal("0.5"), "50.0 %"),
        (Fraction(5, 2), "250.0 %"),
        (None, "–"),
    ],
)
def test_a_share_is_precise_near_both_ends_and_never_rounded_to_them(
    share: Fraction | Decimal | None, text: str
) -> None:
    assert plain(units.ratio(share)) == text


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (Fraction(2, 100), Unit.RATIO, "2 %"),
        (Fraction(25, 1000), Unit.RATIO, "2.5 %"),
        (Fraction(1), Unit.RATIO, "100 %"),
        (30_000, Unit.MILLISECONDS, "30 s"),
        (2_500, Unit.MILLISECONDS, "2.5 s"),
        (800, Unit.MILLISECONDS, "800 ms"),
        (50 * DOLLAR, Unit.NANOUSD, "$50"),
        (1_200 * DOLLAR, Unit.NANOUSD, "$1,200"),
        (50 * DOLLAR + 500_000_000, Unit.NANOUSD, "$50.50"),
        (1_000, Unit.COUNT, "1,000"),
    ],
)
def test_a_limit_is_written_as_it_was_set(value: int | Fraction, unit: Unit, text: str) -> None:
    assert plain(units.limit(value, unit)) == text


@pytest.mark.parametrize(
    ("value", "base", "unit", "events", "text"),
    [
        (118, 100, Unit.MILLISECONDS, 30, "+18 %"),
        (97, 100, Unit.COUNT, 100, "−3.0 %"),
        (100, 100, Unit.COUNT, 100, "±0.0 %"),
        (1_300, 100, Unit.COUNT, 100, "+1,200 %"),
        (Fraction(9931, 10_000), Fraction(9973, 10_000), Unit.RATIO, 5, "−0.42 pt"),
        (9, 3, Unit.COUNT, 3, "3 → 9"),
        (2 * DOLLAR, 0, Unit.NANOUSD, 100, "$0.00 → $2.00"),
        (None, 3, Unit.COUNT, 100, "–"),
        (3, None, Unit.COUNT, 100, "–"),
    ],
)
def test_a_change_is_in_percent_in_points_or_shown_as_both_numbers(
    value: int | Fraction | None, base: int | Fraction | None, unit: Unit, events: int, text: str
) -> None:
    assert plain(units.delta(value, base, unit, events=events)) == text


@pytest.mark.parametrize(
    ("written", "unit", "exact"),
    [
        (Decimal("2.5"), Unit.RATIO, Fraction(1, 40)),
        (Decimal(30_000), Unit.MILLISECONDS, Fraction(30_000)),
        (Decimal("0.000001"), Unit.NANOUSD, Fraction(1_000)),
        (Decimal(7), Unit.COUNT, Fraction(7)),
        (Decimal(7), Unit.TOKENS, Fraction(7)),
    ],
)
def test_what_a_person_typed_becomes_the_metrics_own_unit_exactly(
    written: Decimal, unit: Unit, exact: Fraction
) -> None:
    assert units.in_metric_unit(written, unit) == exact


@pytest.mark.parametrize("unit", Unit)
def test_every_unit_can_be_written_and_says_what_people_type(unit: Unit) -> None:
    assert units.number(None, unit) == "–"
    assert units.number(0, unit)[0] in "0$"
    assert isinstance(units.written_unit(unit), str)


@given(st.integers(min_value=0, max_value=10**21), st.sampled_from(Unit))
def test_every_number_can_be_written_and_shows_its_sign(value: int, unit: Unit) -> None:
    text = units.number(value, unit)
    assert text
    assert "E" not in text
    if value:
        assert units.number(-value, unit) == "−" + text


@given(st.integers(min_value=1, max_value=10**13))
def test_money_is_never_written_as_nothing_when_there_is_some(nanousd: int) -> None:
    written = Fraction(units.money(nanousd).lstrip("$").replace(",", ""))
    assert written > 0
    assert abs(written * DOLLAR - nanousd) <= max(Fraction(nanousd, 18), Fraction(5 * DOLLAR, 1000))


@pytest.mark.parametrize(
    ("number", "written"),
    [
        (None, "–"),
        (0, "0 B"),
        (999, "999 B"),
        (1_000, "1.00 kB"),
        (12_649, "12.6 kB"),
        (999_499, "999 kB"),
        (999_500, "1.00 MB"),
        (1_260_000_000, "1.26 GB"),
        (5_000_000_000_000_000_000, "5,000 PB"),
    ],
)
def test_a_size_has_three_digits(number: int | None, written: str) -> None:
    assert units.size(number) == written.replace(" ", units.SPACE)
