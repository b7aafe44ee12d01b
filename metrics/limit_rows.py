# ruff: noqa: S608 — names of columns come from declarations in this package, values are parameters
"""The SQL that reads `limit_minute`. Every read is bounded by a window, and costs the same whatever the traffic."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any, Final, NamedTuple

from django.db import connection

from ingest.vocabulary import ErrorCategory
from metrics.facets import FACETS
from metrics.limit_sql import LIMITERS, REFUSALS, WHOLE
from metrics.steps import Sql, Steps
from metrics.windows import MICROSECONDS, Window, at_microseconds

REFUSED: Final = (*REFUSALS, "own_refusals")
"""Kinds of refusal: three of the provider, and our own limiter's."""
# So much times a million still fits the integers of the database.
MOST_USED: Final = 9 * 10**12
_BY_ERROR: Final = next(facet.number for facet in FACETS if facet.dimension == "error")
_USED: Final = {"requests": "attempts", "input": "input_tokens", "output": "output_tokens"}


class Pool(NamedTuple):
    """Calls that draw on the same limits."""

    group: str
    number: int
    is_fast: bool


class Share(NamedTuple):
    """The part of a limit used in a minute, or the largest of several minutes; None is unknown."""

    told: Fraction | None = None
    """By the headers of the answers."""
    counted: Fraction | None = None
    """By the calls recorded here."""

    @property
    def larger(self) -> Fraction | None:
        return max((one for one in self if one is not None), default=None)


class Headers(NamedTuple):
    """What the newest answer said of one limit."""

    at: datetime
    limit: int
    remaining: int


@dataclass(frozen=True, slots=True)
class Refusals:
    """What was turned away, and what waited."""

    counts: Mapping[str, int]
    """By kind (`REFUSED`). Of the provider: attempts, those that were tried again included. Our own: calls."""
    waits: int = 0
    """Calls that waited in the client for their turn."""
    wait_ms: int = 0
    longest_wait_ms: int = 0

    @property
    def by_provider(self) -> int:
        return sum(self.counts[kind] for kind in REFUSALS)

    def __add__(self, other: "Refusals") -> "Refusals":
        return Refusals(
            {kind: self.counts[kind] + other.counts[kind] for kind in REFUSED},
            self.waits + other.waits,
            self.wait_ms + other.wait_ms,
            max(self.longest_wait_ms, other.longest_wait_ms),
        )


NOTHING: Final = Refusals(dict.fromkeys(REFUSED, 0))


class Bin(NamedTuple):
    """What one pool did in one bucket: the fullest minute of it by limiter, and the refusals."""

    shares: Mapping[str, Share]
    refusals: Refusals


Bins = dict[tuple[int, datetime], Bin]
"""By pool and start of the bucket."""


class Rows:
    """The minutes of one project's pools, of one environment or all (0). Pools are told apart by their place."""

    def __init__(self, project_id: int, pools: Sequence[Pool], environment_id: int) -> None:
        self._count = len(pools)
        self._values: dict[str, Any] = {
            "numbers": [pool.number for pool in pools],
            "fasts": [pool.is_fast for pool in pools],
            "project": project_id,
            "environment": environment_id,
        }

    def newest(self, window: Window) -> dict[tuple[int, str], Headers]:
        """Return the newest headers in the window, by pool and limiter: one look into the index for each pool."""
        columns = [f"{limiter}_{what}" for limiter in LIMITERS for what in ("at", "limit", "remaining")]
        sql = f"""
            SELECT place, newest.*
              FROM {_POOLS}
             CROSS JOIN LATERAL (
                   SELECT {", ".join(columns)}
                     FROM limit_minute
                    WHERE {_OF_POOL} AND bucket >= %(start)s AND bucket < %(stop)s
                      AND num_nonnulls(requests_limit, input_limit, output_limit) > 0
                    ORDER BY bucket DESC
                    LIMIT 1) AS newest"""
        found: dict[tuple[int, str], Headers] = {}
        for place, *values in self._ask(sql, start=window.start, stop=window.end):
            for number, limiter in enumerate(LIMITERS):
                at, limit, remaining = values[3 * number : 3 * number + 3]
                if at is not None:
                    found[place - 1, limiter] = Headers(at, limit, remaining)
        return found

    def bins(
        self, minutes: Window, range_: Window, step: timedelta, known: Mapping[tuple[int, str], int]
    ) -> tuple[Bins, Bins]:
        """Return what there was in each of some minutes, and in each bucket of a range.

        Use is counted against the limit of its own minute, or the `known` one where no answer of it told any.
        """
        shares = ", ".join(f"max({limiter}_peak), max({_counted(limiter)})" for limiter in LIMITERS)
        sums = ", ".join(f"sum({name})" for name in (*REFUSED, "waits", "wait_ms"))
        sql = " UNION ALL ".join(
            f"""
            SELECT {is_minute}, place, {start}, {shares}, {sums}, max(longest_wait_ms)
              FROM {_POOLS}
              JOIN unnest(%(requests)s::bigint[], %(input)s::bigint[], %(output)s::bigint[]) WITH ORDINALITY
                   AS known (requests_known, input_known, output_known, place) USING (place)
             CROSS JOIN LATERAL (
                   SELECT * FROM limit_minute WHERE {_OF_POOL} AND bucket >= %({name})s AND bucket < %({name}_stop)s
                   ) AS minute
             GROUP BY 2, 3"""
            for is_minute, name, start in (
                (True, "minutes", "bucket"),
                (False, "range", "date_bin(%(step)s, bucket, 'epoch')"),
            )
        )
        limits = {limiter: [known.get((place, limiter)) for place in range(self._count)] for limiter in LIMITERS}
        windows = {"minutes": minutes.start, "minutes_stop": minutes.end} | {
            "range": range_.start,
            "range_stop": range_.end,
        }
        found: tuple[Bins, Bins] = {}, {}
        for is_minute, place, start, *values in self._ask(sql, step=step, **windows, **limits):
            found[0 if is_minute else 1][place - 1, start] = _bin(values)
        return found

    def _ask(self, sql: str, **values: Any) -> list[tuple[Any, ...]]:
        if self._count == 0:
            return []
        with connection.cursor() as cursor:
            cursor.execute(sql, self._values | values)
            return list(cursor.fetchall())


