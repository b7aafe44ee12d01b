"""Migrations of the rollups keep the rows, in both directions."""

import pytest
from django.core.management import call_command
from django.db import connection

from ingest.partitions import name_of
from metrics.rollup import roll_up_hours
from tests import factories
from tests.factories import NOW
from tests.metrics import rollups
from tests.metrics.world import DAY, HOUR, MIDNIGHT, settle

MIGRATION_0004 = "0004_attempts_answers_and_waste"
NEWER = "attempts, answered_sent, streamed, failed_nanousd, cache_saved_nanousd"

pytestmark = [pytest.mark.django_db, pytest.mark.storage]


def keys() -> list[tuple[int, int]]:
    """Key columns and all columns of the primary key of the hours."""
    return rollups.rows("SELECT indnkeyatts, indnatts FROM pg_index WHERE indexrelid = 'facet_hour_pkey'::regclass")


def test_the_hours_get_a_key_that_holds_their_numbers_and_stay_as_they_are() -> None:
    factories.stored(factories.project(), at=MIDNIGHT - DAY)
    settle()
    call_command("migrate", "metrics", "0002", verbosity=0)
    before = rollups.rows("SELECT * FROM facet_hour ORDER BY environment_id, facet, key")
    # One call: eight facets, each for its environment and for all together.
    assert len(before) == 16
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
    days = [MIDNIGHT - 23 * DAY, MIDNIGHT - 22 * DAY, MIDNIGHT - DAY, MIDNIGHT]
    assert sorted(rollups.marks()) == [(3, day, owner.pk) for day in days]
    call_command("migrate", "metrics", verbosity=0)
    roll_up_hours(now=NOW + 20 * DAY)
    found = rollups.rows("SELECT bucket::text, requests FROM user_month ORDER BY 1")
    assert found == [("2026-10-01", 2), ("2026-11-01", 2)]


def test_what_is_counted_since_0004_is_counted_of_the_past_too() -> None:
    """As an upgrade finds it: rows of the version before, for days with minutes, with hours, and without calls."""
    owner = factories.project()
    gone, old, recent = (MIDNIGHT - days * DAY + HOUR for days in (20, 10, 1))
    for at in (gone, old, recent, recent + HOUR):
        factories.stored(owner, at=at, now=NOW, stream=True)
    settle()
    call_command("migrate", "metrics", "0003", verbosity=0)
    for table in ("facet_minute", "facet_hour"):
        rollups.rows(f"DELETE FROM {table} WHERE facet > 4 RETURNING 1")
    with connection.cursor() as cursor:
        cursor.execute(f"DROP TABLE {name_of('request_log', gone.date())}")
    call_command("migrate", "metrics", MIGRATION_0004, verbosity=0)
    # Minutes, and the one hour that has none of them. The day whose calls are gone is left alone.
    assert sorted(rollups.marks()) == [
        *((0, at, owner.pk) for at in (recent, recent + HOUR)),
        (1, old, owner.pk),
    ]
    call_command("migrate", "metrics", verbosity=0)
    settle()
    # The month that is not over is counted again a little later.
    assert {grain for grain, _, _ in rollups.marks()} <= {3}
    for table in ("facet_hour", "facet_day", "cube_hour", "cube_day"):
        where = "facet = 0 AND environment_id = 0" if table.startswith("facet") else "TRUE"
        found = rollups.rows(f"SELECT requests, {NEWER} FROM {table} WHERE {where} ORDER BY bucket")
        assert found[0] == (1, 0, 0, 0, 0, 0)
        assert found[1:] in ([(1, 1, 1, 1, 0, 0)] * 3, [(1, 1, 1, 1, 0, 0), (2, 2, 2, 2, 0, 0)])
    facets = rollups.rows("SELECT DISTINCT facet FROM facet_hour WHERE bucket > %s ORDER BY 1", gone)
    assert [facet for (facet,) in facets] == list(range(8))
    assert len(rollups.rows("SELECT 1 FROM facet_hour WHERE bucket = %s", gone)) == 10
    assert rollups.rows("SELECT sum(requests) FROM user_day") == [(4,)]
