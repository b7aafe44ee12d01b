"""Usage becomes dollars: every figure here was computed by hand, in nano-dollars (1 $ = 1,000,000,000)."""

from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from ingest import pricelist
from ingest.pricing import Columns, Cost, PriceBook, Rate
from ingest.usage import Usage, read_usage
from tests.ingest.shipped import BOOK, NOON, at


def nanousd(usage: Usage, model: str, when: datetime = NOON) -> int | None:
    cost = BOOK.price(usage, model, when)
    return None if cost is None else cost.nanousd


def rate(price_id: int, since: str, *, until: str | None = None, model: str = "m", price: int = 1) -> Rate:
    return Rate(
        price_id=price_id,
        model=model,
        effective_from=at(since),
        effective_until=None if until is None else at(until),
        short=Columns(price, price, price, price, price),
    )


# A million tokens of each category: what the price page says, times 1,000,000,000.
@pytest.mark.parametrize(
    ("model", "dollars"),
    [
        ("claude-fable-5-2", ("8", "40", "0.20", "10", "16")),
        ("claude-mythos-5-2", ("8", "40", "0.20", "10", "16")),
        ("claude-fable-5-1", ("10", "50", "0.25", "12.5", "20")),
        ("claude-mythos-5-1", ("10", "50", "0.25", "12.5", "20")),
        ("claude-fable-5", ("10", "50", "1", "12.5", "20")),
        ("claude-mythos-5", ("10", "50", "1", "12.5", "20")),
        ("claude-opus-5-5", ("4", "20", "0.20", "5", "8")),
        ("claude-opus-5", ("5", "25", "0.50", "6.25", "10")),
        ("claude-opus-4-8", ("5", "25", "0.50", "6.25", "10")),
        ("claude-opus-4-7", ("5", "25", "0.50", "6.25", "10")),
        ("claude-opus-4-6", ("5", "25", "0.50", "6.25", "10")),
        ("claude-opus-4-5", ("5", "25", "0.50", "6.25", "10")),
        ("claude-sonnet-5-5", ("2", "10", "0.10", "2.5", "4")),
        ("claude-sonnet-5", ("2", "10", "0.20", "2.5", "4")),
        ("claude-sonnet-4-6", ("3", "15", "0.30", "3.75", "6")),
        ("claude-sonnet-4-5", ("3", "15", "0.30", "3.75", "6")),
        ("claude-haiku-4-5", ("1", "5", "0.10", "1.25", "2")),
        # A million tokens in one prompt is above 100,000: the long prices.
        ("claude-haiku-5-5", ("0.50", "0.50", "0.05", "0.625", "1")),
    ],
)
def test_a_million_tokens_cost_what_the_price_page_says(model: str, dollars: tuple[str, ...]) -> None:
    million = 1_000_000
    calls = (
        Usage(input_tokens=million),
        Usage(output_tokens=million),
        Usage(cache_read_tokens=million),
        Usage(cache_write_5m_tokens=million),
        Usage(cache_write_1h_tokens=million),
    )
    assert [nanousd(usage, model) for usage in calls] == [Decimal(figure) * 1_000_000_000 for figure in dollars]


def test_every_category_is_added_at_its_own_price() -> None:
    # Sonnet 5.5: 1,000 × 2,000 + 200 × 10,000 + 5,000 × 100 + 300 × 2,500 + 40 × 4,000
    #           = 2,000,000 + 2,000,000 + 500,000 + 750,000 + 160,000 = 5,410,000 = $0.00541
    usage = Usage(
        input_tokens=1000,
        output_tokens=200,
        cache_read_tokens=5000,
        cache_write_5m_tokens=300,
        cache_write_1h_tokens=40,
    )
    assert nanousd(usage, "claude-sonnet-5-5") == 5_410_000


def test_one_cached_haiku_token_is_ten_nano_dollars() -> None:
    # 0.01 $ per million = 0.00000001 $ = 10 nano-dollars
    assert nanousd(Usage(cache_read_tokens=1), "claude-haiku-5-5") == 10


