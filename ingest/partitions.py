"""One partition per UTC day for calls and for bodies, and the arithmetic between times and ids.

A UUIDv7 begins with its time in ms, so a range of time is a range of ids and a day is one partition. Partitions are
attached, never created in place: attaching does not wait for those who are reading the parent.
"""

from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from typing import Final, NamedTuple
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper

TABLES: Final = ("request_log", "request_body")
DAYS_AHEAD: Final = 14
# How far a client's clock may run ahead of ours before its calls are set aside.
CLOCK_TOLERANCE: Final = timedelta(minutes=10)

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
# One maker of partitions at a time, on all hosts; the number only has to be ours.
_ADVISORY_LOCK: Final = 0x6C6C_7670


class Partition(NamedTuple):
    """One day of one table; `name` is its own table's name."""

    table: str
    name: str
    day: date


def lower_bound(at: datetime) -> UUID:
    """The smallest id a call started at `at` can have; ids are compared, never parsed, to find a range of time."""
    return UUID(int=((at - EPOCH) // _MILLISECOND) << 80)


def time_of(call_id: UUID) -> datetime:
    """When the call started, to the millisecond. Only for ids `storable` has let in: others may exceed a datetime."""
    return EPOCH + (call_id.int >> 80) * _MILLISECOND


def buckets_of(call_ids: Iterable[int], span: timedelta) -> list[datetime]:
    """The starts of the buckets of this length, counted from 1970 in UTC, in which calls with these ids began."""
    length = span // _MILLISECOND
    return [EPOCH + bucket * span for bucket in sorted({(call_id >> 80) // length for call_id in call_ids})]


def storable(now: datetime) -> tuple[datetime, datetime]:
    """The half-open range of start times whose calls can be stored."""
    return kept_from("request_log", now), now + CLOCK_TOLERANCE


def kept_from(table: str, now: datetime) -> datetime:
    """Midnight of the first day whose rows in `table` are still kept."""
    return midnight(now.astimezone(UTC).date() - timedelta(days=settings.RETENTION_DAYS[table]))


def ensure_ahead(*, now: datetime) -> None:
    """Makes today's partitions and those of the next two weeks, so that no call has to wait for one."""
    today = now.astimezone(UTC).date()
    ensure_days(today + timedelta(days=ahead) for ahead in range(DAYS_AHEAD + 1))


def ensure_days(days: Iterable[date]) -> None:
    """Makes the partitions of these days where they are missing. Safe to call from many processes at once."""
    wanted = sorted(set(days))
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_ADVISORY_LOCK])
        for table in TABLES:
            existing = {partition.day for partition in partitions(table)}
            for day in wanted:
                if day not in existing:
                    _attach(cursor, table, day)


def partitions(table: str) -> list[Partition]:
    """The attached partitions of a table, oldest first."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT child.relname
              FROM pg_inherits
              JOIN pg_class child ON child.oid = inhrelid
             WHERE inhparent = %s::regclass
             ORDER BY child.relname
            """,
            [table],
        )
        return [Partition(table, name, _day_of(name)) for (name,) in cursor.fetchall()]


def name_of(table: str, day: date) -> str:
    return f"{table}_{day:%Y%m%d}"


def _attach(cursor: CursorWrapper, table: str, day: date) -> None:
    name = name_of(table, day)
    start, end = lower_bound(midnight(day)), lower_bound(midnight(day + timedelta(days=1)))
    # A table that was detached and kept is not ours to overwrite: the name being taken is an error.
    cursor.execute(f"CREATE TABLE {name} (LIKE {table} INCLUDING ALL)")
    # The table is empty, so attaching has nothing to scan and needs no CHECK beforehand.
    cursor.execute(f"ALTER TABLE {table} ATTACH PARTITION {name} FOR VALUES FROM ('{start}') TO ('{end}')")


def midnight(day: date) -> datetime:
    """When a day begins, in UTC."""
    return datetime.combine(day, time(), UTC)


def _day_of(name: str) -> date:
    return date.fromisoformat(name.rpartition("_")[2])
