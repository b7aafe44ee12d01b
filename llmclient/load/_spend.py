"""What a run may cost, and that it does not cost more. Integer nano-dollars."""

import time
from collections.abc import Iterable
from decimal import ROUND_CEILING, Decimal, InvalidOperation
from typing import Final, Protocol

from llmclient import _prices
from llmclient.load._workload import Ask

NANO: Final = 1_000_000_000
CENT: Final = 10_000_000


class Estimate(Protocol):
    """What a call costs, from a price table; None when no price is known."""

    def __call__(self, model: str, input_tokens: int, output_tokens: int, /) -> int | None: ...


def by_the_price_list(model: str, input_tokens: int, output_tokens: int, /) -> int | None:
    """By the client's own price list, as of now."""
    now = time.time()
    if _prices.current().rate_at(model, now) is None:
        return None
    return _prices.estimate(model, input_tokens, output_tokens, now)


class UnknownPriceError(ValueError):
    """A model without a known price; nobody can say what calls to it will cost."""


def cost_of(asks: Iterable[Ask], estimate: Estimate) -> int:
    """What all of it costs when every answer is as long as it may be, without retries. Raises UnknownPriceError."""
    total = 0
    for ask in asks:
        one = estimate(ask.model, ask.input_tokens, ask.output_tokens)
        if one is None:
            raise UnknownPriceError(f"no price is known for {ask.model}")
        total += one
    return total


class Purse:
    """The amount that was agreed to. Nothing is sent that could go over it."""

    def __init__(self, agreed: int | None) -> None:
        self._left = agreed

    def take(self, amount: int | None) -> bool:
        """Sets aside what a call may cost; False when there is not that much left."""
        if self._left is None:
            return True
        if amount is None or amount > self._left:
            return False
        self._left -= amount
        return True

    def settle(self, taken: int, cost: int) -> None:
        """Puts back what was not needed; takes more where it cost more."""
        if self._left is not None:
            self._left += taken - cost


def dollars(nanousd: int) -> str:
    """An amount for people, exact: "$1.20", "$0.00452"."""
    exact = (Decimal(nanousd) / NANO).normalize()
    places = max(2, -int(exact.as_tuple().exponent))
    return f"${exact:,.{places}f}"


def next_cent(nanousd: int) -> str:
    """The same, rounded up to a whole cent."""
    cents = (Decimal(nanousd) / CENT).to_integral_value(ROUND_CEILING)
    return f"${cents / 100:,.2f}"


def read_dollars(text: str) -> int:
    """Nano-dollars in "$1.20" or "1.20". Raises ValueError."""
    try:
        exact = Decimal(text.strip().removeprefix("$").replace(",", "")) * NANO
    except InvalidOperation:
        raise ValueError(f"{text!r} is no amount of dollars") from None
    if not exact.is_finite() or exact < 0 or exact != exact.to_integral_value():
        raise ValueError(f"{text!r} is no whole number of nano-dollars")
    return int(exact)
