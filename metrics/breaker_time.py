"""Breaker time: how long the calls to a group of models were stopped, as a metric.

A group is open while one client's breaker is (`metrics.breaker_states`), and a project while one of its groups is. So a
whole is no sum of its parts, which may be open at once. Half open is not open: some calls are let through.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from ingest.model_groups import group_of
from ingest.partitions import kept_from
from ingest.vocabulary import BreakerState
from metrics.breaker_states import Episode, episodes
from metrics.plan import WindowTooWideError
from metrics.readings import Breakdown, Part, Reading, Series
from metrics.slices import OTHER, Dimension, Slice
from metrics.steps import Steps
from metrics.windows import Window

MOST_CHANGES: Final = 20_000
_MILLISECOND: Final = timedelta(milliseconds=1)


class _Line(NamedTuple):
    """One group, or several together."""

    name: str
    episodes: Sequence[Episode]


def values(metric: str, window: Window, slice_: Slice, *, now: datetime) -> Steps[dict[str, Reading]]:
    """Find how long a breaker was open, in milliseconds; the sample is how often one opened."""
    found = yield from _found(window, slice_, now)
    return {metric: _reading(metric, _all(found), now)}


def series(
    metric: str, window: Window, slice_: Slice, *, bucket: timedelta, by: Dimension | None, top: int, now: datetime
) -> Steps[dict[str, tuple[Series, ...]]]:
    """Find the same over time; with `by` the groups that were open longest, and the rest together."""
    found = yield from _found(window, slice_, now)
    if by is None:
        lines = [_Line("", _all(found))]
    else:
        largest, rest = _ranked(found, top)
        lines = [*largest, *([_Line(OTHER, rest)] if rest else [])]
    starts = tuple(window.buckets(bucket))
    return {metric: tuple(_series(metric, line, starts, bucket, now) for line in lines)}


def breakdown(
    metric: str, dimension: Dimension, window: Window, slice_: Slice, *, top: int, now: datetime
) -> Steps[Breakdown]:
    """Find the groups that were open longest."""
    found = yield from _found(window, slice_, now)
    largest, rest = _ranked(found, top)

    def part(line: _Line) -> Part:
        return Part(line.name, {metric: _reading(metric, line.episodes, now)})

    return Breakdown(
        dimension,
        tuple(part(line) for line in largest),
        part(_Line(OTHER, rest)) if rest else None,
        part(_Line("", _all(found))),
        now,
    )


def _found(window: Window, slice_: Slice, now: datetime) -> Steps[Mapping[str, Sequence[Episode]]]:
    """Find the episodes of the groups that are meant. Raises WindowTooWideError."""
    kept = kept_from("request_log", now)
    if window.start < kept:
        raise WindowTooWideError(f"changes of breakers are kept since {kept:%-d %B %Y}: ask for a shorter window")
    found = yield from episodes(slice_.project_id, window.until(now), most=MOST_CHANGES)
    if found.is_cut:
        raise WindowTooWideError(f"breakers changed more than {MOST_CHANGES:,} times: ask for a shorter window")
    wanted = {slice_.model, group_of(slice_.model)}
    return {group: listed for group, listed in found.groups.items() if not slice_.model or group in wanted}


def _all(found: Mapping[str, Sequence[Episode]]) -> list[Episode]:
    return [episode for listed in found.values() for episode in listed]


def _ranked(found: Mapping[str, Sequence[Episode]], top: int) -> tuple[list[_Line], list[Episode]]:
    lines = sorted(
        (_Line(group, listed) for group, listed in found.items()), key=lambda line: (-_open(line.episodes), line.name)
    )
    return lines[:top], [episode for line in lines[top:] for episode in line.episodes]


def _reading(metric: str, listed: Sequence[Episode], now: datetime) -> Reading:
    return Reading(metric, _open(listed), sum(any(_spans([one])) for one in listed), now, 0)


def _open(listed: Iterable[Episode]) -> int:
    return sum((end - start for start, end in _spans(listed)), timedelta()) // _MILLISECOND


def _spans(listed: Iterable[Episode]) -> Iterator[tuple[datetime, datetime]]:
    """Yield the times in which at least one was open, in order and apart from each other."""
    stretches = sorted(
        (stretch.start, stretch.end)
        for episode in listed
        for stretch in episode.stretches
        if stretch.state is BreakerState.OPEN
    )
    running: tuple[datetime, datetime] | None = None
    for start, end in stretches:
        if running is not None and start <= running[1]:
            running = running[0], max(running[1], end)
            continue
        if running is not None:
            yield running
        running = start, end
    if running is not None:
        yield running


def _series(metric: str, line: _Line, starts: Sequence[datetime], step: timedelta, now: datetime) -> Series:
    open_for, opened = [timedelta()] * len(starts), [0] * len(starts)
    for place, shared in _shared(_spans(line.episodes), starts, step):
        open_for[place] += shared
    for episode in line.episodes:
        for place in {place for place, _ in _shared(_spans([episode]), starts, step)}:
            opened[place] += 1
    begun = [start < now for start in starts]
    return Series(
        metric,
        line.name,
        tuple(starts),
        step,
        tuple(span // _MILLISECOND if has_begun else None for span, has_begun in zip(open_for, begun, strict=True)),
        tuple(opened),
        now,
    )


def _shared(
    spans: Iterable[tuple[datetime, datetime]], starts: Sequence[datetime], step: timedelta
) -> Iterator[tuple[int, timedelta]]:
    """Yield which buckets share how much time with the spans."""
    for start, end in spans:
        place = bisect_right(starts, start) - 1
        while place < len(starts) and starts[place] < end:
            yield place, min(end, starts[place] + step) - max(start, starts[place])
            place += 1
