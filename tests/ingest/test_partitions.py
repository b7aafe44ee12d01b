"""Days of ids: arithmetic, making them ahead and on demand, and never waiting for readers."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from django.conf import settings
from django.db import connection

from ingest import partitions
from ingest.models import RequestBody, RequestLog
from ingest.partitions import Partition, ensure_ahead, ensure_days, lower_bound, storable, time_of
from tests import factories

NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)

pytestmark = pytest.mark.storage


def another_connection() -> psycopg.Connection:
    return psycopg.connect(**connection.get_connection_params() | {"cursor_factory": psycopg.Cursor})


def test_the_bound_of_a_time_is_its_milliseconds_and_nothing_else() -> None:
    assert lower_bound(datetime(1970, 1, 1, tzinfo=UTC)) == UUID(int=0)
    assert str(lower_bound(NOW)) == "01a202b2-c500-0000-0000-000000000000"
    assert lower_bound(NOW + timedelta(microseconds=999)) == lower_bound(NOW)


def test_an_id_of_that_millisecond_is_not_below_the_bound() -> None:
    call_id = factories.call_id(NOW)
    assert lower_bound(NOW) <= call_id < lower_bound(NOW + timedelta(milliseconds=1))
    assert time_of(call_id) == NOW


def test_the_storable_range_begins_with_the_oldest_kept_day_and_ends_ten_minutes_from_now(
    settings: Any,
) -> None:
    settings.RETENTION_DAYS = {"request_log": 90, "request_body": 30}
    assert storable(NOW) == (datetime(2026, 8, 24, tzinfo=UTC), datetime(2026, 11, 22, 10, 10, tzinfo=UTC))
    assert partitions.kept_from("request_body", NOW) == datetime(2026, 10, 23, tzinfo=UTC)


@pytest.mark.django_db
def test_today_and_the_next_fourteen_days_are_made_ahead() -> None:
    ensure_ahead(now=datetime(2031, 3, 1, 23, 59, tzinfo=UTC))
    expected = [date(2031, 3, 1) + timedelta(days=ahead) for ahead in range(15)]
    for table in partitions.TABLES:
        made = [partition for partition in partitions.partitions(table) if partition.day.year == 2031]
        assert [partition.day for partition in made] == expected
        assert made[0] == Partition(table, f"{table}_20310301", date(2031, 3, 1))


@pytest.mark.django_db
def test_making_them_again_changes_nothing() -> None:
    ensure_days([date(2031, 5, 1)])
    before = partitions.partitions("request_log")
    ensure_days([date(2031, 5, 1), date(2031, 5, 1)])
    assert partitions.partitions("request_log") == before


@pytest.mark.django_db
def test_a_partition_has_every_index_of_its_parent() -> None:
    ensure_days([date(2031, 5, 1)])
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_indexes WHERE tablename = 'request_log_20310501'")
        assert cursor.fetchone() == (8,)
        cursor.execute(
            "SELECT attstorage FROM pg_attribute"
            " WHERE attrelid = 'request_body_20310501'::regclass AND attname = 'body'"
        )
        assert cursor.fetchone() == ("e",)


@pytest.mark.django_db(transaction=True)
def test_a_day_nobody_made_ahead_is_made_when_its_first_call_arrives() -> None:
    owner = factories.project()
    at = datetime(2033, 2, 3, 4, 5, tzinfo=UTC)
    assert factories.stored(owner, at=at, content={"input": '"hi"'}).accepted == 1
    assert date(2033, 2, 3) in {partition.day for partition in partitions.partitions("request_log")}
    assert RequestLog.objects.get(project=owner).started_at == at
    assert RequestBody.objects.filter(project=owner).count() == 1


@pytest.mark.django_db(transaction=True)
def test_several_missing_days_in_one_batch_are_all_made() -> None:
    owner = factories.project()
    last = datetime(2033, 7, 9, 12, 0, tzinfo=UTC)
    events = [factories.event(last - timedelta(days=ago)) for ago in range(5)]
    assert factories.stored(owner, *events, now=last).accepted == 5


@pytest.mark.django_db(transaction=True)
def test_a_day_is_attached_while_another_transaction_has_read_the_parent() -> None:
    owner = factories.project()
    with another_connection() as reader:
        reader.execute("SELECT count(*) FROM request_log")
        assert factories.stored(owner, at=datetime(2034, 2, 3, tzinfo=UTC)).accepted == 1
        # Its transaction was open all the time and goes on.
        assert reader.execute("SELECT count(*) FROM request_log").fetchone() == (1,)


@pytest.mark.django_db(transaction=True)
def test_two_processes_that_miss_the_same_day_make_it_once() -> None:
    with another_connection() as other:
        other.execute("SELECT pg_advisory_xact_lock(%s)", [partitions._ADVISORY_LOCK])
        other.execute("CREATE TABLE request_log_20350101 (LIKE request_log INCLUDING ALL)")
        start, end = (lower_bound(datetime(2035, 1, day, tzinfo=UTC)) for day in (1, 2))
        other.execute(
            f"ALTER TABLE request_log ATTACH PARTITION request_log_20350101 FOR VALUES FROM ('{start}') TO ('{end}')"
        )
        other.commit()
    ensure_days([date(2035, 1, 1)])
    assert date(2035, 1, 1) in {partition.day for partition in partitions.partitions("request_body")}


@pytest.mark.django_db(transaction=True)
def test_nothing_is_ever_stored_outside_a_day() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid WHERE relname ~ 'default'")
        assert cursor.fetchone() == (0,)
    assert settings.RETENTION_DAYS["request_log"] > 0
