"""The watermark: up to when everything that was received is in what is read."""

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from ingest.vocabulary import Grain
from metrics.plan import Piece, hour_horizon, open_day
from metrics.steps import Sql, Steps
from metrics.windows import EPOCH, FOREVER, MICROSECONDS, SPANS, Window, at_microseconds, floor

EVER: Final = Window(EPOCH, FOREVER)


def complete_to(
    project_id: int, *, now: datetime, grain: Grain = Grain.MINUTE, window: Window = EVER
) -> Steps[datetime]:
    """Find the time before which every received call of the window is in what `grain` is read for.

    That is the age of the oldest mark, or now. Buckets that are never read (the last hours, the open day) do not
    count: their calls are read from finer tables. A mark of a finer grain holds back the coarser ones too. Months do
    not count, because one that may lack a day is not read.
    """
    read_until = {Grain.MINUTE: FOREVER, Grain.HOUR: hour_horizon(now), Grain.DAY: open_day(now)}
    if grain is Grain.DAY:
        # After midnight the last hours of a day are in the day, though not read by the hour yet.
        read_until[Grain.HOUR] = max(read_until[Grain.HOUR], read_until[Grain.DAY])
    grains = [each for each in read_until if each <= grain]
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
                [each.value for each in grains],
                [floor(window.start, SPANS[each]) for each in grains],
                [min(window.end, read_until[each]) for each in grains],
                project_id,
            ),
        )
    ]
    marked_at = at_microseconds(oldest)
    return now if marked_at is None else min(marked_at, now)


def of_pieces(project_id: int, pieces: Iterable[Piece], window: Window, *, now: datetime) -> Steps[datetime]:
    """Find the watermark of what is read: that of the coarsest table; the calls themselves are always complete."""
    grains = [piece.table.grain for piece in pieces if piece.table.grain is not None]
    if not grains:
        return now
    return (yield from complete_to(project_id, now=now, grain=max(grains), window=window))
