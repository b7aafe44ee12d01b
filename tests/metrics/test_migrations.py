"""Migrations of the rollups keep the rows, in both directions."""

import pytest
from django.core.management import call_command

from metrics.rollup import roll_up_hours
from tests import factories
from tests.factories import NOW
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


def test_months_that_lack_their_last_day_are_counted_again() -> None:
    """As a version left them that used up the marks of a day while it was open."""
    owner = factories.project()
    for at in (MIDNIGHT - 23 * DAY, MIDNIGHT - 22 * DAY, MIDNIGHT - DAY, MIDNIGHT):
        factories.stored(owner, at=at, now=NOW)
    settle()
    call_command("migrate", "metrics", "0002", verbosity=0)
    assert rollups.marks() == []
    rollups.rows("UPDATE user_month SET requests = 1 RETURNING 1")
    call_command("migrate", "metrics", "0003", verbosity=0)
    roll_up_hours(now=NOW + 20 * DAY)
    found = rollups.rows("SELECT bucket::text, requests FROM user_month ORDER BY 1")
    assert found == [("2026-10-01", 2), ("2026-11-01", 2)]
