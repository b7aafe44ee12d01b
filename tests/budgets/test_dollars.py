import pytest
from django.core.exceptions import ValidationError
from hypothesis import given
from hypothesis import strategies as st

from budgets.dollars import DollarField


@pytest.mark.parametrize(
    ("typed", "nanousd"),
    [
        ("500", 500_000_000_000),
        ("12.50", 12_500_000_000),
        ("$1,200.50", 1_200_500_000_000),
        (" $0.1 ", 100_000_000),
        ("0.000000001", 1),
        ("9000000000", 9_000_000_000_000_000_000),
    ],
)
def test_what_is_typed_in_dollars_is_kept_in_nano_dollars_exactly(typed: str, nanousd: int) -> None:
    assert DollarField().clean(typed) == nanousd


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("0", "Write an amount above zero."),
        ("-5", "Write an amount above zero."),
        ("ten", "Enter a number."),
        ("", "This field is required."),
        ("0.0000000001", "Ensure that there are no more than 9 decimal places."),
        ("9000000001", "Ensure this value is less than or equal to 9000000000."),
        ("NaN", "Enter a number."),
        ("Infinity", "Enter a number."),
    ],
)
def test_what_is_not_an_amount_is_refused_in_words(typed: str, message: str) -> None:
    with pytest.raises(ValidationError, match=message.replace(".", r"\.")):
        DollarField().clean(typed)


@given(st.integers(min_value=1, max_value=9_000_000_000_000_000_000))
def test_an_amount_survives_being_shown_and_typed_again(nanousd: int) -> None:
    field = DollarField()
    shown = field.prepare_value(nanousd)
    assert field.clean(shown) == nanousd
    assert not field.has_changed(nanousd, shown)


def test_what_was_refused_is_shown_as_it_was_typed() -> None:
    assert DollarField().prepare_value("ten") == "ten"
    assert DollarField().has_changed(5, "ten")
