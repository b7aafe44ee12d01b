"""Prices as people know them, dollars per million tokens, over columns of nano-dollars per token. Exact both ways."""

from datetime import datetime
from decimal import Decimal
from typing import Any, ClassVar, Final

from django import forms

from ingest.models import NANO_PER_DOLLAR, Price
from ingest.pricelist import TOKEN_COLUMNS

LONG_COLUMNS: Final = tuple(f"long_{column}" for column in TOKEN_COLUMNS)
_LABELS: Final = {
    "input": "Input",
    "output": "Output",
    "cache_read": "Cache read",
    "cache_write_5m": "Cache write, 5 minutes",
    "cache_write_1h": "Cache write, 1 hour",
}


class DollarsPer(forms.DecimalField):
    """Dollars for `units` of something, held as whole nano-dollars for one. Finer amounts are refused, not rounded."""

    def __init__(self, units: int, **options: Any) -> None:
        self.units = units
        # 1 $ per million is 1,000 nano-dollars each, so three decimals are exact; per thousand it is six.
        places = len(str(NANO_PER_DOLLAR // units)) - 1
        super().__init__(min_value=Decimal(0), max_digits=9 + places, decimal_places=places, **options)

    def prepare_value(self, value: Any) -> Any:
        """The stored number as dollars; what somebody typed comes back as typed."""
        return dollars_for(value, self.units) if isinstance(value, int) else value

    def clean(self, value: Any) -> Any:
        dollars = super().clean(value)
        return None if dollars is None else int(dollars * NANO_PER_DOLLAR / self.units)

    def has_changed(self, initial: Any, data: Any) -> bool:
        try:
            return bool(self.clean(data) != initial)
        except forms.ValidationError:
            return True


def dollars_for(nanousd: int, units: int) -> str:
    """What `units` of something cost in dollars, without needless decimals: 100 per token is 0.1 per million."""
    text = f"{Decimal(nanousd) * units / NANO_PER_DOLLAR:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _per_million(column: str, **options: Any) -> DollarsPer:
    return DollarsPer(1_000_000, label=_LABELS[column], **options)


class PriceForm(forms.ModelForm):  # type: ignore[type-arg]
    """A price row; token prices in dollars per million, searches in dollars per thousand."""

    input = _per_million("input")
    output = _per_million("output")
    cache_read = _per_million("cache_read")
    cache_write_5m = _per_million("cache_write_5m")
    cache_write_1h = _per_million("cache_write_1h")
    long_input = _per_million("input", required=False)
    long_output = _per_million("output", required=False)
    long_cache_read = _per_million("cache_read", required=False)
    long_cache_write_5m = _per_million("cache_write_5m", required=False)
    long_cache_write_1h = _per_million("cache_write_1h", required=False)
    web_search = DollarsPer(
        1_000, label="Web searches", help_text="US dollars per thousand searches.", initial=10_000_000
    )

    class Meta:
        model = Price
        fields = (
            "model", "effective_from", "effective_until", *TOKEN_COLUMNS, "long_threshold", *LONG_COLUMNS,
            "batch_multiplier", "fast_multiplier", "us_multiplier", "web_search", "source", "verified_at",
        )  # fmt: skip
        help_texts: ClassVar = {
            "long_threshold": "Tokens of whole input; above it every token has the long price. Empty: no long prices.",
            "batch_multiplier": "For every token of a batch, for example 0.5.",
        }

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        columns = ("long_threshold", *LONG_COLUMNS)
        missing = [column for column in columns if cleaned.get(column) is None and column not in self.errors]
        if len(missing) != len(columns):
            for column in missing:
                self.add_error(column, "Long prices are given all together or not at all.")
        self._check_time(cleaned.get("model"), cleaned.get("effective_from"), cleaned.get("effective_until"))
        return cleaned

    def _check_time(self, model: str | None, start: datetime | None, end: datetime | None) -> None:
        if start is None:
            return
        if end is not None and end <= start:
            self.add_error("effective_until", "A price ends after it begins.")
        # The provider is part of the key and not on the form, so Django does not look.
        same = Price.objects.filter(provider=self.instance.provider, model=model, effective_from=start)
        if same.exclude(pk=self.instance.pk).exists():
            self.add_error("effective_from", "This model has a price from this moment already: change that one.")