@pytest.mark.parametrize(
    ("when", "cost"),
    [
        ("2026-10-06T23:59:59.999999", 200_000),  # 1,000 × 200
        ("2026-10-07T00:00:00", 100_000),  # 1,000 × 100
    ],
)
def test_reading_the_cache_of_sonnet_5_5_became_cheaper_at_midnight(when: str, cost: int) -> None:
    assert nanousd(Usage(cache_read_tokens=1000), "claude-sonnet-5-5", at(when)) == cost


@pytest.mark.parametrize(
    ("usage", "cost"),
    [
        # 100,000 tokens of input are not above 100,000: 100,000 × 100 + 1,000 × 500
        (Usage(input_tokens=100_000, output_tokens=1000), 10_500_000),
        # One more, and all tokens are dear: 100,001 × 500 + 1,000 × 2,500
        (Usage(input_tokens=100_001, output_tokens=1000), 52_500_500),
        # The whole input counts, written and read too: 1 × 500 + 60,000 × 50 + 30,000 × 625 + 10,000 × 1,000
        #   = 500 + 3,000,000 + 18,750,000 + 10,000,000
        (
            Usage(input_tokens=1, cache_read_tokens=60_000, cache_write_5m_tokens=30_000, cache_write_1h_tokens=10_000),
            31_750_500,
        ),
        # Output does not: 10 × 100 + 200,000 × 500
        (Usage(input_tokens=10, output_tokens=200_000), 100_001_000),
    ],
)
def test_a_long_prompt_makes_every_token_dear(usage: Usage, cost: int) -> None:
    assert nanousd(usage, "claude-haiku-5-5") == cost


@pytest.mark.parametrize(
    ("model", "when", "cost"),
    [
        # 200,001 × 10,000 + 100 × 37,500
        ("claude-opus-4-6", "2026-03-12T23:59:59.999999", 2_003_760_000),
        # 200,001 × 5,000 + 100 × 25,000
        ("claude-opus-4-6", "2026-03-13T00:00:00", 1_002_505_000),
        # 200,001 × 6,000 + 100 × 22,500
        ("claude-sonnet-4-6", "2026-03-12T23:59:59.999999", 1_202_256_000),
        # 200,001 × 3,000 + 100 × 15,000
        ("claude-sonnet-4-6", "2026-03-13T00:00:00", 601_503_000),
        ("claude-sonnet-4-5", "2026-04-29T23:59:59.999999", 1_202_256_000),
        ("claude-sonnet-4-5", "2026-04-30T00:00:00", 601_503_000),
    ],
)
def test_the_long_prices_of_the_four_series_ended(model: str, when: str, cost: int) -> None:
    assert nanousd(Usage(input_tokens=200_001, output_tokens=100), model, at(when)) == cost


EVERYTHING = Usage(
    input_tokens=1000, output_tokens=100, cache_read_tokens=2000, cache_write_5m_tokens=400, cache_write_1h_tokens=50
)


def test_a_batch_halves_every_token_and_no_search() -> None:
    # Opus 5.5: 1,000 × 4,000 + 100 × 20,000 + 2,000 × 200 + 400 × 5,000 + 50 × 8,000
    #         = 4,000,000 + 2,000,000 + 400,000 + 2,000,000 + 400,000 = 8,800,000; half is 4,400,000
    assert nanousd(replace(EVERYTHING, batch=True), "claude-opus-5-5") == 4_400_000
    # Three searches at $10 per 1,000 are 30,000,000, whole.
    assert nanousd(replace(EVERYTHING, web_searches=3, batch=True), "claude-opus-5-5") == 34_400_000
    # The half was the price all along, also before price lists carried it in October.
    assert nanousd(replace(EVERYTHING, batch=True), "claude-opus-5-5", at("2026-10-13T12:00:00")) == 4_400_000


