"""Marks: which buckets of the rollups are out of date, and since when.

Ingest appends one in the transaction that stores the calls, so a mark that can be seen implies calls that can be seen.
It is read, its bucket is recomputed by a later statement, and then exactly the marks that were read are deleted, all in
one transaction: whatever is marked meanwhile has an id that was not read, and stays.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db import connection

from ingest.partitions import lower_bound
from ingest.vocabulary import Grain
from metrics.steps import Sql, Steps
from metrics.windows import MICROSECONDS, SPANS, Window, at_microseconds, floor

# Where marks of a grain lie. A month is marked by the days that it may lack.
_STEPS: Final = SPANS | {Grain.MONTH: SPANS[Grain.DAY]}
_UNITS: Final = {grain: grain.name.lower().removeprefix("score_") for grain in Grain}
# A busy minute can have any number of marks; this many are read at once, with one recomputation for all of one bucket.
MARKS_AT_ONCE: Final = 100_000


@dataclass(frozen=True, slots=True)
class Dirty:
    """One bucket of one project that has marks."""

    project_id: int
    bucket: datetime
    marked_at: datetime
    """The oldest of its marks: calls received before this are in the rollup already."""
    marks: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Run:
    """Buckets of one project that lie side by side, so that one range of ids covers them."""

    project_id: int
    window: Window


def newest(grain: Grain) -> int:
    """Return the id of the newest mark of a grain; work is bounded by it, or a busy ingest would keep it going."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT coalesce(max(id), 0) FROM rollup_dirty WHERE grain = %s", [grain])
        (mark,) = cursor.fetchone()
        return int(mark)


def read(
    grain: Grain, *, up_to: int, buckets: int, before: datetime, unread_from: datetime, settled_before: datetime
) -> list[Dirty]:
    """Return the longest-waiting dirty buckets of a grain, of the marks that lie before a time.

    A bucket that starts at `unread_from` or later is left until its oldest mark is older than `settled_before`.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT project_id, bucket, min(marked_at), array_agg(id)
              FROM (SELECT id, project_id, date_trunc(%s, bucket, 'UTC') AS bucket, marked_at
                      FROM rollup_dirty
                     WHERE grain = %s AND id <= %s AND bucket < %s
                     ORDER BY id
                     LIMIT %s) AS oldest
             GROUP BY project_id, bucket
            HAVING bucket < %s OR min(marked_at) < %s
             ORDER BY min(id)
             LIMIT %s
            """,
            [_UNITS[grain], grain, up_to, before, MARKS_AT_ONCE, unread_from, settled_before, buckets],
        )
        return [Dirty(project, bucket, at, tuple(marks)) for project, bucket, at, marks in cursor.fetchall()]


def delete(grain: Grain, dirty: Iterable[Dirty]) -> None:
    """Delete exactly the marks that were read."""
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM rollup_dirty WHERE grain = %s AND id = ANY(%s)",
            [grain, [mark for each in dirty for mark in each.marks]],
        )


def insert(grain: Grain, dirty: Iterable[Dirty]) -> None:
    """Mark the coarser buckets that these lie in. The marks keep their age, because the watermark is read from it.

    A day is marked for its month once, however often it is recomputed while it is open. Whoever counts months must be
    kept out meanwhile, or the mark that is already there could be one that is just being used up.
    """
    oldest: dict[tuple[int, datetime], datetime] = {}
    for each in dirty:
        key = each.project_id, floor(each.bucket, _STEPS[grain])
        oldest[key] = min(oldest.get(key, each.marked_at), each.marked_at)
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO rollup_dirty (project_id, bucket, marked_at, grain)
            SELECT project_id, bucket, marked_at, %s
              FROM unnest(%s::int[], %s::timestamptz[], %s::timestamptz[]) AS mark (project_id, bucket, marked_at)
             WHERE %s OR (project_id, bucket) NOT IN (SELECT project_id, bucket FROM rollup_dirty WHERE grain = %s)
            """,
            [
                grain,
                [project for project, _ in oldest],
                [bucket for _, bucket in oldest],
                list(oldest.values()),
                grain is not Grain.MONTH,
                grain,
            ],
        )


def insert_where_scored(dirty: Iterable[Dirty]) -> None:
    """Mark those of these hours for their scores that have some, or had. The marks keep their age.

    A score may be there before its call. Its own mark was used up then, so the call brings another.
    """
    hours = list(dirty)
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO rollup_dirty (project_id, bucket, marked_at, grain)
            SELECT project_id, bucket, marked_at, %s
              FROM unnest(%s::int[], %s::timestamptz[], %s::timestamptz[], %s::uuid[], %s::uuid[])
                   AS hour (project_id, bucket, marked_at, first, stop)
             WHERE EXISTS (SELECT FROM score
                            WHERE score.project_id = hour.project_id AND call_id >= first AND call_id < stop)
                OR EXISTS (SELECT FROM score_cube_hour
                            WHERE score_cube_hour.project_id = hour.project_id AND score_cube_hour.bucket = hour.bucket)
            """,
            [
                Grain.SCORE_HOUR,
                [each.project_id for each in hours],
                [each.bucket for each in hours],
                [each.marked_at for each in hours],
                [lower_bound(each.bucket) for each in hours],
                [lower_bound(each.bucket + SPANS[Grain.SCORE_HOUR]) for each in hours],
            ],
        )


def first_day_lacking(project_id: int, window: Window) -> Steps[datetime | None]:
    """Find the first day of a window that its month may lack, or None; the days themselves know it already."""
    (((_, day),),) = yield [
        Sql(
            f"""
            SELECT NULL::text, {MICROSECONDS.format("min(bucket)")}
              FROM rollup_dirty
             WHERE grain = %s AND project_id = %s AND bucket >= %s AND bucket < %s
            """,  # noqa: S608 — of a constant
            (Grain.MONTH.value, project_id, window.start, window.end),
        )
    ]
    return at_microseconds(day)


def runs(dirty: Sequence[Dirty], grain: Grain, *, longest: int) -> list[Run]:
    """Join neighbouring buckets of a project into runs of at most `longest` buckets."""
    span = SPANS[grain]
    found: list[Run] = []
    for project, bucket in sorted((each.project_id, each.bucket) for each in dirty):
        last = found[-1] if found else None
        follows = last is not None and last.project_id == project and last.window.end == bucket
        if last is not None and follows and last.window.duration < longest * span:
            found[-1] = Run(project, Window(last.window.start, bucket + span))
        else:
            found.append(Run(project, Window(bucket, bucket + span)))
    return found
