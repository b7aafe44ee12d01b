"""Facets are dropped by the day they are about; what is made of them stays."""

import pytest
from pytest_django.fixtures import Settings

from metrics import queries, retention
from metrics.slices import Slice
from metrics.windows import Window
from tests import factories
from tests.factories import NOW
from tests.metrics import rollups
from tests.metrics.world import DAY, MIDNIGHT, settle

pytestmark = [pytest.mark.django_db, pytest.mark.storage]


def test_minutes_are_dropped_after_their_days_and_hours_after_theirs(settings: Settings) -> None:
    owner = factories.project()
    days = (MIDNIGHT - DAY, MIDNIGHT - 2 * DAY, MIDNIGHT - 3 * DAY)
    for day in days:
        factories.stored(owner, at=day, now=NOW)
    settle()
    settings.RETENTION_DAYS = settings.RETENTION_DAYS | {"facet_minute": 1, "facet_hour": 2}
    # A call is one row in each of eight facets, for its environment and for all of them.
    assert retention.drop_expired(now=NOW) == 2 * 16 + 1 * 16
    assert {row[1] for row in rollups.of_rollup("facet_minute")} == set(days[:1])
    assert {row[1] for row in rollups.of_rollup("facet_hour")} == set(days[:2])
    assert {row[1] for row in rollups.of_rollup("cube_hour")} == set(days)
    assert retention.drop_expired(now=NOW) == 0


def test_answers_stay_the_same_when_expired_rows_are_gone(settings: Settings) -> None:
    owner = factories.project()
    for day in range(5):
        factories.stored(owner, at=MIDNIGHT - day * DAY, now=NOW)
    settle()
    settings.RETENTION_DAYS = settings.RETENTION_DAYS | {"facet_minute": 1, "facet_hour": 2}
    window, everything = Window(MIDNIGHT - 9 * DAY, NOW), Slice(owner.pk)
    before = queries.values(("requests", "spend", "latency_p95"), window, everything, now=NOW)
    retention.drop_expired(now=NOW)
    assert queries.values(("requests", "spend", "latency_p95"), window, everything, now=NOW) == before
    assert before["requests"].value == 5


def test_more_rows_than_one_statement_takes_are_all_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    owner = factories.project()
    factories.stored(owner, at=MIDNIGHT - DAY, now=NOW)
    settle()
    monkeypatch.setattr(retention, "ROWS_AT_ONCE", 3)
    # The minute's facets: eight, for two environments. The hour's are kept for 396 days.
    assert retention.drop_expired(now=NOW + 10 * DAY) == 16
    assert rollups.of_rollup("facet_minute") == []
