"""The price book of this process: the Price table, compiled, at most ten seconds old."""

from datetime import datetime, timedelta
from threading import Lock
from typing import Final

from ingest.models import Price
from ingest.pricing import Columns, PriceBook, Rate

FRESH_FOR: Final = timedelta(seconds=10)

# One tuple, replaced whole: readers need no lock.
_kept: tuple[datetime, PriceBook] | None = None
_loading: Final = Lock()


def current(now: datetime) -> PriceBook:
    """The price book as the database had it not more than ten seconds before `now`."""
    kept = _kept
    if kept is not None and _is_fresh(kept[0], now):
        return kept[1]
    return _load(now)


def forget() -> None:
    """Makes the next `current` read the table: this process has just changed it."""
    global _kept  # noqa: PLW0603 - the cache is the module's whole state
    _kept = None


def rate_of(price: Price) -> Rate:
    """The row as the price book computes with it."""
    return Rate(
        price_id=price.pk,
        model=price.model,
        effective_from=price.effective_from,
        effective_until=price.effective_until,
        short=Columns(price.input, price.output, price.cache_read, price.cache_write_5m, price.cache_write_1h),
        long=_long_columns(price),
        long_threshold=price.long_threshold,
        batch_multiplier=price.batch_multiplier,
        fast_multiplier=price.fast_multiplier,
        us_multiplier=price.us_multiplier,
        web_search=price.web_search,
    )


def _load(now: datetime) -> PriceBook:
    global _kept  # noqa: PLW0603
    with _loading:
        # Another thread may have read it while this one waited for the lock.
        if _kept is not None and _is_fresh(_kept[0], now):
            return _kept[1]
        book = PriceBook(rate_of(price) for price in Price.objects.filter(provider="anthropic"))
        _kept = (now, book)
        return book


def _is_fresh(loaded_at: datetime, now: datetime) -> bool:
    # A clock that was set back must not keep an old book alive for ever.
    return abs(now - loaded_at) < FRESH_FOR


def _long_columns(price: Price) -> Columns | None:
    columns = (
        price.long_input,
        price.long_output,
        price.long_cache_read,
        price.long_cache_write_5m,
        price.long_cache_write_1h,
    )
    known = [column for column in columns if column is not None]
    # The table holds all of them or none (price_long_columns_together).
    return Columns(*known) if len(known) == len(columns) else None
