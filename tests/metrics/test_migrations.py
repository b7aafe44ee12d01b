"""Migrations of the rollups keep the rows, in both directions."""

import pytest
from django.core.management import call_command

from tests import factories
from tests.metrics import rollups
from tests.metrics.world import DAY, MIDNIGHT, settle

pytestmark = [pytest.mark.django_db, pytest.mark.storage]


def keys() -> list[tuple[int, int]]:
    """Key columns and all columns of the primary key of the hours."""
    return rollups.rows("SELECT indnkeyatts, indnatts FROM pg_index WHERE indexrelid = 'facet_hour_pkey'::regclass")


def test_the_hours_get_a_key_that_holds_their_numbers_and_stay_as_they_are() -> None:
    factories.stored(factories.project(), at=MIDNIGHT - DAY)
    settle()
    before = rollups.rows("SELECT * FROM facet_hour ORDER BY environment_id, facet, key")
    # One call: five facets, each for its environment and for all together.
    assert len(before) == 10
    call_command("migrate", "metrics", "0001", verbosity=0)
    assert keys() == [(5, 5)]
    call_command("migrate", "metrics", "0002", verbosity=0)
    assert keys() == [(5, 27)]
    assert rollups.rows("SELECT * FROM facet_hour ORDER BY environment_id, facet, key") == before
