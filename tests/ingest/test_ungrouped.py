"""Failures stored without a group get the one they would have been given, and are counted again."""

from datetime import datetime, timedelta

import pytest
from django.db import connection

from ingest import ungrouped
from ingest.models import FailureGroup, RequestLog
from ingest.ungrouped import group_ungrouped
from projects.models import Project
from tests import factories
from tests.factories import NOW

pytestmark = [pytest.mark.django_db, pytest.mark.storage]


def forget_groups() -> None:
    """As a version left the calls that knew no groups."""
    with connection.cursor() as cursor:
        cursor.execute("UPDATE request_log SET failure_group_id = NULL; DELETE FROM rollup_dirty")
    FailureGroup.objects.all().delete()


def marks() -> list[tuple[int, datetime, int]]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT grain, bucket, project_id FROM rollup_dirty ORDER BY project_id, bucket")
        return [(grain, bucket, project) for grain, bucket, project in cursor.fetchall()]


def told(owner: Project) -> dict[str, tuple[int, str]]:
    """Error and template of the group of each call that has one."""
    known = {group.pk: (group.error, group.template) for group in FailureGroup.objects.filter(project=owner)}
    calls = RequestLog.objects.filter(project=owner, failure_group_id__isnull=False)
    return {str(pk): known[number or 0] for pk, number in calls.values_list("pk", "failure_group_id")}


def test_old_failures_get_the_groups_of_new_ones_and_their_minutes_are_counted_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ungrouped, "CALLS_AT_ONCE", 2)
    one, two = factories.project(), factories.project()
    minute = timedelta(minutes=1)
    events = [
        factories.failed(at=NOW - n * minute, error={"category": "overloaded", "message": f"Try {n} of 3"})
        for n in range(3)
    ]
    old = factories.failed("timeout", None, NOW - timedelta(days=40), error=None)
    factories.stored(one, *events, factories.event(), old, now=NOW)
    factories.stored(two, factories.failed("billing", 402, NOW - 7 * minute), now=NOW)
    before = {owner.pk: told(owner) for owner in (one, two)}
    assert [len(each) for each in before.values()] == [4, 1]
    forget_groups()
    assert told(one) == {}
    assert group_ungrouped(now=NOW) == 5
    assert {owner.pk: told(owner) for owner in (one, two)} == before
    assert marks() == [
        (0, NOW - timedelta(days=40), one.pk),
        *((0, NOW - n * minute, one.pk) for n in (2, 1, 0)),
        (0, NOW - 7 * minute, two.pk),
    ]
    assert group_ungrouped(now=NOW) == 0


def test_what_is_grouped_stays_as_it_is_and_answers_have_no_group() -> None:
    owner = factories.project()
    factories.stored(owner, factories.event(), factories.failed("cancelled", None, outcome="cancelled"))
    factories.stored(owner, factories.failed())
    before = list(RequestLog.objects.order_by("pk").values_list("pk", "failure_group_id"))
    assert group_ungrouped(now=NOW) == 0
    assert list(RequestLog.objects.order_by("pk").values_list("pk", "failure_group_id")) == before
