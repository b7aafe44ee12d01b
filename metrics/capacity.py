# ruff: noqa: S608 — the SQL is put together from declarations below, values are parameters
"""Capacity: how the application's own processes stand, as they last told it: limiters, queues and breakers by group."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final

from django.db import connection

from metrics.limit_sql import LIMITERS

SILENT: Final = timedelta(minutes=2)
"""A client that has nothing to send says every half minute that it lives."""
# Clients name the groups, and a hostile one as many as it likes.
MOST_GROUPS: Final = 12


@dataclass(frozen=True, slots=True)
class Stand:
    """One group of models, over all processes that spoke lately. None: no process says."""

    group: str
    processes: int
    stopped: int
    """Processes whose breaker lets nothing through, or only a few calls to find out."""
    in_flight: int | None
    waiting: int | None
    concurrency: int | None
    """Calls that may be under way at once, all processes together."""
    left: Mapping[str, Fraction]
    """What is left in the limiters' own buckets, as a share, by limiter as far as they are known."""


@dataclass(frozen=True, slots=True)
class Capacity:
    processes: int
    """That spoke lately, with or without a limiter."""
    groups: int
    """All there are; more than `stands` has where there are too many to list."""
    stands: tuple[Stand, ...]
    """Those in which most calls wait first."""

    @property
    def waiting(self) -> int | None:
        """Return the calls that wait in the listed groups; None when no process says."""
        known = [stand.waiting for stand in self.stands if stand.waiting is not None]
        return sum(known) if known else None


def capacity(project_id: int, *, now: datetime) -> Capacity:
    """Return what the processes said that spoke within `SILENT` before now."""
    values: dict[str, Any] = {"project": project_id, "seen": now - SILENT, "most": MOST_GROUPS}
    with connection.cursor() as cursor:
        cursor.execute(_STANDS, values)
        rows = cursor.fetchall()
    return Capacity(rows[0][0], rows[0][1], tuple(_stand(row[2:]) for row in rows if row[2] is not None))


def _stand(row: tuple[Any, ...]) -> Stand:
    group, processes, stopped, in_flight, waiting, concurrency, *buckets = row
    pairs = zip(LIMITERS, buckets[::2], buckets[1::2], strict=True)
    left = {name: Fraction(level) / Fraction(limit) for name, level, limit in pairs if level is not None and limit}
    return Stand(group, processes, stopped, _whole(in_flight), _whole(waiting), _whole(concurrency), left)


def _whole(value: Decimal | None) -> int | None:
    return None if value is None else int(value)


def _number(*path: str) -> str:
    """A number inside a guard that is at least nought; whatever else a client puts there is unknown."""
    place = ",".join(path)
    is_number = f"jsonb_typeof(guard #> '{{{place}}}') = 'number'"
    return f"CASE WHEN {is_number} THEN greatest((guard #>> '{{{place}}}')::numeric, 0) END"


def _bucket(limiter: str) -> str:
    """Level and limit of a bucket, of the processes that tell both: in debt it counts as empty, and never overfull."""
    limit, level = (_number("limiter", "buckets", limiter, what) for what in ("limit", "level"))
    both = f"FILTER (WHERE {level} IS NOT NULL AND {limit} IS NOT NULL)"
    return f"sum(least({level}, {limit})) {both} AS {limiter}_level, sum({limit}) {both} AS {limiter}_limit"


_STANDS: Final = f"""
WITH client AS (
  SELECT guards FROM client_instance WHERE project_id = %(project)s AND last_seen_at >= %(seen)s),
stand AS (
  SELECT name, count(*) AS processes,
         count(*) FILTER (WHERE guard ->> 'breaker' IN ('open', 'half_open')) AS stopped,
         sum({_number("limiter", "in_flight")}) AS in_flight,
         sum({_number("limiter", "waiting")}) AS waiting,
         sum({_number("limiter", "concurrency")}) AS concurrency,
         {", ".join(_bucket(limiter) for limiter in LIMITERS)}
    FROM client CROSS JOIN jsonb_each(guards) AS told (name, guard)
   GROUP BY name)
SELECT (SELECT count(*) FROM client), (SELECT count(*) FROM stand), stand.*
  FROM (SELECT 1) AS one LEFT JOIN stand ON true
 ORDER BY waiting DESC NULLS LAST, processes DESC, name
 LIMIT %(most)s"""
