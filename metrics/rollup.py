"""Rollup — step 5 of 8: calls become facts per minute, hour and day.

Nothing is ever added up in place. A bucket with marks is recomputed whole from the calls, in one transaction with the
deletion of the marks that were read. So duplicates, late calls, replays and a crash between any two steps leave totals
that equal the calls exactly: either the transaction committed, or the marks are still there.

A user's month is made of days that are over. Each day that was recomputed is marked for its month, and the mark is read
once the day is over. A month none of whose days has a mark is the sum of its days; only such a month is read.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any, Final

from django.db import connection, transaction

from ingest.partitions import kept_from, lower_bound, partitions, storable
from ingest.vocabulary import Grain
from metrics import failure_sql, limit_sql, marks, rollup_sql, score_sql
from metrics.marks import Dirty, Run
from metrics.plan import open_day, open_month
from metrics.pools import numbers
from metrics.windows import FOREVER, SPANS, Window, ceil, floor
from projects.models import Project

# Of the lease a run holds (config.jobs), in seconds: what is not done by then is left to the next run.
MINUTES_BUDGET: Final = 96
HOURS_BUDGET: Final = 480
# The open day and the open month change all the time. Their rows are read only once they are over, so they are
# recomputed this often at most.
UNREAD_SETTLES: Final = timedelta(minutes=5)
# One recomputation at a time per grain: an older snapshot must not overwrite a newer result. The number is arbitrary.
LOCK_SPACE: Final = 0x6D65


@dataclass(frozen=True, slots=True)
class _Level:
    """How the buckets of one grain are recomputed."""

    grain: Grain
    recompute: Callable[[Sequence[Dirty], datetime], None]
    buckets: int
    """Buckets per transaction; a bound on how much work a crash can undo."""
    coarser: Grain | None


def roll_up_minutes(*, now: datetime) -> int:
    """Recompute every minute that has marks, the open one included. Returns the number of buckets recomputed."""
    return _drain((_MINUTES,), now=now, seconds=MINUTES_BUDGET)


def roll_up_hours(*, now: datetime) -> int:
    """Recompute every hour that has marks, then the days and months. Returns the number of buckets recomputed.

    Those of scores are counted apart: a score may come weeks after its call, and changes nothing else of its hour.
    """
    return _drain((_HOURS, _DAYS, _MONTHS, _SCORE_HOURS, _SCORE_DAYS), now=now, seconds=HOURS_BUDGET)


def rebuild(project_id: int | None, window: Window, *, now: datetime) -> int:
    """Mark the whole window, for one project or for all; the periodic work then recomputes it. Returns the marks made.

    Run it in the transaction that changed the calls. Days whose calls are already dropped are left as they are.
    """
    hours = Window(floor(window.start, SPANS[Grain.HOUR]), ceil(window.end, SPANS[Grain.HOUR]))
    first_kept, _ = storable(now)
    hours = Window(min(max(hours.start, first_kept), hours.end), hours.end)
    minutes_from = min(max(hours.start, kept_from("facet_minute", now)), hours.end)
    projects = [project_id] if project_id is not None else list(Project.objects.values_list("id", flat=True))
    dirty = {
        Grain.HOUR: Window(hours.start, minutes_from).buckets(Grain.HOUR),
        Grain.MINUTE: Window(minutes_from, hours.end).buckets(Grain.MINUTE),
    }
    for grain, buckets in dirty.items():
        marks.insert(grain, (Dirty(project, bucket, now, ()) for project in projects for bucket in buckets))
    return len(projects) * sum(len(buckets) for buckets in dirty.values())


def _drain(levels: Sequence[_Level], *, now: datetime, seconds: float) -> int:
    deadline = monotonic() + seconds
    done = 0
    for level in levels:
        newest = marks.newest(level.grain)
        while monotonic() < deadline and (buckets := _pass(level, up_to=newest, now=now)):
            done += buckets
    return done


def _pass(level: _Level, *, up_to: int, now: datetime) -> int:
    """Recompute some buckets in one transaction; 0 when there are none, or somebody else is at it."""
    with transaction.atomic():
        # Days and months take turns: a day is marked for its month only where it has no mark yet (marks.insert).
        if not _claim(Grain.DAY if level.grain is Grain.MONTH else level.grain):
            return 0
        dirty = marks.read(
            level.grain,
            up_to=up_to,
            buckets=level.buckets,
            # An open day is not in its month. Its mark waits until the day is over, and so do the calls it stands for.
            before=open_day(now) if level.grain is Grain.MONTH else FOREVER,
            unread_from=_unread_from(level.grain, now),
            settled_before=now - UNREAD_SETTLES,
        )
        if not dirty:
            return 0
        marks.delete(level.grain, dirty)
        level.recompute(dirty, now)
        if level.coarser is not None:
            marks.insert(level.coarser, dirty)
        return len(dirty)


def _unread_from(grain: Grain, now: datetime) -> datetime:
    if grain in (Grain.DAY, Grain.SCORE_DAY):
        return open_day(now)
    return open_month(now) if grain is Grain.MONTH else FOREVER


def _claim(grain: Grain) -> bool:
    with connection.cursor() as cursor:
        # The marks and the calls must be read by snapshots of their own, in this order. The planner knows nothing of
        # the sizes between the steps of a rollup, and a nested loop is the one plan that ruins it.
        cursor.execute(
            """
            SET LOCAL enable_nestloop = off;
            SET LOCAL work_mem = '64MB';
            SET LOCAL jit = off;
            SET LOCAL statement_timeout = 0
            """
        )
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s, %s)", [LOCK_SPACE, grain])
        (claimed,) = cursor.fetchone()
        return bool(claimed)


def _recompute_minutes(dirty: Sequence[Dirty], now: datetime) -> None:
    kept = kept_from("facet_minute", now)
    # Older minutes would be dropped again within the hour; the hours know them.
    for run in marks.runs([each for each in dirty if each.bucket >= kept], Grain.MINUTE, longest=60):
        _replace(run, ("facet_minute",), rollup_sql.facet_minute())
        _replace(run, ("failure_minute",), failure_sql.failure_minute())
    kept = kept_from("limit_minute", now)
    for run in marks.runs([each for each in dirty if each.bucket >= kept], Grain.MINUTE, longest=60):
        pools = numbers(run.project_id)
        _replace(run, ("limit_minute",), limit_sql.limit_minute(), models=list(pools), pools=list(pools.values()))


def _recompute_hours(dirty: Sequence[Dirty], _: datetime) -> None:
    for run in marks.runs(dirty, Grain.HOUR, longest=6):
        _replace(run, ("facet_hour", "cube_hour"), rollup_sql.facet_and_cube_hour())
        _replace(run, ("failure_hour",), failure_sql.failure_hour())
    marks.insert_where_scored(dirty)


def _recompute_days(dirty: Sequence[Dirty], _: datetime) -> None:
    with_calls = {partition.day for partition in partitions("request_log")}
    for run in marks.runs(dirty, Grain.DAY, longest=1):
        _replace(run, ("facet_day",), rollup_sql.facet_day())
        _replace(run, ("cube_day",), rollup_sql.cube_day())
        _replace(run, ("failure_day",), failure_sql.failure_day())
        # There are no hours by user: a day whose calls are gone cannot be counted again.
        if run.window.start.astimezone(UTC).date() in with_calls:
            _replace(run, ("user_day",), rollup_sql.user_day())


def _recompute_months(dirty: Sequence[Dirty], _: datetime) -> None:
    with connection.cursor() as cursor:
        for each in dirty:
            of_month: dict[str, Any] = {"project": each.project_id, "month": each.bucket.date()}
            cursor.execute("DELETE FROM user_month WHERE project_id = %(project)s AND bucket = %(month)s", of_month)
            cursor.execute(rollup_sql.user_month(), of_month)


def _recompute_score_hours(dirty: Sequence[Dirty], _: datetime) -> None:
    for run in marks.runs(dirty, Grain.SCORE_HOUR, longest=6):
        _replace(run, ("score_hour",), score_sql.score_hour())
        _replace(run, ("score_cube_hour",), score_sql.score_cube_hour())


def _recompute_score_days(dirty: Sequence[Dirty], _: datetime) -> None:
    for run in marks.runs(dirty, Grain.SCORE_DAY, longest=1):
        _replace(run, ("score_cube_day",), score_sql.score_cube_day())


def _replace(run: Run, tables: Sequence[str], insert: str, **more: Any) -> None:
    values: dict[str, Any] = {
        "project": run.project_id,
        "start": run.window.start,
        "stop": run.window.end,
        "first": lower_bound(run.window.start),
        "end": lower_bound(run.window.end),
        **more,
    }
    with connection.cursor() as cursor:
        for table in tables:
            cursor.execute(rollup_sql.delete(table), values)
        cursor.execute(insert, values)


_MINUTES: Final = _Level(Grain.MINUTE, _recompute_minutes, buckets=600, coarser=Grain.HOUR)
_HOURS: Final = _Level(Grain.HOUR, _recompute_hours, buckets=24, coarser=Grain.DAY)
_DAYS: Final = _Level(Grain.DAY, _recompute_days, buckets=2, coarser=Grain.MONTH)
_MONTHS: Final = _Level(Grain.MONTH, _recompute_months, buckets=2, coarser=None)
_SCORE_HOURS: Final = _Level(Grain.SCORE_HOUR, _recompute_score_hours, buckets=24, coarser=Grain.SCORE_DAY)
_SCORE_DAYS: Final = _Level(Grain.SCORE_DAY, _recompute_score_days, buckets=2, coarser=None)
