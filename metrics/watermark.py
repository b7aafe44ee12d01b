"""The watermark: up to when everything that was received is in what is read."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

from django.db import connection

from ingest.vocabulary import Grain
from metrics.plan import Piece, day_horizon, hour_horizon
from metrics.steps import Sql, Steps
from metrics.windows import EPOCH, FOREVER, MICROSECONDS, SPANS, Window, at_microseconds, floor

EVER: Final = Window(EPOCH, FOREVER)
_OF_SCORES: Final = (Grain.SCORE_HOUR, Grain.SCORE_DAY)
GRAINS: Final = (Grain.MINUTE, Grain.HOUR, Grain.DAY, Grain.SCORE_DAY)
"""Those that have a watermark of their own: nobody reads coarser calls, or scores, than these."""


def complete_to(
    project_id: int, *, now: datetime, grain: Grain = Grain.MINUTE, window: Window = EVER
) -> Steps[datetime]:
    """Find the time before which every received call of the window is in what `grain` is read for.

    That is the age of the oldest mark, or now. Buckets that are never read (the last hours, the open day) do not
    count: their calls are read from finer tables. A mark of a finer grain holds back the coarser ones too. Months do
    not count, because one that may lack a day is not read.
    """
    read = [
        (each, Window(floor(window.start, SPANS[each]), min(window.end, until)))
        for each, until in _read_until(grain, now).items()
    ]
    return (yield from _oldest_mark(project_id, read, now=now))


def _oldest_mark(project_id: int, read: Sequence[tuple[Grain, Window]], *, now: datetime) -> Steps[datetime]:
    """Find the age of the oldest mark of these grains in these windows, or now."""
    (((_, oldest),),) = yield [
        Sql(
            f"""
            SELECT NULL::text, {MICROSECONDS.format("min(marked_at)")}
              FROM rollup_dirty
              JOIN unnest(%s::smallint[], %s::timestamptz[], %s::timestamptz[]) AS read (grain, start, stop)
                USING (grain)
             WHERE project_id = %s AND bucket >= start AND bucket < stop
            """,  # noqa: S608 — of a constant
            (
                [grain.value for grain, _ in read],
                [window.start for _, window in read],
                [window.end for _, window in read],
                project_id,
            ),
        )
    ]
    marked_at = at_microseconds(oldest)
    return now if marked_at is None else min(marked_at, now)


def of_pieces(project_id: int, pieces: Iterable[Piece], *, now: datetime) -> Steps[datetime]:
    """Find the watermark of what is read; the calls themselves are always complete."""
    read = [
        (grain, piece.window)
        for piece in pieces
        if piece.table.grain is not None
        for grain in _up_to(piece.table.grain)
    ]
    return (yield from _oldest_mark(project_id, read, now=now)) if read else now


def by_grain(project_id: int, *, now: datetime) -> dict[Grain, datetime]:
    """Return the watermarks of `GRAINS`, as `complete_to` has each, from one look at the marks."""
    read = [(asked, grain, until) for asked in GRAINS for grain, until in _read_until(asked, now).items()]
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT asked, min(marked_at)
              FROM rollup_dirty
              JOIN unnest(%s::smallint[], %s::smallint[], %s::timestamptz[]) AS read (asked, grain, stop) USING (grain)
             WHERE project_id = %s AND bucket < stop
             GROUP BY asked
            """,
            [*(list(column) for column in zip(*read, strict=True)), project_id],
        )
        oldest = dict(cursor.fetchall())
    return {asked: min(oldest.get(asked, now), now) for asked in GRAINS}


def _read_until(asked: Grain, now: datetime) -> dict[Grain, datetime]:
    """Return up to where the buckets of each grain are read when `asked` is the coarsest."""
    until = {
        Grain.MINUTE: FOREVER,
        **dict.fromkeys((Grain.HOUR, Grain.SCORE_HOUR), hour_horizon(now)),
        **dict.fromkeys((Grain.DAY, Grain.SCORE_DAY), day_horizon(now)),
    }
    return {grain: until[grain] for grain in _up_to(asked)}


def _up_to(grain: Grain) -> list[Grain]:
    """Return the grains whose marks hold back what is read of this one: of its own buckets and of finer ones.

    Of scores, those of calls too: one that has yet to be counted may have a score.
    """
    if grain in _OF_SCORES:
        return [Grain.MINUTE, Grain.HOUR, *(each for each in _OF_SCORES if each <= grain)]
    return [each for each in SPANS if each <= grain]
