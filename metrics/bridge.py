"""The bridge between two costs: how much of the difference is volume, model mix, tokens, cache and price.

What each model cost is a product: calls x its share of them x tokens per call x what the cache makes of them x price.
Logarithms turn the change of a product into a sum (the log-mean split, LMDI), so nothing is left over; whole
nano-dollars are dealt out by the largest remainder, so the parts add up to the difference exactly.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_FLOOR, Context, Decimal
from enum import StrEnum
from typing import Final

_EXACT: Final = Context(prec=40)
# What a token of each class costs in hundredths of an input token: the same for every Claude model.
_INPUT, _OUTPUT, _CACHE_READ, _WRITE_5M, _WRITE_1H = 100, 500, 10, 125, 200


class Effect(StrEnum):
    """What a part of the difference comes from, in the order of the factors."""

    VOLUME = "volume"
    MIX = "model mix"
    TOKENS = "tokens per request"
    CACHE = "cache"
    PRICE = "price"


@dataclass(frozen=True, slots=True)
class Usage:
    """What the calls of one model used. Calls without a known cost are not among them."""

    requests: int
    cost: int
    """Nano-dollars."""
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_5m_tokens: int = 0
    cache_write_1h_tokens: int = 0

    @property
    def without_cache(self) -> int:
        """Return the tokens as hundredths of input tokens, had there been no cache."""
        prompt = self.input_tokens + self.cache_read_tokens + self.cache_write_5m_tokens + self.cache_write_1h_tokens
        return _INPUT * prompt + _OUTPUT * self.output_tokens

    @property
    def as_billed(self) -> int:
        """Return the tokens as hundredths of input tokens, reads from the cache cheaper and writes to it dearer."""
        return (
            _INPUT * self.input_tokens
            + _OUTPUT * self.output_tokens
            + _CACHE_READ * self.cache_read_tokens
            + _WRITE_5M * self.cache_write_5m_tokens
            + _WRITE_1H * self.cache_write_1h_tokens
        )


_ABSENT: Final = Usage(0, 0)
Effects = Mapping[Effect, int]


@dataclass(frozen=True, slots=True)
class Bridge:
    """From one cost to the other, in nano-dollars. The effects add up to now - before, in total and for each model."""

    before: int
    now: int
    effects: Effects
    by_model: Mapping[str, Effects]


def bridge(now: Mapping[str, Usage], before: Mapping[str, Usage]) -> Bridge:
    """Split the difference in cost between two windows, given what each model used in them."""
    calls = sum(usage.requests for usage in now.values())
    calls_before = sum(usage.requests for usage in before.values())
    by_model: dict[str, Effects] = {}
    for model in sorted({*now, *before}):
        usage, usage_before = now.get(model, _ABSENT), before.get(model, _ABSENT)
        by_model[model] = _of_model(_chain(calls, usage), _chain(calls_before, usage_before))
    return Bridge(
        sum(usage.cost for usage in before.values()),
        sum(usage.cost for usage in now.values()),
        {effect: sum(effects[effect] for effects in by_model.values()) for effect in Effect},
        by_model,
    )


def _chain(calls: int, usage: Usage) -> Sequence[int]:
    """Return the quantities whose quotients, one by the one before it, are the factors of the cost."""
    return calls, usage.requests, usage.without_cache, usage.as_billed, usage.cost


def _of_model(now: Sequence[int], before: Sequence[int]) -> Effects:
    cost, cost_before = now[-1], before[-1]
    if cost == 0 or cost_before == 0:
        # The limit of the split as one side goes to nothing: all of it belongs to the factor that is nothing there.
        nothing = now if cost == 0 else before
        first = next(effect for effect, quantity in zip(Effect, nothing, strict=True) if quantity == 0)
        return {effect: cost - cost_before if effect is first else 0 for effect in Effect}
    changes = [_log(quantity, other) for quantity, other in zip(now, before, strict=True)]
    if 0 in now or 0 in before:
        # Something was billed that is not counted in tokens: then its price is all that can be said of it.
        changes[2] = changes[3] = changes[1]
    mean = Decimal(cost) if cost == cost_before else _EXACT.divide(Decimal(cost - cost_before), changes[-1])
    shares = [
        _EXACT.multiply(mean, _EXACT.subtract(change, earlier))
        for change, earlier in zip(changes, [Decimal(0), *changes], strict=False)
    ]
    return dict(zip(Effect, _whole(shares, cost - cost_before), strict=True))


def _log(quantity: int, other: int) -> Decimal:
    if quantity == other or quantity == 0 or other == 0:
        return Decimal(0)
    return _EXACT.divide(Decimal(quantity), Decimal(other)).ln(_EXACT)


def _whole(shares: Sequence[Decimal], total: int) -> list[int]:
    """Round to whole numbers that add up to `total`: down first, then one more where the most was cut off."""
    rounded = [int(share.to_integral_value(ROUND_FLOOR)) for share in shares]
    missing = total - sum(rounded)
    by_remainder = sorted(range(len(shares)), key=lambda place: (rounded[place] - shares[place], place))
    for place in range(missing):
        rounded[by_remainder[place % len(shares)]] += 1
    return rounded
