"""Calls that were made up to be dear beyond measure do not stop the counting."""

from datetime import timedelta

import pytest
from django.db import connection

from metrics.facts import MOST_MONEY
from projects.models import Project
from tests import factories
from tests.factories import NOW
from tests.metrics.world import DAY, settle

pytestmark = [pytest.mark.django_db, pytest.mark.storage]

TABLES = ("facet_minute", "facet_hour", "facet_day", "cube_hour", "cube_day", "user_day", "user_month")


def dearest(table: str, owner: Project) -> int:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT max(cost_nanousd) FROM {table} WHERE project_id = %s", [owner.pk])
        return int(cursor.fetchone()[0])


def test_a_sum_that_fits_no_column_is_the_largest_that_does_and_other_projects_are_counted() -> None:
    hostile, honest = factories.project("hostile"), factories.project("honest")
    yesterday = NOW - DAY
    # A third of the largest number each: four are too much for an hour, and for every sum of hours after it.
    events = [factories.event(yesterday + timedelta(hours=hour)) for hour in (0, 0, 0, 0, 1, 1, 1, 1)]
    factories.stored(hostile, *events, now=NOW)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE request_log SET cost_nanousd = %s, infra_nanousd = %s", [MOST_MONEY // 3] * 2)
    factories.stored(honest, at=yesterday, now=NOW)
    settle()
    assert {table: dearest(table, hostile) for table in TABLES} == dict.fromkeys(TABLES, MOST_MONEY)
    assert {table: dearest(table, honest) for table in TABLES} == dict.fromkeys(TABLES, 600_000)
