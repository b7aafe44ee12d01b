"""List prices: what some tokens cost at the prices of one moment, at their own models, at others, and uncached.

All of it is an estimate. The tokens are sums, so what is decided call by call is not in it: rates for long prompts,
batches, fast mode and regions, and web searches. Money is whole nano-dollars.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from ingest.pricing import Columns, PriceBook


class Tokens(NamedTuple):
    """Counts by what they are charged as, in the order of `ingest.pricing.Columns`."""

    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write_5m: int = 0
    cache_write_1h: int = 0

    @property
    def total(self) -> int:
        return sum(self)

    def plus(self, other: "Tokens") -> "Tokens":
        """Return the tokens of both together."""
        return Tokens(*(mine + theirs for mine, theirs in zip(self, other, strict=True)))

    def at(self, prices: Columns) -> int:
        """Return what they cost, in nano-dollars."""
        return sum(count * price for count, price in zip(self, prices, strict=True))


@dataclass(frozen=True, slots=True)
class Alternative:
    """One model of the price book, asked for all of the tokens."""

    model: str
    nanousd: int
    is_used: bool
    """Some of the tokens are its own."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """The same tokens at the models that were used, and at every model there is, cheapest first."""

    tokens: Tokens
    nanousd: int
    """At the models that were used."""
    alternatives: Sequence[Alternative]
    left_out: Mapping[str, int]
    """Tokens of models without a list price, by model; they are in no sum here."""


@dataclass(frozen=True, slots=True)
class CacheEffect:
    """What the prompt cache changed in the bill, in nano-dollars."""

    discount: int
    """Less for tokens read from it than plain input would have cost."""
    premium: int
    """More for tokens written to it than plain input would have cost."""


def estimate(used: Mapping[str, Tokens], book: PriceBook, at: datetime) -> Estimate:
    """Price tokens, by the model that used them, at the list prices of one moment."""
    own = {model: rate for model in used if (rate := book.rate_at(model, at)) is not None}
    together = Tokens()
    for model in own:
        together = together.plus(used[model])
    models = {rate.model for rate in own.values()}
    found = [Alternative(rate.model, together.at(rate.short), rate.model in models) for rate in book.rates_at(at)]
    return Estimate(
        together,
        sum(used[model].at(rate.short) for model, rate in own.items()),
        sorted(found, key=lambda one: (one.nanousd, one.model)),
        {model: tokens.total for model, tokens in used.items() if model not in own and tokens.total > 0},
    )


def cache_effect(used: Mapping[str, Tokens], book: PriceBook, at: datetime) -> CacheEffect:
    """Compare what went through the prompt cache with the same tokens as plain input, at the list prices of a moment.

    Tokens of models without a price are left out.
    """
    discount = premium = 0
    for model, tokens in used.items():
        rate = book.rate_at(model, at)
        if rate is None:
            continue
        plain, prices = rate.short.input, rate.short
        discount += tokens.cache_read * (plain - prices.cache_read)
        premium += tokens.cache_write_5m * (prices.cache_write_5m - plain)
        premium += tokens.cache_write_1h * (prices.cache_write_1h - plain)
    return CacheEffect(discount, premium)
