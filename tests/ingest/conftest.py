"""What the tests of the ingest floor share."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from django.db import connection

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


@pytest.fixture
def other(transactional_db: None) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    """A second connection to the database, in autocommit: somebody else who reads or writes meanwhile."""
    made: psycopg.Connection[tuple[Any, ...]] = connection.get_new_connection(connection.get_connection_params())
    made.autocommit = True
    with made:
        yield made
