"""The price book of a process: how old it may be, and what it is made of."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal
from threading import Barrier

import pytest
from django.db import connection
from pytest_django import DjangoAssertNumQueries

from ingest import pricebook
from ingest.models import Price
from ingest.pricing import Cost, PriceBook
from ingest.usage import Usage
from tests.ingest.shipped import NOON

ONE = Usage(input_tokens=1)
MODEL = "claude-sonnet-5"


@pytest.mark.django_db
def test_the_table_is_read_once_in_ten_seconds(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    with django_assert_num_queries(1):
        first = pricebook.current(NOON)
        assert pricebook.current(NOON + timedelta(seconds=9.999)) is first
    with django_assert_num_queries(1):
        assert pricebook.current(NOON + timedelta(seconds=10)) is not first


@pytest.mark.django_db
def test_a_change_by_another_process_is_seen_within_ten_seconds() -> None:
    row = Price.objects.get(model=MODEL)
    assert pricebook.current(NOON).price(ONE, MODEL, NOON) == Cost(2_000, row.pk)
    Price.objects.filter(pk=row.pk).update(input=7)
    assert pricebook.current(NOON + timedelta(seconds=10)).price(ONE, MODEL, NOON) == Cost(7, row.pk)


@pytest.mark.django_db
def test_a_change_by_this_process_is_seen_at_once_after_forgetting() -> None:
    row = Price.objects.get(model=MODEL)
    pricebook.current(NOON)
    Price.objects.filter(pk=row.pk).update(input=7)
    assert pricebook.current(NOON).price(ONE, MODEL, NOON) == Cost(2_000, row.pk)
    pricebook.forget()
    assert pricebook.current(NOON).price(ONE, MODEL, NOON) == Cost(7, row.pk)


@pytest.mark.django_db
def test_a_clock_set_back_does_not_keep_an_old_book_alive() -> None:
    first = pricebook.current(NOON)
    assert pricebook.current(NOON - timedelta(hours=1)) is not first


@pytest.mark.django_db(transaction=True)
def test_threads_that_ask_at_once_share_one_book() -> None:
    together = Barrier(8)

    def ask(_number: int) -> PriceBook:
        try:
            together.wait()
            return pricebook.current(NOON)
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        books = list(pool.map(ask, range(8)))
    assert all(book is books[0] for book in books)


@pytest.mark.django_db
def test_a_row_is_used_with_all_its_columns() -> None:
    row = Price.objects.create(
        model="claude-opus-7",
        effective_from=NOON,
        effective_until=NOON + timedelta(days=1),
        input=11,
        output=13,
        cache_read=2,
        cache_write_5m=17,
        cache_write_1h=19,
        long_threshold=100,
        long_input=110,
        long_output=130,
        long_cache_read=20,
        long_cache_write_5m=170,
        long_cache_write_1h=190,
        batch_multiplier=Decimal("0.25"),
        fast_multiplier=Decimal(3),
        us_multiplier=Decimal("1.5"),
        web_search=1_000,
        source="a test",
        verified_at=NOON.date(),
    )
    book = pricebook.current(NOON)
    short, long = Usage(10, 10, 10, 10, 10, 1), Usage(100, 10, 10, 10, 10, 1)
    # 10 × (11 + 13 + 2 + 17 + 19) + 1,000; and 100 × 110 + 10 × (130 + 20 + 170 + 190) + 1,000
    assert book.price(short, row.model, NOON) == Cost(1_620, row.pk)
    assert book.price(long, row.model, NOON) == Cost(17_100, row.pk)
    # 100 × 11 is not above 100 tokens: × 0.25, × 3, × 1.5
    assert book.price(Usage(100, batch=True), row.model, NOON) == Cost(275, row.pk)
    assert book.price(Usage(100, fast=True), row.model, NOON) == Cost(3_300, row.pk)
    assert book.price(Usage(100, us_only=True), row.model, NOON) == Cost(1_650, row.pk)
    assert book.price(short, row.model, NOON + timedelta(days=1)) is None


@pytest.mark.django_db
def test_rows_of_another_provider_price_nothing_here() -> None:
    row = Price.objects.get(model=MODEL)
    row.pk, row.provider, row.model = None, "elsewhere", "claude-opus-8"
    row.save()
    assert pricebook.current(NOON).price(ONE, "claude-opus-8", NOON) is None