def test_a_batch_halves_the_long_prices_too() -> None:
    # Haiku 5.5: 100,001 × 500 / 2 = 25,000,250
    assert nanousd(Usage(input_tokens=100_001, batch=True), "claude-haiku-5-5") == 25_000_250


@pytest.mark.parametrize(
    ("model", "input_price", "output_price"),
    [
        ("claude-fable-5-2", 16_000, 80_000),
        ("claude-mythos-5-2", 16_000, 80_000),
        ("claude-opus-5-5", 8_000, 40_000),
        ("claude-opus-5", 10_000, 50_000),
        ("claude-opus-4-8", 10_000, 50_000),
    ],
)
def test_fast_mode_has_its_own_prices(model: str, input_price: int, output_price: int) -> None:
    assert nanousd(Usage(input_tokens=1, fast=True), model) == input_price
    assert nanousd(Usage(output_tokens=1, fast=True), model) == output_price


def test_fast_stacks_with_the_cache_and_with_the_place() -> None:
    # Opus 5.5, twice 8,800,000 is 17,600,000; in the US 1.1 times that is 19,360,000
    assert nanousd(replace(EVERYTHING, fast=True), "claude-opus-5-5") == 17_600_000
    assert nanousd(replace(EVERYTHING, fast=True, us_only=True), "claude-opus-5-5") == 19_360_000


def test_fast_does_not_stack_with_a_batch() -> None:
    assert nanousd(replace(EVERYTHING, fast=True, batch=True), "claude-opus-5-5") == 4_400_000


@pytest.mark.parametrize(
    ("model", "when"),
    [
        ("claude-sonnet-5-5", "2026-11-22T12:00:00"),
        ("claude-opus-4-7", "2026-11-22T12:00:00"),
        ("claude-opus-4-8", "2026-11-30T00:00:00"),
    ],
)
def test_fast_without_a_fast_price_is_unknown_and_not_the_standard_price(model: str, when: str) -> None:
    assert BOOK.price(Usage(input_tokens=1, fast=True), model, at(when)) is None
    assert nanousd(Usage(input_tokens=1), model, at(when)) is not None


def test_opus_4_8_is_fast_until_the_last_day_of_november() -> None:
    assert nanousd(Usage(input_tokens=1, fast=True), "claude-opus-4-8", at("2026-11-29T23:59:59.999999")) == 10_000


@pytest.mark.parametrize(
    ("model", "cost"),
    [
        ("claude-opus-4-6", 5_500_000),  # 1,000 × 5,000 × 1.1
        ("claude-sonnet-4-6", 3_300_000),
        ("claude-sonnet-5-5", 2_200_000),
        ("claude-haiku-5-5", 110_000),
        ("claude-fable-5", 11_000_000),
        ("claude-mythos-5-2", 8_800_000),
        ("claude-opus-4-5", 5_000_000),  # older than 4.6: no premium
        ("claude-sonnet-4-5", 3_000_000),
        ("claude-haiku-4-5", 1_000_000),
    ],
)
def test_inference_in_the_us_costs_a_tenth_more_from_4_6_on(model: str, cost: int) -> None:
    assert nanousd(Usage(input_tokens=1000, us_only=True), model) == cost


def test_a_batch_in_the_us_is_a_half_and_a_tenth_more_of_it() -> None:
    # 8,800,000 × 0.5 × 1.1 = 4,840,000, and one search whole
    assert nanousd(replace(EVERYTHING, batch=True, us_only=True, web_searches=1), "claude-opus-5-5") == 14_840_000


def test_priority_tokens_are_usage_of_a_commitment_and_not_spend() -> None:
    assert nanousd(replace(EVERYTHING, priority=True), "claude-opus-5-5") == 0
    # Fast and place change nothing about that; the searches are still billed one by one.
    assert nanousd(replace(EVERYTHING, priority=True, fast=True, web_searches=2), "claude-opus-5-5") == 20_000_000


def test_a_thousand_searches_cost_ten_dollars() -> None:
    assert nanousd(Usage(web_searches=1000), "claude-sonnet-5-5") == 10_000_000_000


