"""Sealing a day: once its calls have stopped arriving, its indexes are rebuilt small and its rows frozen.

Nothing is closed by it: a late event is stored in a sealed day like in any other. Everything here runs beside readers
and writers without locking them out, and each step may be repeated, so a day whose sealing was interrupted is simply
sealed again from the start.
"""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from datetime import time as midnight
from typing import Final

from django.db import connection

from ingest import bodies
from ingest.models import SealedDay
from ingest.partitions import TABLES, name_of, partitions
from projects.models import Project

CLOSED_AFTER: Final = timedelta(days=1, hours=2)
"""From the midnight a day begins; clients that were cut off deliver for a while after it ends."""

# No new day is begun after this, so that a run ends before its lease does.
RUN_SECONDS: Final = 1_200.0
# Building beside writers waits for the transactions that are open; none may stay open longer than a minute.
LOCK_TIMEOUT: Final = "90s"
# One sealer at a time, on all hosts; the number only has to be ours.
_ADVISORY_LOCK: Final = 0x6C6C_7673

log = logging.getLogger(__name__)


def seal_closed_days(*, now: datetime) -> list[date]:
    """Seals the closed days that are not sealed yet, oldest first; returns them. A second run at once does nothing."""
    sealed = []
    began = time.monotonic()
    with _alone() as alone:
        if alone:
            for day in _closed_days(now):
                if time.monotonic() - began > RUN_SECONDS:
                    break
                _seal(day, now)
                sealed.append(day)
    if sealed:
        for project in Project.objects.all():
            bodies.train(project, now=now)
    return sealed


def _closed_days(now: datetime) -> list[date]:
    """Days with calls. An empty day is left open: it may be about to be filled by an import."""
    done = set(SealedDay.objects.values_list("day", flat=True))
    closed = [
        partition
        for partition in partitions("request_log")
        if partition.day not in done and datetime.combine(partition.day, midnight(), UTC) + CLOSED_AFTER <= now
    ]
    return [partition.day for partition in closed if _has_rows(partition.name)]


def _has_rows(name: str) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT EXISTS (SELECT FROM {connection.ops.quote_name(name)})")  # noqa: S608 - a name of ours
        (found,) = cursor.fetchone()
    return bool(found)


def _seal(day: date, now: datetime) -> None:
    began = time.monotonic()
    attached = {partition.name for table in TABLES for partition in partitions(table) if partition.day == day}
    calls = name_of("request_log", day)
    for name in sorted(attached):
        _drop_unfinished_indexes(name)
        quoted = connection.ops.quote_name(name)
        _run(f"REINDEX TABLE CONCURRENTLY {quoted}")
        if name == calls:
            # "calls with this tag": built in one go it takes a fifth of the room it would have grown to by the row.
            index = connection.ops.quote_name(f"{name}_detail")
            _run(f"CREATE INDEX CONCURRENTLY IF NOT EXISTS {index} ON {quoted} USING gin (detail jsonb_path_ops)")
        _run(f"VACUUM (FREEZE, ANALYZE) {quoted}")
    SealedDay.objects.update_or_create(day=day, defaults={"sealed_at": now})
    log.info("%s sealed in %.1f s", day, time.monotonic() - began)


def _drop_unfinished_indexes(name: str) -> None:
    """Building an index beside writers leaves an invalid one behind when it is killed."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT index.relname
              FROM pg_index
              JOIN pg_class index ON index.oid = indexrelid
             WHERE indrelid = %s::regclass
               AND NOT indisvalid
            """,
            [name],
        )
        unfinished = [found for (found,) in cursor.fetchall()]
    for index in unfinished:
        _run(f"DROP INDEX CONCURRENTLY IF EXISTS {connection.ops.quote_name(index)}")


def _run(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)


@contextmanager
def _alone() -> Iterator[bool]:
    """Whether this process is the only sealer. The lock is the connection's, so it cannot outlive a killed process."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [_ADVISORY_LOCK])
        (alone,) = cursor.fetchone()
        if not alone:
            yield False
            return
        try:
            cursor.execute("SELECT current_setting('statement_timeout'), current_setting('lock_timeout')")
            before = cursor.fetchone()
            _limit("0", LOCK_TIMEOUT)
            try:
                yield True
            finally:
                _limit(*before)
        finally:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [_ADVISORY_LOCK])


def _limit(statement_timeout: str, lock_timeout: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT set_config('statement_timeout', %s, false), set_config('lock_timeout', %s, false)",
            [statement_timeout, lock_timeout],
        )
