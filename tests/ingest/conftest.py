"""What the tests of the ingest floor share."""

from collections.abc import Iterator

import pytest

from ingest import pricebook, pricelist
from ingest.models import Price


@pytest.fixture(autouse=True)
def price_book(request: pytest.FixtureRequest) -> Iterator[None]:
    """The prices of the migration, whatever ran before: a transactional test leaves every table empty."""
    pricebook.forget()
    if request.node.get_closest_marker("django_db") is not None:
        request.getfixturevalue("_django_db_helper")
        if not Price.objects.exists():
            pricelist.load(pricelist.read())
    yield
    pricebook.forget()