def test_each_compaction_is_priced_by_itself() -> None:
    raw = {
        "input_tokens": 20_000,
        "output_tokens": 1000,
        "iterations": [{"type": "compaction", "input_tokens": 150_000, "output_tokens": 2000}],
    }
    # Haiku 5.5. The answer is short: 20,000 × 100 + 1,000 × 500 = 2,500,000.
    # The compaction is long: 150,000 × 500 + 2,000 × 2,500 = 80,000,000.
    assert nanousd(read_usage(raw), "claude-haiku-5-5") == 82_500_000


def test_an_advisor_is_priced_as_its_own_model() -> None:
    raw = {
        "input_tokens": 1000,
        "output_tokens": 100,
        "iterations": [
            {"type": "advisor_message", "model": "claude-opus-5-5", "input_tokens": 2000, "output_tokens": 500}
        ],
    }
    # Sonnet 5.5: 1,000 × 2,000 + 100 × 10,000 = 3,000,000. Opus 5.5: 2,000 × 4,000 + 500 × 20,000 = 18,000,000.
    cost = BOOK.price(read_usage(raw), "claude-sonnet-5-5", NOON)
    assert cost is not None
    assert cost.nanousd == 21_000_000
    answering = BOOK.rate_at("claude-sonnet-5-5", NOON)
    assert answering is not None
    assert cost.price_id == answering.price_id


def test_an_advisor_without_a_price_makes_the_whole_call_unpriced() -> None:
    raw = {"input_tokens": 1, "iterations": [{"type": "advisor_message", "model": "claude-opus-9", "input_tokens": 1}]}
    assert BOOK.price(read_usage(raw), "claude-sonnet-5-5", NOON) is None


def test_parts_are_rounded_once_together() -> None:
    book = PriceBook([rate(1, "2026-01-01")])
    raw = {"input_tokens": 1, "service_tier": "batch", "iterations": [{"type": "compaction", "input_tokens": 1}]}
    # A half and a half is one; each rounded by itself would be 0.
    assert book.price(read_usage(raw), "m", NOON) == Cost(1, 1)


@pytest.mark.parametrize(("tokens", "cost"), [(1, 0), (3, 2), (5, 2), (7, 4), (2, 1)])
def test_a_half_nano_dollar_goes_to_the_even_side(tokens: int, cost: int) -> None:
    # 0.5 → 0, 1.5 → 2, 2.5 → 2, 3.5 → 4
    assert PriceBook([rate(1, "2026-01-01")]).price(Usage(input_tokens=tokens, batch=True), "m", NOON) == Cost(cost, 1)


def test_the_estimated_usage_of_an_interrupted_stream_still_costs() -> None:
    # The input of an interrupted stream is known and its output estimated: 1,200 × 2,000 + 37 × 10,000
    assert nanousd(read_usage({"input_tokens": 1200, "output_tokens": 37}), "claude-sonnet-5-5") == 2_770_000


@pytest.mark.parametrize(
    ("dated", "plain"),
    [
        ("claude-sonnet-4-5-20250929", "claude-sonnet-4-5"),
        ("claude-opus-4-5-20251101", "claude-opus-4-5"),
        ("claude-haiku-4-5-20251001", "claude-haiku-4-5"),
        ("claude-sonnet-5-5-20260801", "claude-sonnet-5-5"),
    ],
)
def test_a_dated_model_id_has_the_price_of_its_model(dated: str, plain: str) -> None:
    assert BOOK.price(EVERYTHING, dated, NOON) == BOOK.price(EVERYTHING, plain, NOON)
    assert nanousd(EVERYTHING, dated) is not None


@pytest.mark.parametrize(
    "model",
    [
        "",
        "claude",
        "claude-sonnet-6",
        "claude-sonnet-5-5-preview",
        "claude-sonnet-5-5-2026080",
        "claude-sonnet-5-5-²0260801",
        "claude-sonnet-5-520260801",
        "CLAUDE-SONNET-5-5",
        "gpt-9",
    ],
)
def test_an_unknown_model_is_unpriced_and_never_free(model: str) -> None:
    assert BOOK.price(Usage(input_tokens=1), model, NOON) is None
    assert BOOK.price(Usage(), model, NOON) is None


