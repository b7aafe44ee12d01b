"""Dropping whole days once they are too old."""

from datetime import date, timedelta
from typing import Any

import psycopg
import pytest
from django.db import OperationalError, connection
from pytest_django import Settings

from ingest import partitions
from ingest.models import (
    BodyDictionary,
    BreakerTransition,
    ClientInstance,
    Dimension,
    Quarantined,
    RequestLog,
    Score,
    SealedDay,
)
from ingest.retention import drop_expired
from tests import factories
from tests.factories import NOW
from tests.metrics.world import settle

pytestmark = pytest.mark.storage

# From 2026-11-22, 90 days back for calls and 30 for bodies.
FIRST_CALLS = date(2026, 8, 24)
FIRST_BODIES = date(2026, 10, 23)
DAY = timedelta(days=1)

Connection = psycopg.Connection[tuple[Any, ...]]


@pytest.fixture(autouse=True)
def retention(settings: Settings) -> None:
    settings.RETENTION_DAYS = {**settings.RETENTION_DAYS, "request_log": 90, "request_body": 30}


def days(table: str) -> list[date]:
    return [partition.day for partition in partitions.partitions(table) if partition.day <= NOW.date()]


@pytest.mark.django_db
def test_days_are_dropped_when_they_are_wholly_too_old_and_bodies_sooner_than_calls() -> None:
    partitions.ensure_days([FIRST_CALLS - DAY, FIRST_CALLS, FIRST_BODIES - DAY, FIRST_BODIES, NOW.date()])
    dropped = drop_expired(now=NOW)
    assert {"request_log_20260823", "request_body_20260823", "request_body_20260824", "request_body_20261022"} <= set(
        dropped
    )
    assert days("request_log")[0] == FIRST_CALLS
    assert {FIRST_BODIES - DAY, FIRST_BODIES, NOW.date()} <= set(days("request_log"))
    assert days("request_body")[0] == FIRST_BODIES
    assert drop_expired(now=NOW) == []


@pytest.mark.django_db
def test_a_day_is_kept_until_its_last_instant_is_too_old() -> None:
    partitions.ensure_days([FIRST_CALLS])
    midnight = NOW.replace(hour=0) + DAY
    drop_expired(now=midnight - timedelta(microseconds=1))
    assert FIRST_CALLS in days("request_log")
    assert "request_log_20260824" in drop_expired(now=midnight)
    assert FIRST_CALLS not in days("request_log")


@pytest.mark.django_db
def test_calls_go_with_their_day_and_names_dictionaries_and_seals_stay() -> None:
    project = factories.project()
    then = NOW - timedelta(days=90)
    factories.stored(project, at=then, feature="long ago")
    SealedDay.objects.create(day=then.date(), sealed_at=then)
    BodyDictionary.objects.create(project=project, trained_at=then, dictionary=b"any")
    assert RequestLog.objects.filter(project=project).count() == 1
    settle()
    drop_expired(now=NOW + DAY)
    assert RequestLog.objects.filter(project=project).count() == 0
    assert Dimension.objects.filter(project=project, name="long ago").exists()
    assert SealedDay.objects.filter(day=then.date()).exists()
    assert BodyDictionary.objects.filter(project=project).count() == 1


@pytest.mark.django_db
def test_quarantine_is_emptied_like_bodies_of_the_same_age() -> None:
    project = factories.project()
    for age in (30, 31):
        Quarantined.objects.create(
            project=project, event_id=factories.call_id(), received_at=NOW - timedelta(days=age), reason="", event=b"{}"
        )
    drop_expired(now=NOW)
    assert [event.received_at for event in Quarantined.objects.all()] == [NOW - timedelta(days=30)]


@pytest.mark.django_db
def test_what_a_process_said_about_itself_goes_with_its_last_calls() -> None:
    project = factories.project()
    for age in (90, 91):
        seen = NOW - timedelta(days=age)
        ClientInstance.objects.create(
            project=project, instance=f"web-{age}", boot_id=factories.call_id(), first_seen_at=seen, last_seen_at=seen
        )
    drop_expired(now=NOW)
    assert [client.instance for client in ClientInstance.objects.all()] == ["web-90"]


@pytest.mark.django_db
def test_a_score_goes_with_the_day_of_its_call_however_late_it_was_told() -> None:
    midnight = NOW.replace(hour=0) - timedelta(days=90)
    for owner in (factories.project(), factories.project()):
        for offset in (0, -1):
            call_id = factories.call_id(midnight + timedelta(milliseconds=offset))
            Score.objects.create(project=owner, call_id=call_id, name="a", value=offset, at=NOW, received_at=NOW)
    drop_expired(now=NOW)
    assert [score.value for score in Score.objects.all()] == [0, 0]


@pytest.mark.django_db
def test_changes_of_breakers_go_with_the_calls_of_their_time() -> None:
    midnight = NOW.replace(hour=0) - timedelta(days=90)
    for offset in (0, -1):
        at = midnight + timedelta(milliseconds=offset)
        fields: dict[str, Any] = {"project": factories.project(), "boot_id": factories.call_id(), "group": "sonnet-5"}
        BreakerTransition.objects.create(at=at, instance="web", before=0, after=1, **fields)
    drop_expired(now=NOW)
    assert [change.at for change in BreakerTransition.objects.all()] == [midnight]


@pytest.mark.django_db(transaction=True)
def test_a_day_somebody_reads_is_left_for_the_next_run(other: Connection) -> None:
    drop_expired(now=NOW)
    partitions.ensure_days([FIRST_CALLS - DAY * 2, FIRST_CALLS - DAY])
    other.execute("BEGIN; SELECT count(*) FROM request_log")
    # The bodies are not read, so they go.
    assert drop_expired(now=NOW) == ["request_body_20260822", "request_body_20260823"]
    assert days("request_log")[:2] == [FIRST_CALLS - DAY * 2, FIRST_CALLS - DAY]
    other.execute("ROLLBACK")
    assert drop_expired(now=NOW) == ["request_log_20260822", "request_log_20260823"]


@pytest.mark.django_db(transaction=True)
def test_other_failures_of_the_database_are_not_taken_for_a_busy_table(other: Connection) -> None:
    partitions.ensure_days([FIRST_CALLS - DAY])
    other.execute("BEGIN; SELECT count(*) FROM request_log")
    with connection.cursor() as cursor:
        cursor.execute("SHOW statement_timeout")
        (before,) = cursor.fetchone()
        cursor.execute("SET statement_timeout = 100")
    try:
        with pytest.raises(OperationalError, match="statement timeout"):
            drop_expired(now=NOW)
    finally:
        other.execute("ROLLBACK")
        with connection.cursor() as cursor:
            cursor.execute("SELECT set_config('statement_timeout', %s, false)", [before])
    drop_expired(now=NOW)
    assert FIRST_CALLS - DAY not in days("request_log")
