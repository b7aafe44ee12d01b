"""What the fake charges: list prices of the current models, so that its bill can be compared with ours.

Written down apart from the product's own price book on purpose: two lists that agree say more than one.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

# As the API names them when costs are broken out.
INPUT: Final = "uncached_input_tokens"
WRITE_5M: Final = "cache_creation.ephemeral_5m_input_tokens"
WRITE_1H: Final = "cache_creation.ephemeral_1h_input_tokens"
READ: Final = "cache_read_input_tokens"
OUTPUT: Final = "output_tokens"
TOKEN_TYPES: Final = (INPUT, WRITE_5M, WRITE_1H, READ, OUTPUT)
WEB_SEARCH: Final = 10_000_000  # nano-dollars for one

DATE: Final = re.compile(r"-\d{8}$")
US: Final = Decimal("1.1")
HALF: Final = Decimal("0.5")


@dataclass(frozen=True, slots=True)
class Price:
    """Nano-dollars per token: 1 dollar per million tokens is 1,000."""

    input: int
    output: int
    read: int
    write_5m: int
    write_1h: int
    fast: int | None = None
    """What fast mode multiplies by; None: there is none."""
    us: Decimal = US
    long_above: int | None = None
    """Tokens of input above which all tokens cost five times as much."""

    def per_token(self, kind: str) -> int:
        columns = (self.input, self.write_5m, self.write_1h, self.read, self.output)
        return columns[TOKEN_TYPES.index(kind)]


PRICES: Final[Mapping[str, Price]] = {
    "claude-fable-5-2": Price(8_000, 40_000, 200, 10_000, 16_000, fast=2),
    "claude-opus-5-5": Price(4_000, 20_000, 200, 5_000, 8_000, fast=2),
    "claude-opus-5": Price(5_000, 25_000, 500, 6_250, 10_000, fast=2),
    "claude-opus-4-8": Price(5_000, 25_000, 500, 6_250, 10_000, fast=2),
    "claude-opus-4-7": Price(5_000, 25_000, 500, 6_250, 10_000),
    "claude-sonnet-5-5": Price(2_000, 10_000, 100, 2_500, 4_000),
    "claude-sonnet-5": Price(2_000, 10_000, 200, 2_500, 4_000),
    "claude-sonnet-4-6": Price(3_000, 15_000, 300, 3_750, 6_000),
    "claude-sonnet-4-5": Price(3_000, 15_000, 300, 3_750, 6_000, us=Decimal(1)),
    "claude-haiku-5-5": Price(100, 500, 10, 125, 200, long_above=100_000),
    "claude-haiku-4-5": Price(1_000, 5_000, 100, 1_250, 2_000, us=Decimal(1)),
}


def undated(model: str) -> str:
    """A model's name without the date at its end."""
    return DATE.sub("", model)


def costs(
    model: str, tokens: Mapping[str, int], *, batch: bool = False, fast: bool = False, us: bool = False
) -> dict[str, Decimal] | None:
    """Nano-dollars by kind of token, exact; None when the fake has no price for it."""
    price = PRICES.get(undated(model))
    if price is None or (fast and price.fast is None):
        return None
    factor = Decimal(price.fast or 1) if fast else Decimal(1)
    factor *= price.us if us else 1
    factor *= HALF if batch else 1
    if price.long_above is not None and sum(tokens[kind] for kind in TOKEN_TYPES if kind != OUTPUT) > price.long_above:
        factor *= 5
    return {kind: tokens[kind] * price.per_token(kind) * factor for kind in TOKEN_TYPES}


def list_price(model: str, input_tokens: int, output_tokens: int) -> int | None:
    """Nano-dollars of a plain call; None when the fake has no price for it."""
    found = costs(model, dict.fromkeys(TOKEN_TYPES, 0) | {INPUT: input_tokens, OUTPUT: output_tokens})
    return None if found is None else int(sum(found.values()))