def test_a_dated_row_goes_before_the_undated_one() -> None:
    book = PriceBook([rate(1, "2026-01-01", price=10), rate(2, "2026-01-01", model="m-20260101", price=7)])
    assert book.price(Usage(input_tokens=1), "m-20260101", NOON) == Cost(7, 2)
    assert book.price(Usage(input_tokens=1), "m-20260102", NOON) == Cost(10, 1)


@pytest.mark.parametrize(
    ("when", "price_id"),
    [
        ("2025-12-31T23:59:59.999999", None),
        ("2026-01-01T00:00:00", 1),
        ("2026-02-28T23:59:59.999999", 1),
        ("2026-03-01T00:00:00", 2),
        ("2026-04-30T23:59:59.999999", 2),
        # The newest row has ended; the one before it does not come back.
        ("2026-05-01T00:00:00", None),
    ],
)
def test_a_row_applies_from_its_first_instant_until_before_its_end(when: str, price_id: int | None) -> None:
    book = PriceBook([rate(2, "2026-03-01", until="2026-05-01"), rate(1, "2026-01-01")])
    cost = book.price(Usage(input_tokens=1), "m", at(when))
    assert (None if cost is None else cost.price_id) == price_id


def test_the_dearest_of_the_family_stands_in_for_an_unknown_model() -> None:
    def dearest(model: str) -> str | None:
        found = BOOK.dearest(model, NOON)
        return None if found is None else found.model

    assert dearest("claude-haiku-6") == "claude-haiku-4-5"  # 5 $ out; Haiku 5.5 is 2.50 $ at most
    assert dearest("claude-sonnet-6-20270101") in ("claude-sonnet-4-6", "claude-sonnet-4-5")  # 15 $
    assert dearest("claude-fable-7") in ("claude-fable-5", "claude-fable-5-1")  # 50 $
    opus = BOOK.dearest("claude-opus-9", NOON)
    assert opus is not None
    assert opus.short[:2] == (5_000, 25_000)
    # Of no family we know: the dearest of all.
    assert dearest("gpt-9") in ("claude-fable-5", "claude-fable-5-1", "claude-mythos-5", "claude-mythos-5-1")
    assert PriceBook([]).dearest("claude-opus-9", NOON) is None


def test_the_dearest_price_was_the_long_one_while_there_was_one() -> None:
    found = BOOK.dearest("claude-opus-9", at("2026-03-01T00:00:00"))
    assert found is not None
    assert found.model == "claude-opus-4-6"
    # 300,000 × 10,000
    assert found.cost(Usage(input_tokens=300_000)) == 3_000_000_000
    # 300,000 × 5,000: the block with long prices has a successor, though no end of its own.
    now = BOOK.dearest("claude-opus-9", NOON)
    assert now is not None
    assert now.cost(Usage(input_tokens=300_000)) == 1_500_000_000


def test_of_models_that_cost_the_same_but_for_the_cache_the_dearest_is_the_one_with_the_dearest_cache() -> None:
    # Fable 5 and 5.1 differ in what is read from the cache: 1 $ and 0.25 $.
    found = BOOK.dearest("claude-fable-7", NOON)
    assert found is not None
    assert found.cost(Usage(cache_read_tokens=1_000_000)) == 1_000_000_000


# --- against an independent oracle ------------------------------------------------------------------------------------

CATEGORIES = pricelist.TOKEN_COLUMNS
COUNTS = st.integers(0, 2_147_483_647) | st.integers(0, 300_000)
USAGES = st.builds(
    Usage,
    COUNTS,
    COUNTS,
    COUNTS,
    COUNTS,
    COUNTS,
    st.integers(0, 32_767),
    batch=st.booleans(),
    fast=st.booleans(),
    us_only=st.booleans(),
    priority=st.booleans(),
)
INSTANTS = st.datetimes(datetime(2025, 1, 1), datetime(2027, 6, 1), timezones=st.just(UTC))  # noqa: DTZ001 - the zone is given beside
MULTIPLIERS = st.decimals(Decimal("0.0001"), Decimal(99), places=4)


