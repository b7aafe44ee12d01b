"""The shipped price list as a price book, without a database. Price ids count from 1 in the order of the list."""

from datetime import UTC, datetime

from ingest import pricelist
from ingest.models import Price
from ingest.pricebook import rate_of
from ingest.pricing import PriceBook

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
BOOK = PriceBook(rate_of(Price(pk=number, **row)) for number, row in enumerate(pricelist.read(), start=1))


def at(text: str) -> datetime:
    """An instant of UTC from its ISO form, to the microsecond."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)
