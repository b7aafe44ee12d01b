"""How calls arrive: how many a minute, how long after their end, and what was put aside.

Read from the newest calls only, backwards along the key, so the price is the same in a table of any size.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db import connection

from ingest.partitions import CLOCK_TOLERANCE, lower_bound

LOOKED_BACK: Final = timedelta(hours=1)
LATE: Final = timedelta(minutes=1)
"""Calls that arrive later were kept somewhere, in a spool or a file; they say nothing about the way here."""
MOST_CALLS: Final = 10_000
"""Of a busier hour the newest calls are taken; `Arrivals.since` says from when on."""

# A call that waited in a spool or whose clock is wrong says nothing about the minute it was received in, but it is
# counted there: that is when it arrived.
_SQL: Final = """
WITH recent AS MATERIALIZED (
     SELECT date_trunc('minute', received_at, 'UTC') AS minute, app_id, started_at,
            round(extract(epoch FROM received_at - started_at) * 1000)::bigint - duration_ms AS lag
       FROM request_log
      WHERE project_id = %(project)s AND id >= %(start)s AND id < %(stop)s
      ORDER BY id DESC
      LIMIT %(most)s
), grouped AS (
     SELECT minute, app_id, grouping(minute) AS no_minute, grouping(app_id) AS no_app,
            count(*) AS calls, min(started_at) AS since,
            count(*) FILTER (WHERE lag > %(late)s) AS late,
            percentile_disc(0.5) WITHIN GROUP (ORDER BY lag) FILTER (WHERE lag <= %(late)s) AS p50,
            percentile_disc(0.95) WITHIN GROUP (ORDER BY lag) FILTER (WHERE lag <= %(late)s) AS p95,
            percentile_disc(0.1) WITHIN GROUP (ORDER BY lag) FILTER (WHERE lag <= %(late)s) AS p10
       FROM recent
      GROUP BY GROUPING SETS ((minute), (app_id), ())
)
SELECT CASE WHEN no_minute = 0 THEN 'minute' WHEN no_app = 0 THEN 'app' ELSE 'all' END,
       minute, coalesce(dim.name, ''), calls, since, late, p50, p95, p10
  FROM grouped LEFT JOIN dim ON no_app = 0 AND dim.id = app_id
 UNION ALL
SELECT 'put aside', NULL, reason, count(*), min(received_at), NULL, NULL, NULL, NULL
  FROM quarantine
 WHERE project_id = %(project)s AND received_at >= %(day_ago)s
 GROUP BY reason
 ORDER BY 1, 4 DESC, 3
"""


@dataclass(frozen=True, slots=True)
class Lag:
    """From the end of calls to their receipt, in milliseconds by two clocks: negative when the sender's is ahead."""

    name: str
    """The application; empty for those that did not say, and for all together."""
    calls: int
    late: int
    """Calls that took longer than LATE; they are in none of the three."""
    p50: int | None
    p95: int | None
    p10: int | None
    """When this is negative, the clock is ahead: one call may have a wrong duration, a tenth of them have not."""


@dataclass(frozen=True, slots=True)
class Arrivals:
    """The calls begun in the last hour, or the newest MOST_CALLS of them."""

    since: datetime
    """No call begun after this is missing."""
    everything: Lag
    apps: Sequence[Lag]
    """By calls, most first."""
    minutes: Mapping[datetime, int]
    """Calls by the minute of their receipt."""
    put_aside: Mapping[str, int]
    """Events of the last day whose time cannot be stored, by reason; most first."""


def arrivals(project_id: int, now: datetime) -> Arrivals:
    with connection.cursor() as cursor:
        cursor.execute(
            _SQL,
            {
                "project": project_id,
                "start": lower_bound(now - LOOKED_BACK),
                "stop": lower_bound(now + CLOCK_TOLERANCE),
                "most": MOST_CALLS,
                "late": LATE // timedelta(milliseconds=1),
                "day_ago": now - timedelta(days=1),
            },
        )
        rows = cursor.fetchall()
    apps = [Lag(name, calls, *lags) for what, _, name, calls, _, *lags in rows if what == "app"]
    [(oldest, everything)] = [
        (since, Lag(name, calls, *lags)) for what, _, name, calls, since, *lags in rows if what == "all"
    ]
    return Arrivals(
        since=oldest if everything.calls == MOST_CALLS else now - LOOKED_BACK,
        everything=everything,
        apps=apps,
        minutes={minute: calls for what, minute, _, calls, *_ in rows if what == "minute"},
        put_aside={reason: calls for what, _, reason, calls, *_ in rows if what == "put aside"},
    )
