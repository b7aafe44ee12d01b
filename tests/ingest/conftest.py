"""What the tests of the ingest floor share."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from django.db import connection


@pytest.fixture
def other(transactional_db: None) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    """A second connection to the database, in autocommit: somebody else who reads or writes meanwhile."""
    made: psycopg.Connection[tuple[Any, ...]] = connection.get_new_connection(connection.get_connection_params())
    made.autocommit = True
    with made:
        yield made
