"""The shipped price list, and loading it."""

from decimal import Decimal
from io import StringIO

import pytest
from django.core.management import call_command

from ingest import pricebook, pricelist
from ingest.models import Price
from ingest.pricing import Cost
from ingest.usage import Usage
from tests.ingest.shipped import NOON, at


def load(*options: str) -> str:
    out = StringIO()
    call_command("load_prices", *options, stdout=out)
    return out.getvalue()


def test_the_list_names_every_model_and_both_sides_of_every_change() -> None:
    starts: dict[str, list[str]] = {}
    for row in pricelist.read():
        starts.setdefault(row["model"], []).append(f"{row['effective_from']:%Y-%m-%d}")
    first = "2025-01-01"
    assert starts == {
        "claude-fable-5": [first],
        "claude-fable-5-1": [first],
        "claude-fable-5-2": [first],
        "claude-haiku-4-5": [first],
        "claude-haiku-5-5": [first],
        "claude-mythos-5": [first],
        "claude-mythos-5-1": [first],
        "claude-mythos-5-2": [first],
        "claude-opus-4-5": [first],
        "claude-opus-4-6": [first, "2026-03-13"],
        "claude-opus-4-7": [first],
        "claude-opus-4-8": [first, "2026-11-30"],
        "claude-opus-5": [first],
        "claude-opus-5-5": [first],
        "claude-sonnet-4-5": [first, "2026-04-30"],
        "claude-sonnet-4-6": [first, "2026-03-13"],
        "claude-sonnet-5": [first],
        "claude-sonnet-5-5": [first, "2026-10-07"],
    }


def test_every_row_says_where_its_figures_are_from() -> None:
    rows = pricelist.read()
    assert {row["source"] for row in rows} == {"platform.claude.com/docs/en/about-claude/pricing"}
    assert {f"{row['verified_at']}" for row in rows} == {"2026-11-22"}


def test_dollars_become_whole_nano_dollars() -> None:
    assert pricelist.nano_per_token(Decimal("0.01")) == 10
    assert pricelist.nano_per_token(Decimal("6.25")) == 6_250
    assert pricelist.nano_per_token(40) == 40_000
    assert pricelist.nano_per_search(10) == 10_000_000
    with pytest.raises(pricelist.PriceListError, match=r"0\.0005 \$/MTok is not a whole number of nano-dollars"):
        pricelist.nano_per_token(Decimal("0.0005"))


def test_a_block_may_end_and_may_have_a_source_of_its_own() -> None:
    [row] = pricelist.read(
        """
        source = "the price page"
        verified_at = 2026-11-22
        web_search = 10
        [[price]]
        models = ["claude-trial"]
        from = 2026-01-01
        until = 2026-02-01
        source = "a letter"
        verified_at = 2026-01-05
        input = 1
        output = 2
        cache_read = 0.1
        cache_write_5m = 1.25
        cache_write_1h = 2
        batch = 1
        """
    )
    assert (row["effective_from"], row["effective_until"]) == (at("2026-01-01"), at("2026-02-01"))
    assert (row["source"], f"{row['verified_at']}", row["batch_multiplier"]) == ("a letter", "2026-01-05", Decimal(1))


@pytest.mark.django_db
@pytest.mark.storage
def test_the_migration_fills_the_price_book() -> None:
    assert Price.objects.count() == 23
    haiku = Price.objects.get(model="claude-haiku-5-5")
    assert (haiku.input, haiku.output, haiku.cache_read, haiku.cache_write_5m, haiku.cache_write_1h) == (
        100, 500, 10, 125, 200,
    )  # fmt: skip
    assert (haiku.long_threshold, haiku.long_input, haiku.long_output, haiku.long_cache_read) == (
        100_000,
        500,
        2500,
        50,
    )
    assert (haiku.long_cache_write_5m, haiku.long_cache_write_1h, haiku.web_search) == (625, 1000, 10_000_000)
    assert (haiku.batch_multiplier, haiku.fast_multiplier, haiku.us_multiplier) == (
        Decimal("0.5"), None, Decimal("1.1"),
    )  # fmt: skip
    assert (haiku.effective_from, haiku.effective_until) == (at("2025-01-01"), None)


@pytest.mark.django_db
def test_loading_again_changes_nothing() -> None:
    before = list(Price.objects.order_by("id").values())
    assert load() == "All 23 prices are up to date.\n"
    assert list(Price.objects.order_by("id").values()) == before


@pytest.mark.django_db
def test_a_dry_run_shows_the_difference_and_changes_nothing() -> None:
    Price.objects.filter(model="claude-sonnet-5").update(input=2_500, us_multiplier=Decimal(1))
    Price.objects.filter(model="claude-opus-5").delete()
    assert load("--dry-run") == (
        "claude-opus-5 from 2025-01-01: new\n"
        "claude-sonnet-5 from 2025-01-01: input 2500 → 2000, us_multiplier 1.0000 → 1.1\n"
        "2 of 23 prices would change. Nothing was changed.\n"
    )
    assert Price.objects.get(model="claude-sonnet-5").input == 2_500
    assert not Price.objects.filter(model="claude-opus-5").exists()


@pytest.mark.django_db
def test_loading_corrects_a_row_in_place_and_leaves_your_own_rows_alone() -> None:
    wrong = Price.objects.get(model="claude-sonnet-5")
    Price.objects.filter(pk=wrong.pk).update(input=2_500)
    own = Price.objects.get(model="claude-opus-5")
    own.pk, own.effective_from, own.input = None, at("2026-06-01"), 4_000
    own.save()
    assert pricebook.current(NOON).price(Usage(input_tokens=1), "claude-sonnet-5", NOON) == Cost(2_500, wrong.pk)
    assert load() == (
        "claude-sonnet-5 from 2025-01-01: input 2500 → 2000\n"
        "1 of 23 prices changed. Stored calls: manage.py reprice --since …\n"
    )
    # At once in this process, and under the same number.
    assert pricebook.current(NOON).price(Usage(input_tokens=1), "claude-sonnet-5", NOON) == Cost(2_000, wrong.pk)
    assert pricebook.current(NOON).price(Usage(input_tokens=1), "claude-opus-5", NOON) == Cost(4_000, own.pk)
