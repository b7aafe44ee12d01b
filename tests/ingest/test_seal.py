"""Sealing a day whose calls have stopped arriving."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from typing import Any

import psycopg
import pytest
from django.db import OperationalError, connection

from ingest import bodies, seal
from ingest.models import BodyDictionary, RequestLog, SealedDay
from ingest.seal import seal_closed_days
from projects.models import Project
from tests import factories

pytestmark = [pytest.mark.storage, pytest.mark.django_db(transaction=True)]

DAY = date(2026, 11, 20)
MIDDAY = datetime(2026, 11, 20, 12, tzinfo=UTC)
CLOSED = datetime(2026, 11, 21, 2, tzinfo=UTC)


Connection = psycopg.Connection[tuple[Any, ...]]


def rows(statement: str, *values: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, list(values))
        found: list[tuple[Any, ...]] = cursor.fetchall()
    return found


def files_of(table: str) -> dict[str, int]:
    """The file each index of a partition lies in: a rebuilt one has another."""
    statement = """
        SELECT index.relname, index.relfilenode
          FROM pg_index
          JOIN pg_class index ON index.oid = indexrelid
         WHERE indrelid = %s::regclass
        """
    return {str(name): int(file) for name, file in rows(statement, table)}


def indexes(table: str) -> dict[str, tuple[bool, str]]:
    """Name → (is valid, kind) of a partition's indexes."""
    found = rows(
        """
        SELECT index.relname, indisvalid, amname
          FROM pg_index
          JOIN pg_class index ON index.oid = indexrelid
          JOIN pg_am ON pg_am.oid = relam
         WHERE indrelid = %s::regclass
        """,
        table,
    )
    return {str(name): (bool(valid), str(kind)) for name, valid, kind in found}


@pytest.fixture(autouse=True)
def no_seals(transactional_db: None) -> Iterator[None]:
    """Every test starts with unsealed days: the index of an earlier one is gone with its day."""
    drop = "DROP TABLE IF EXISTS request_log_20261120, request_body_20261120"
    with connection.cursor() as cursor:
        cursor.execute(drop)
    yield
    with connection.cursor() as cursor:
        cursor.execute(drop)


@pytest.fixture
def project(transactional_db: None) -> Project:
    return factories.project()


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "did not happen within 30 s"
        time.sleep(0.02)


def sealer_behind(other: Connection) -> int:
    """Waits until the sealer waits for the open transaction of somebody else; its process id in the server."""
    found: list[tuple[Any, ...]] = []

    def is_waiting() -> bool:
        found[:] = rows(
            """
            SELECT pid
              FROM pg_stat_activity
             WHERE query LIKE 'REINDEX%%'
               AND %s = ANY(pg_blocking_pids(pid))
            """,
            other.info.backend_pid,
        )
        return found != []

    until(is_waiting)
    return int(found[0][0])


def seal_in_a_thread() -> list[date]:
    try:
        return seal_closed_days(now=CLOSED)
    finally:
        connection.close()


def test_a_day_is_sealed_two_hours_after_it_ended_and_once(project: Project) -> None:
    factories.stored(project, at=MIDDAY)
    assert seal_closed_days(now=CLOSED - timedelta(microseconds=1)) == []
    assert seal_closed_days(now=CLOSED) == [DAY]
    assert SealedDay.objects.get().sealed_at == CLOSED
    assert seal_closed_days(now=CLOSED + timedelta(hours=1)) == []
    assert SealedDay.objects.get().sealed_at == CLOSED


def test_sealing_rebuilds_the_indexes_freezes_the_rows_and_indexes_the_detail(project: Project) -> None:
    factories.stored(project, *[factories.event(MIDDAY + timedelta(seconds=number)) for number in range(500)])
    files = files_of("request_log_20261120")
    before = indexes("request_log_20261120")
    seal_closed_days(now=CLOSED)
    after = indexes("request_log_20261120")
    assert after == {**before, "request_log_20261120_detail": (True, "gin")}
    rebuilt = files_of("request_log_20261120")
    assert len(before) == 8
    assert all(rebuilt[name] != files[name] for name in before)
    [(tuples, pages, visible)] = rows(
        "SELECT reltuples, relpages, relallvisible FROM pg_class WHERE relname = 'request_log_20261120'"
    )
    assert tuples == 500
    assert visible == pages
    # Frozen: every row is older than the oldest transaction anybody would still look up.
    [(newest,)] = rows("SELECT max(xmin::text::bigint) FROM request_log_20261120")
    [(frozen,)] = rows("SELECT relfrozenxid::text::bigint FROM pg_class WHERE relname = 'request_log_20261120'")
    assert newest < frozen


def test_the_body_partition_is_sealed_too(project: Project) -> None:
    factories.stored(project, at=MIDDAY, content={"input": '"why?"'})
    before = files_of("request_body_20261120")
    seal_closed_days(now=CLOSED)
    after = files_of("request_body_20261120")
    assert before.keys() == after.keys() == {"request_body_20261120_pkey"}
    assert before != after
    assert rows("SELECT reltuples FROM pg_class WHERE relname = 'request_body_20261120'") == [(1.0,)]


