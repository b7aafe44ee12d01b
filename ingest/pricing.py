"""Price — step 3 of 8: usage becomes dollars.

Pure: no database, no clock. Money is integer nano-dollars; one event is rounded once, half to even. What each rule
stands on is written down in docs/prices.md.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from typing import Final, NamedTuple, TypeAlias

from msgspec import Struct

from ingest.usage import Part, Usage, UsageError, read_usage

__all__ = ["Columns", "Cost", "PriceBook", "Rate", "Usage", "UsageError", "read_usage", "undated"]


# What to multiply token costs by, as (numerator, denominator), by (batch, fast, US only).
Factors: TypeAlias = dict[tuple[bool, bool, bool], tuple[int, int] | None]


class Cost(Struct, frozen=True, gc=False):
    nanousd: int
    price_id: int


class Columns(NamedTuple):
    """Nano-dollars per token, by category (1 $ per million tokens = 1,000)."""

    input: int
    output: int
    cache_read: int
    cache_write_5m: int
    cache_write_1h: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """One price row: what a model costs in [`effective_from`, `effective_until`)."""

    price_id: int
    model: str
    effective_from: datetime
    effective_until: datetime | None
    short: Columns
    long: Columns | None = None
    long_threshold: int | None = None
    batch_multiplier: Decimal = Decimal("0.5")
    fast_multiplier: Decimal | None = None
    us_multiplier: Decimal = Decimal(1)
    web_search: int = 10_000_000
    _factors: Factors = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        factors = _factors(self.batch_multiplier, self.fast_multiplier, self.us_multiplier)
        object.__setattr__(self, "_factors", factors)

    def exact(self, usage: Usage) -> tuple[int, int] | None:
        """The cost before rounding as (numerator, denominator) nano-dollars; None: fast without a fast price."""
        columns = self.short
        if self.long_threshold is not None and self.long is not None:
            total = usage.input_tokens + usage.cache_read_tokens
            total += usage.cache_write_5m_tokens + usage.cache_write_1h_tokens
            if total > self.long_threshold:
                columns = self.long
        tokens = (
            usage.input_tokens * columns[0]
            + usage.output_tokens * columns[1]
            + usage.cache_read_tokens * columns[2]
            + usage.cache_write_5m_tokens * columns[3]
            + usage.cache_write_1h_tokens * columns[4]
        )
        searches = usage.web_searches * self.web_search
        if not (usage.batch or usage.fast or usage.us_only or usage.priority):
            return tokens + searches, 1
        if usage.priority:
            # Paid for by a commitment: usage, not spend. Searches are never part of one.
            return searches, 1
        factor = self._factors[usage.batch, usage.fast, usage.us_only]
        if factor is None:
            return None
        return tokens * factor[0] + searches * factor[1], factor[1]

    def cost(self, usage: Usage) -> int | None:
        """Nano-dollars at this rate, all of the usage taken as one call; None: fast without a fast price."""
        exact = self.exact(usage)
        if exact is None:
            return None
        return exact[0] if exact[1] == 1 else _half_even(*exact)


class PriceBook:
    """Every known price, by model and time."""

    def __init__(self, rates: Iterable[Rate]) -> None:
        rows: dict[str, list[Rate]] = {}
        for rate in rates:
            rows.setdefault(rate.model, []).append(rate)
        for models_rates in rows.values():
            models_rates.sort(key=lambda rate: rate.effective_from, reverse=True)
        self._rates: Final = {model: tuple(found) for model, found in rows.items()}

    def rate_at(self, model: str, at: datetime) -> Rate | None:
        """The row for a model id, with or without its date suffix, at that time."""
        rates = self._rates.get(model)
        if rates is None:
            rates = self._rates.get(undated(model), ())
        for rate in rates:
            if rate.effective_from <= at:
                return rate if rate.effective_until is None or at < rate.effective_until else None
        return None

    def price(self, usage: Usage, model: str, at: datetime) -> Cost | None:
        """What the call costs; None when no price is known for it (never 0)."""
        rate = self.rate_at(model, at)
        if rate is None:
            return None
        nanousd = rate.cost(usage) if not usage.parts else self._sum_of_parts(usage.parts, rate, at)
        return None if nanousd is None else Cost(nanousd, rate.price_id)

    def _sum_of_parts(self, parts: tuple[Part, ...], rate: Rate, at: datetime) -> int | None:
        total = Fraction(0)
        for part in parts:
            own = rate if part.model is None else self.rate_at(part.model, at)
            exact = None if own is None else own.exact(part.usage)
            if exact is None:
                return None
            total += Fraction(*exact)
        return _half_even(total.numerator, total.denominator)

    def rates_at(self, at: datetime) -> list[Rate]:
        """Every rate that applies at that time, in the order of their models' names."""
        known = (rate for _, rates in sorted(self._rates.items()) for rate in rates)
        return [rate for rate in known if rate is self.rate_at(rate.model, at)]

    def dearest(self, model: str, at: datetime) -> Rate | None:
        """The dearest price of the model's family at that time; of all models when the family is unknown.

        For budgets: a call whose price is unknown must not slip under a limit as if it were free.
        """
        known, family = self.rates_at(at), _family(model)
        kin = [rate for rate in known if _family(rate.model) == family]
        return max(kin or known, key=_dearness, default=None)


@lru_cache(maxsize=1_024)
def undated(model: str) -> str:
    """The model id without its date: claude-sonnet-4-5-20250929 is claude-sonnet-4-5."""
    date = model[-8:]
    return model[:-9] if model[-9:-8] == "-" and date.isascii() and date.isdigit() else model


def _factors(batch: Decimal, fast: Decimal | None, us_only: Decimal) -> Factors:
    """A batch has no fast mode, so batch decides. Fast without a fast price is unknown, not standard."""
    table: Factors = {}
    for is_batch in (False, True):
        for is_fast in (False, True):
            for is_us in (False, True):
                speed = batch if is_batch else fast if is_fast else Decimal(1)
                ratio = None if speed is None else Fraction(speed) * (Fraction(us_only) if is_us else 1)
                table[is_batch, is_fast, is_us] = None if ratio is None else (ratio.numerator, ratio.denominator)
    return table


def _half_even(numerator: int, denominator: int) -> int:
    whole, rest = divmod(numerator, denominator)
    twice = 2 * rest
    return whole + 1 if twice > denominator or (twice == denominator and whole % 2 == 1) else whole


def _family(model: str) -> str:
    """claude-opus-4-8 is of the family opus; so is claude-3-opus."""
    return next((word for word in model.split("-")[1:] if word.isalpha()), "")


def _dearness(rate: Rate) -> tuple[int, ...]:
    """What it asks at most for each kind of token, output first; the cache decides between those alike in the rest."""
    most = Columns(*map(max, rate.short, rate.long or rate.short))
    return most.output, most.input, most.cache_write_1h, most.cache_write_5m, most.cache_read
