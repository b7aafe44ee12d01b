"""List prices: the same tokens at other models and without the cache, against sums done by hand."""

from datetime import UTC, datetime
from decimal import Decimal

from ingest.pricing import Columns, PriceBook, Rate
from metrics.list_prices import Alternative, CacheEffect, Tokens, cache_effect, estimate

NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)
LONG_AGO = datetime(2025, 1, 1, tzinfo=UTC)
# Nano-dollars per token: 3 and 15 dollars per million, 1 and 5 dollars per million.
SONNET = Columns(3_000, 15_000, 300, 3_750, 6_000)
HAIKU = Columns(1_000, 5_000, 100, 1_250, 2_000)


def rate(number: int, model: str, columns: Columns, since: datetime = LONG_AGO, until: datetime | None = None) -> Rate:
    return Rate(
        price_id=number,
        model=model,
        effective_from=since,
        effective_until=until,
        short=columns,
        # None of these is in an estimate over sums.
        long=Columns(*(2 * price for price in columns)),
        long_threshold=200_000,
        batch_multiplier=Decimal("0.5"),
    )


BOOK = PriceBook(
    [
        rate(1, "sonnet", Columns(9, 9, 9, 9, 9), until=datetime(2026, 1, 1, tzinfo=UTC)),
        rate(2, "sonnet", SONNET, datetime(2026, 1, 1, tzinfo=UTC)),
        rate(3, "haiku", HAIKU),
        rate(4, "gone", HAIKU, until=datetime(2026, 6, 1, tzinfo=UTC)),
        rate(5, "coming", HAIKU, datetime(2027, 1, 1, tzinfo=UTC)),
    ]
)
MILLION = 1_000_000


def test_the_same_tokens_are_priced_class_by_class_at_todays_prices() -> None:
    used = {
        "sonnet-20260101": Tokens(2 * MILLION, MILLION, 10 * MILLION, 400, 20),
        "haiku": Tokens(MILLION, 7, 0, 0, 0),
    }
    found = estimate(used, BOOK, NOW)
    assert found.tokens == Tokens(3 * MILLION, MILLION + 7, 10 * MILLION, 400, 20)
    # sonnet: 6 + 15 + 3 dollars, 400 × 3,750 and 20 × 6,000 nano-dollars; haiku: 1 dollar and 7 × 5,000.
    assert found.nanousd == 24_000_000_000 + 1_500_000 + 120_000 + 1_000_000_000 + 35_000
    # All at haiku: 3 + 5 + 1 dollars, 7 × 5,000, 400 × 1,250, 20 × 2,000.
    # All at sonnet: 9 + 15 + 3 dollars, 7 × 15,000, 400 × 3,750, 20 × 6,000.
    assert found.alternatives == [
        Alternative("haiku", 9_000_000_000 + 35_000 + 500_000 + 40_000, True),
        Alternative("sonnet", 27_000_000_000 + 105_000 + 1_500_000 + 120_000, True),
    ]
    assert found.left_out == {}


def test_tokens_of_a_model_without_a_price_are_told_and_in_no_sum() -> None:
    used = {"haiku": Tokens(input=10), "gone": Tokens(output=3), "mine": Tokens(5, 4, 3, 2, 1), "silent": Tokens()}
    found = estimate(used, BOOK, NOW)
    assert found.left_out == {"gone": 3, "mine": 15}
    assert found.nanousd == 10_000
    assert [one.nanousd for one in found.alternatives] == [10_000, 30_000]
    assert [one.is_used for one in found.alternatives] == [True, False]


def test_without_a_price_book_there_is_nothing_to_compare_with() -> None:
    found = estimate({"haiku": Tokens(input=10)}, PriceBook([]), NOW)
    assert (found.nanousd, found.alternatives, found.left_out) == (0, [], {"haiku": 10})


def test_the_cache_saves_what_reading_is_cheaper_and_costs_what_writing_is_dearer() -> None:
    used = {"sonnet": Tokens(5, 5, 1_000, 100, 10), "haiku": Tokens(0, 0, 50, 0, 3), "mine": Tokens(0, 0, 9, 9, 9)}
    # sonnet: 1,000 × 2,700; 100 × 750 and 10 × 3,000. haiku: 50 × 900; 3 × 1,000.
    assert cache_effect(used, BOOK, NOW) == CacheEffect(2_700_000 + 45_000, 75_000 + 30_000 + 3_000)