def spend_limit_at(project_id: int, environment_id: int, since: datetime) -> Steps[datetime | None]:
    """Find when a call last ended at the provider's spend limit: the minute, or the hour where that is older."""
    at = f"""greatest(
               (SELECT max(bucket) FROM limit_minute
                 WHERE project_id = %s AND environment_id = %s AND bucket >= %s AND spend_limits > 0),
               (SELECT max(bucket) FROM facet_hour
                 WHERE project_id = %s AND environment_id = %s AND bucket >= %s AND facet = {_BY_ERROR:d}
                   AND key = {ErrorCategory.SPEND_LIMIT:d}))"""
    values = (project_id, environment_id, since) * 2
    (((_, found),),) = yield [Sql(f"SELECT NULL::text, {MICROSECONDS.format(at)}", values)]
    return at_microseconds(found)


def provider_limits() -> Steps[dict[tuple[str, str], tuple[int, datetime]]]:
    """Find what the Rate Limits API said, and when, by group and limiter."""
    table = (
        f"""SELECT limiter || ' ' || "group", value || ' ' || {MICROSECONDS.format("read_at")} FROM provider_limit"""
    )
    (rows,) = yield [Sql(table)]
    found = {}
    for key, rest in rows:
        limiter, _, group = (key or "").partition(" ")
        value, _, read_at = (rest or "").partition(" ")
        at = at_microseconds(read_at)
        assert at is not None  # the column has a time in every row
        found[group, limiter] = int(value), at
    return found


def _counted(limiter: str) -> str:
    """What was used in a minute, in millionths of the limit. Only made-up calls use more than the bound."""
    limit = f"nullif(coalesce({limiter}_limit, {limiter}_known), 0)"
    return f"least({_USED[limiter]}, {MOST_USED}) * {WHOLE} / {limit}"


_POOLS: Final = "unnest(%(numbers)s::int[], %(fasts)s::boolean[]) WITH ORDINALITY AS pool (pool_id, is_fast, place)"
_OF_POOL: Final = (
    "project_id = %(project)s AND environment_id = %(environment)s"
    " AND limit_minute.pool_id = pool.pool_id AND limit_minute.is_fast = pool.is_fast"
)


def _bin(values: Sequence[int | None]) -> Bin:
    shares = {
        limiter: Share(_share(values[2 * number]), _share(values[2 * number + 1]))
        for number, limiter in enumerate(LIMITERS)
    }
    *counts, waits, wait_ms, longest = [int(value or 0) for value in values[2 * len(LIMITERS) :]]
    return Bin(shares, Refusals(dict(zip(REFUSED, counts, strict=True)), waits, wait_ms, longest))


def _share(millionths: int | None) -> Fraction | None:
    return None if millionths is None else Fraction(millionths, WHOLE)