def test_a_late_event_is_stored_in_a_sealed_day(project: Project) -> None:
    factories.stored(project, at=MIDDAY)
    seal_closed_days(now=CLOSED)
    late = factories.event(MIDDAY + timedelta(minutes=1), tags={"case": "late"})
    receipt = factories.stored(project, late, now=CLOSED + timedelta(hours=3))
    assert receipt == (1, 0, 0, 0)
    found = RequestLog.objects.filter(project=project, detail__contains={"tags": {"case": "late"}})
    assert [str(call.pk) for call in found] == [late["id"]]
    # The other way round: what was sealed is still known.
    assert factories.stored(project, late, now=CLOSED + timedelta(hours=3)) == (0, 1, 0, 0)


def test_an_empty_day_is_left_open(project: Project) -> None:
    factories.stored(project, at=MIDDAY)
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM request_log")
    assert seal_closed_days(now=CLOSED) == []
    factories.stored(project, at=MIDDAY)
    assert seal_closed_days(now=CLOSED) == [DAY]


def test_a_second_sealer_at_the_same_time_does_nothing(project: Project, other: Connection) -> None:
    factories.stored(project, at=MIDDAY)
    # Held by whoever is sealing; its number is the product's.
    other.execute("SELECT pg_advisory_lock(1819047539)")
    assert seal_closed_days(now=CLOSED) == []
    assert SealedDay.objects.count() == 0
    other.execute("SELECT pg_advisory_unlock(1819047539)")
    assert seal_closed_days(now=CLOSED) == [DAY]


def test_what_a_killed_sealer_left_half_built_is_built_anew(project: Project, other: Connection) -> None:
    factories.stored(project, factories.event(MIDDAY), factories.event(MIDDAY))
    # An index that cannot become unique stays behind invalid, just as one whose builder was killed.
    for name in ("request_log_20261120_detail", "request_log_20261120_pkey_ccnew"):
        with pytest.raises(psycopg.errors.UniqueViolation):
            other.execute(f"CREATE UNIQUE INDEX CONCURRENTLY {name} ON request_log_20261120 (project_id)")
        assert indexes("request_log_20261120")[name] == (False, "btree")
    assert seal_closed_days(now=CLOSED) == [DAY]
    after = indexes("request_log_20261120")
    assert after["request_log_20261120_detail"] == (True, "gin")
    assert "request_log_20261120_pkey_ccnew" not in after


def test_a_late_event_is_stored_while_its_day_is_being_sealed(project: Project, other: Connection) -> None:
    factories.stored(project, at=MIDDAY)
    other.execute("BEGIN; UPDATE request_log_20261120 SET queue_ms = 1")
    with ThreadPoolExecutor(1) as pool:
        sealing = pool.submit(seal_in_a_thread)
        sealer_behind(other)
        assert factories.stored(project, at=MIDDAY + timedelta(minutes=1), now=CLOSED) == (1, 0, 0, 0)
        assert RequestLog.objects.filter(project=project).count() == 2
        other.execute("COMMIT")
        assert sealing.result(60) == [DAY]


def test_a_sealer_killed_in_the_middle_is_followed_by_one_that_finishes(project: Project, other: Connection) -> None:
    factories.stored(project, at=MIDDAY)
    # A writer that has not committed: building an index beside it has to wait.
    other.execute("BEGIN; UPDATE request_log_20261120 SET queue_ms = 1")

    with ThreadPoolExecutor(1) as pool:
        sealing = pool.submit(seal_in_a_thread)
        rows("SELECT pg_terminate_backend(%s)", sealer_behind(other))
        with pytest.raises(OperationalError):
            sealing.result(30)
    assert SealedDay.objects.count() == 0
    other.execute("COMMIT")
    assert seal_closed_days(now=CLOSED) == [DAY]
    found = indexes("request_log_20261120")
    assert all(valid for valid, _ in found.values())
    assert not [name for name in found if "ccnew" in name or "ccold" in name]


def test_no_day_is_begun_once_the_time_of_a_run_is_up(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    factories.stored(project, at=MIDDAY)
    with monkeypatch.context() as patched:
        patched.setattr(seal, "RUN_SECONDS", -1.0)
        assert seal_closed_days(now=CLOSED) == []
    assert seal_closed_days(now=CLOSED) == [DAY]


def test_the_limits_of_the_connection_are_as_before(project: Project) -> None:
    factories.stored(project, at=MIDDAY)
    limits = "SELECT current_setting('statement_timeout'), current_setting('lock_timeout')"
    before = rows(limits)
    seal_closed_days(now=CLOSED)
    assert rows(limits) == before


def test_sealing_trains_a_dictionary_once_there_are_enough_bodies(project: Project) -> None:
    events = [
        factories.event(
            MIDDAY + timedelta(milliseconds=number),
            content={"input": f"You are a support assistant. Answer politely. Question {number} of {number * 7919}"},
        )
        for number in range(bodies.FEWEST_SAMPLES)
    ]
    factories.stored(project, *events, now=MIDDAY)
    seal_closed_days(now=CLOSED)
    dictionary = BodyDictionary.objects.get()
    assert (dictionary.project, dictionary.trained_at) == (project, CLOSED)
    assert bodies.dictionary_for(project.pk, now=CLOSED) == dictionary.pk
