"""What the fake charges agrees with the product's own price list."""

from datetime import UTC, datetime

import pytest

from ingest import pricelist
from llmclient.testing._pricelist import PRICES, list_price
from tests.llmclient.testing.asking import MODEL

NOW = datetime(2026, 11, 22, tzinfo=UTC)


@pytest.mark.parametrize("model", PRICES)
def test_it_agrees_with_the_shipped_price_list(model: str) -> None:
    rows = [row for row in pricelist.read() if row["model"] == model and row["effective_from"] <= NOW]
    row = max(rows, key=lambda each: each["effective_from"])
    price = PRICES[model]
    assert (price.input, price.output, price.read, price.write_5m, price.write_1h, price.fast, price.us) == (
        row["input"],
        row["output"],
        row["cache_read"],
        row["cache_write_5m"],
        row["cache_write_1h"],
        row["fast_multiplier"],
        row["us_multiplier"],
    )


def test_a_plain_call_costs_whole_nano_dollars() -> None:
    assert list_price(MODEL, 800, 200) == 800 * 2_000 + 200 * 10_000
    assert list_price("claude-haiku-5-5", 100_001, 1) == 5 * (100_001 * 100 + 500)
    assert list_price("claude-next-7", 1, 1) is None
