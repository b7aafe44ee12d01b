# ruff: noqa: S608 — the names come from the declarations below, values are always parameters
"""The SQL that writes `failure_minute`, `failure_hour` and `failure_day`: failed calls by group and environment.

The time of the first call and the last call itself stand in each row, so that they are known exactly, whatever the
range. Read through the partial index on failures, a bucket costs what failed in it, and nothing else.
"""

from typing import Final

from ingest.vocabulary import FAILED

IS_FAILED: Final = f"outcome IN ({', '.join(str(outcome.value) for outcome in FAILED)})"
"""The condition of the partial indexes on failures, to the letter."""


def greatest(call: str) -> str:
    """Return SQL for the greatest id of some calls; PostgreSQL has none for uuids."""
    return f'max({call}::text COLLATE "C")::uuid'


def failure_minute() -> str:
    """From the calls of some minutes of a project to its failures."""
    return _failures("failure_minute", "1 minute")


def failure_hour() -> str:
    """From the calls of some hours of a project to its failures."""
    return _failures("failure_hour", "1 hour")


def failure_day() -> str:
    """From the hours of some days of a project to the days."""
    return f"""
{_insert("failure_day")}
SELECT %(project)s, date_bin('1 day', bucket, 'epoch') AS day, environment_id, group_id, sum(calls),
       min(first_at), {greatest("last_call")}
  FROM failure_hour
 WHERE project_id = %(project)s AND bucket >= %(start)s AND bucket < %(stop)s
 GROUP BY day, environment_id, group_id"""


def _failures(table: str, step: str) -> str:
    return f"""
{_insert(table)}
SELECT %(project)s, date_bin('{step}', started_at, 'epoch') AS bucket, environment_id, failure_group_id, count(*),
       min(started_at), {greatest("id")}
  FROM request_log
 WHERE project_id = %(project)s AND id >= %(first)s AND id < %(end)s AND {IS_FAILED} AND failure_group_id IS NOT NULL
 GROUP BY bucket, environment_id, failure_group_id"""


def _insert(table: str) -> str:
    return f"INSERT INTO {table} (project_id, bucket, environment_id, group_id, calls, first_at, last_call)"
