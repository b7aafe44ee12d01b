"""Store — step 4 of 8: priced calls become rows, once each.

Hopeful first: one binary COPY straight into the table. Only when an id is already there is the batch done again through
a temporary table, which can skip what exists. Rows, bodies, scores, rollup marks, quarantine and the client's report
commit together; who is told "stored" may rely on it.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple
from uuid import UUID

from django.db import IntegrityError, OperationalError, connection, transaction
from django.db.backends.utils import CursorWrapper

from ingest import batch, client_report, partitions, quarantine, rows, scores
from ingest.batch import Batch, Origin
from ingest.client_report import Report
from ingest.events import Client, Event
from ingest.scores import Score
from ingest.vocabulary import Grain

__all__ = ["Origin", "Receipt", "mark", "sqlstate_of", "store"]

# How often a batch is tried before the database's error is passed on: each reason to try again arises about once.
_TRIES: Final = 5
_MINUTE: Final = timedelta(minutes=1)
_UNIQUE_VIOLATION: Final = "23505"
_CHECK_VIOLATION: Final = "23514"
_TRANSIENT: Final = frozenset({"40P01", "40001"})

# Temporary, so it has no WAL; it lives as long as the connection. Emptied first: a caller may have its own transaction.
_STAGE: Final = """
CREATE TEMPORARY TABLE IF NOT EXISTS request_stage (LIKE request_log) ON COMMIT DELETE ROWS;
DELETE FROM request_stage
"""
_FROM_STAGE: Final = f"""
INSERT INTO request_log ({rows.COLUMNS})
SELECT {rows.COLUMNS}
  FROM request_stage
 ORDER BY id
    ON CONFLICT (project_id, id) DO NOTHING
RETURNING id
"""  # noqa: S608 - the columns are ours
# The bounds let the planner open only the days that can match.
_CONFLICTS: Final = """
SELECT count(*)
  FROM request_stage staged
  JOIN request_log stored USING (project_id, id)
 WHERE stored.id BETWEEN %s AND %s
   AND stored.digest <> staged.digest
"""
_MARKS: Final = """
INSERT INTO rollup_dirty (bucket, marked_at, project_id, grain)
SELECT unnest(%s), %s, %s, %s
"""


class Receipt(NamedTuple):
    """What became of a batch. The four numbers add up to its events."""

    accepted: int
    duplicates: int
    conflicts: int
    quarantined: int


class _Told(NamedTuple):
    """What a batch holds beside its calls."""

    scores: Sequence[Score]
    report: Report | None


def store(
    events: Iterable[Event],
    *,
    origin: Origin,
    now: datetime,
    client: Client | None = None,
    scored: Sequence[Score] = (),
) -> Receipt:
    """Stores a batch in one transaction and says what was new. Raises only errors of django.db.

    An event stored before counts as a duplicate, one stored before with other content as a conflict: the first one
    stays. Safe to repeat after any failure, and from several processes at once.
    """
    prepared = batch.prepare(events, origin=origin, now=now)
    told = _Told(scored, None if client is None else client_report.read(client, now=now))
    is_fresh = True
    for tries_left in range(_TRIES - 1, -1, -1):
        try:
            with transaction.atomic():
                return _write(prepared, told, is_fresh=is_fresh, now=now)
        except IntegrityError as error:
            state = sqlstate_of(error)
            if tries_left == 0 or state not in {_UNIQUE_VIOLATION, _CHECK_VIOLATION}:
                raise
            if state == _UNIQUE_VIOLATION:
                is_fresh = False
            else:
                partitions.ensure_days(partitions.time_of(UUID(int=row.id)).date() for row in prepared.rows)
        except OperationalError as error:
            if tries_left == 0 or sqlstate_of(error) not in _TRANSIENT:
                raise
    raise AssertionError("the last try either returns or raises")


def sqlstate_of(error: Exception) -> str | None:
    """PostgreSQL's five-character code for an error of django.db; None when there was no answer at all."""
    return getattr(error.__cause__, "sqlstate", None)


def mark(cursor: CursorWrapper, call_ids: Iterable[int], *, project_id: int, now: datetime) -> None:
    """Marks the minutes of these calls, so that the rollups are made again. Within the transaction that wrote them."""
    minutes = partitions.buckets_of(call_ids, _MINUTE)
    cursor.execute(_MARKS, [minutes, now, project_id, Grain.MINUTE.value])


def _write(prepared: Batch, told: _Told, *, is_fresh: bool, now: datetime) -> Receipt:
    project_id = prepared.project_id
    with connection.cursor() as cursor:
        new, conflicts = prepared.rows, 0
        if prepared.rows:
            if is_fresh:
                _copy(cursor, f"request_log ({rows.COLUMNS})", [row.call for row in prepared.rows])
            else:
                inserted, conflicts = _insert_missing(cursor, prepared)
                new = [row for row in prepared.rows if row.id in inserted]
            bodies = [row.body for row in new if row.body is not None]
            if bodies:
                _copy(cursor, "request_body (id, project_id, dictionary_id, body)", bodies)
        if new:
            mark(cursor, (row.id for row in new), project_id=project_id, now=now)
        put_aside = quarantine.keep(prepared.outside, project_id=project_id, now=now) if prepared.outside else 0
        marked = scores.keep(cursor, told.scores, project_id=project_id, now=now)
        if marked:
            cursor.execute(_MARKS, [marked, now, project_id, Grain.SCORE_HOUR.value])
        if told.report is not None:
            # Last, because batches of one process queue up for this row until the transaction ends.
            client_report.keep(cursor, told.report, project_id=project_id, now=now, received=len(new) + put_aside)
    repeated = len(prepared.rows) - len(new) - conflicts
    return Receipt(
        accepted=len(new),
        duplicates=prepared.duplicates + repeated,
        conflicts=prepared.conflicts + conflicts,
        quarantined=len(prepared.outside),
    )


def _insert_missing(cursor: CursorWrapper, prepared: Batch) -> tuple[set[int], int]:
    """The ids that were not there yet, now stored, and the number of those stored before with other content."""
    cursor.execute(_STAGE)
    _copy(cursor, f"request_stage ({rows.COLUMNS})", [row.call for row in prepared.rows])
    cursor.execute(_FROM_STAGE)
    inserted = {call_id.int for (call_id,) in cursor.fetchall()}
    if len(inserted) == len(prepared.rows):
        return inserted, 0
    # Rows are in the order of their ids.
    cursor.execute(_CONFLICTS, [UUID(int=prepared.rows[0].id), UUID(int=prepared.rows[-1].id)])
    [(conflicts,)] = cursor.fetchall()
    return inserted, conflicts


def _copy(cursor: CursorWrapper, target: str, encoded: Iterable[bytes]) -> None:
    statement = f"COPY {target} FROM STDIN (FORMAT BINARY)"
    # COPY ends, and tells its errors, outside the methods Django wraps.
    with connection.wrap_database_errors, cursor.copy(statement) as copy:
        copy.write(b"".join((rows.HEADER, *encoded, rows.TRAILER)))
