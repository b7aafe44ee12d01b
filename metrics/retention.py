"""Retention of the rollups: minutes and hours go after the days the settings say, cubes and users' days never."""

from datetime import datetime
from typing import Final

from django.db import connection

from ingest.partitions import kept_from

TABLES: Final = (
    *("facet_minute", "facet_hour", "limit_minute", "score_hour"),
    *("failure_minute", "failure_hour", "failure_day"),
)
# Rows deleted by one statement: short locks, and a statement that ends within its time.
ROWS_AT_ONCE: Final = 20_000


def drop_expired(*, now: datetime) -> int:
    """Delete the rows of days past their retention, and return how many. Safe to interrupt and to repeat."""
    return sum(_drop(table, kept_from(table, now)) for table in TABLES)


def _drop(table: str, before: datetime) -> int:
    dropped: int = 0
    with connection.cursor() as cursor:
        while True:
            # The index on (bucket, project_id) finds them; without a limit, three days of minutes are one transaction.
            cursor.execute(
                f"""
                DELETE FROM {table}
                 WHERE ctid = ANY(ARRAY(SELECT ctid FROM {table} WHERE bucket < %s ORDER BY bucket LIMIT %s))
                """,  # noqa: S608 — one of TABLES
                [before, ROWS_AT_ONCE],
            )
            dropped += cursor.rowcount
            if cursor.rowcount < ROWS_AT_ONCE:
                return dropped