def oracle(row: dict[str, object], usage: Usage) -> Fraction | None:
    """The cost as an exact fraction of a dollar-billionth, written down from the price page and not from the code."""
    counts = dict(
        zip(
            CATEGORIES,
            (
                usage.input_tokens,
                usage.output_tokens,
                usage.cache_read_tokens,
                usage.cache_write_5m_tokens,
                usage.cache_write_1h_tokens,
            ),
            strict=True,
        )
    )
    whole_input = sum(counts.values()) - counts["output"]
    threshold = row["long_threshold"]
    prefix = "long_" if isinstance(threshold, int) and whole_input > threshold else ""
    tokens = sum((Fraction(counts[name] * _int(row[prefix + name])) for name in CATEGORIES), Fraction(0))
    searches = Fraction(usage.web_searches * _int(row["web_search"]))
    if usage.priority:
        return searches
    if usage.batch:
        tokens *= Fraction(str(row["batch_multiplier"]))
    elif usage.fast:
        if row["fast_multiplier"] is None:
            return None
        tokens *= Fraction(str(row["fast_multiplier"]))
    if usage.us_only:
        tokens *= Fraction(str(row["us_multiplier"]))
    return tokens + searches


def _int(value: object) -> int:
    assert isinstance(value, int)
    return value


def rounded(exact: Fraction) -> int:
    """Half to even, by decimal arithmetic: denominators are powers of ten at most, so the division is exact."""
    with localcontext(prec=100):
        return int((Decimal(exact.numerator) / exact.denominator).quantize(Decimal(1), ROUND_HALF_EVEN))


@given(row=st.sampled_from(pricelist.read()), usage=USAGES, moment=INSTANTS)
def test_every_shipped_price_agrees_with_the_oracle(row: dict[str, object], usage: Usage, moment: datetime) -> None:
    model = str(row["model"])
    applying = max(
        (r for r in pricelist.read() if r["model"] == model and r["effective_from"] <= moment),
        key=lambda r: r["effective_from"],
    )
    exact = oracle(applying, usage)
    assert nanousd(usage, model, moment) == (None if exact is None else rounded(exact))


@given(
    usage=USAGES,
    prices=st.tuples(*[st.integers(0, 10**6)] * 5),
    long=st.tuples(*[st.integers(0, 10**6)] * 5),
    threshold=st.none() | st.integers(0, 10**6),
    batch=MULTIPLIERS,
    fast=st.none() | MULTIPLIERS,
    us_only=MULTIPLIERS,
)
def test_any_price_row_agrees_with_the_oracle(
    usage: Usage,
    prices: tuple[int, ...],
    long: tuple[int, ...],
    threshold: int | None,
    batch: Decimal,
    fast: Decimal | None,
    us_only: Decimal,
) -> None:
    made = Rate(
        price_id=9,
        model="m",
        effective_from=NOON,
        effective_until=None,
        short=Columns(*prices),
        long=None if threshold is None else Columns(*long),
        long_threshold=threshold,
        batch_multiplier=batch,
        fast_multiplier=fast,
        us_multiplier=us_only,
        web_search=7,
    )
    row: dict[str, object] = {
        **dict(zip(CATEGORIES, prices, strict=True)),
        **{f"long_{name}": price for name, price in zip(CATEGORIES, long, strict=True)},
        "long_threshold": threshold,
        "batch_multiplier": batch,
        "fast_multiplier": fast,
        "us_multiplier": us_only,
        "web_search": 7,
    }
    exact = oracle(row, usage)
    expected = None if exact is None else Cost(rounded(exact), 9)
    assert PriceBook([made]).price(usage, "m", NOON + timedelta(days=1)) == expected
