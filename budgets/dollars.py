"""Dollars in a form, nano-dollars in the database: exactly, in both directions."""

from decimal import Decimal
from typing import Any, Final

from django import forms
from django.core.exceptions import ValidationError

NANO_PER_DOLLAR: Final = 1_000_000_000
# What a bigint of nano-dollars holds, rounded down to a number people can read.
MOST_DOLLARS: Final = Decimal(9_000_000_000)


class DollarField(forms.DecimalField):
    """An amount typed in dollars, with up to nine decimals, kept as an integer of nano-dollars."""

    def __init__(self, **options: Any) -> None:
        super().__init__(max_digits=19, decimal_places=9, max_value=MOST_DOLLARS, **options)

    def to_python(self, value: object) -> Any:
        """Accept what people write: $1,200.50 as well as 1200.5."""
        if isinstance(value, str):
            value = value.strip().removeprefix("$").replace(",", "")
        return super().to_python(value)

    def clean(self, value: object) -> Any:
        dollars = super().clean(value)
        if dollars is None:
            return None
        if dollars <= 0:
            raise ValidationError("Write an amount above zero.")
        return int(dollars * NANO_PER_DOLLAR)

    def prepare_value(self, value: object) -> object:
        """Show a stored amount in dollars; what was typed and refused is shown as it was typed."""
        if isinstance(value, int):
            return f"{(Decimal(value) / NANO_PER_DOLLAR).normalize():f}"
        return value

    def has_changed(self, initial: object, data: object) -> bool:
        try:
            return bool(initial != self.clean(data))
        except ValidationError:
            return True
