"""Breaker states: from the changes that clients told, when the calls to a group of models were stopped.

A group is as open as the most open of its clients: if one of them sends nothing, somebody is not served.
"""

import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, NamedTuple
from uuid import UUID

import msgspec

from ingest.vocabulary import BreakerState
from metrics.steps import Sql, Steps
from metrics.windows import Window

# A client that has nothing to send says every half minute that it lives. What it held back ends with it.
SILENT: Final = timedelta(minutes=2)
# How long before a window a breaker may have opened and still be open in it.
BEFORE: Final = timedelta(days=1)
MOST_CHANGES: Final = 2_000

_CHANGES: Final = """
SELECT change."group", json_build_array(change.boot_id, change.at, change.before, change.after, change.reason,
                                        client.last_seen_at)::text
  FROM (SELECT * FROM breaker_transition
         WHERE project_id = %s AND at >= %s AND at < %s
         ORDER BY at DESC
         LIMIT %s) AS change
  LEFT JOIN client_instance client USING (project_id, boot_id)
"""


class Change(NamedTuple):
    """One change of one client's breaker, and when that client was last heard."""

    boot_id: UUID
    group: str
    at: datetime
    before: int
    after: int
    reason: str
    last_seen_at: datetime | None


class Stretch(NamedTuple):
    """A time in which a group was in one state that is not closed."""

    start: datetime
    end: datetime
    state: BreakerState


@dataclass(frozen=True, slots=True)
class Episode:
    """From the moment a group was no longer closed until it was again, or the window ends."""

    group: str
    start: datetime
    end: datetime
    is_over: bool
    clients: int
    """Runs of processes that had a part in it."""
    tries: int
    """How often some calls were let through to find out."""
    reason: str
    """Why it opened, in the client's word; empty when that lies before the window."""
    stretches: tuple[Stretch, ...]

    @property
    def duration(self) -> timedelta:
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class Episodes:
    """What happened in a window, oldest first within each group."""

    groups: dict[str, list[Episode]]
    is_cut: bool
    """Only the newest changes were read; there were more."""


def episodes(project_id: int, window: Window, *, most: int = MOST_CHANGES) -> Steps[Episodes]:
    """Find the episodes of each group of models that was not closed all the time, from the newest changes."""
    values = project_id, window.start - BEFORE, window.end, most + 1
    (rows,) = yield [Sql(_CHANGES, values)]
    changes = sorted((_change(group or "", told or "") for group, told in rows), key=lambda change: change.at)
    return Episodes(told_by(changes[-most:], window), is_cut=len(changes) > most)


def _change(group: str, told: str) -> Change:
    boot_id, at, before, after, reason, seen = msgspec.json.decode(told)
    seen_at = None if seen is None else datetime.fromisoformat(seen)
    return Change(UUID(boot_id), group, datetime.fromisoformat(at), before, after, reason, seen_at)


def told_by(changes: Iterable[Change], window: Window) -> dict[str, list[Episode]]:
    """Return the episodes of each group that follow from changes."""
    of_client: dict[tuple[str, UUID], list[Change]] = defaultdict(list)
    for change in sorted(changes, key=lambda change: change.at):
        of_client[change.group, change.boot_id].append(change)
    pieces: dict[str, list[_Piece]] = defaultdict(list)
    for (group, _), own in of_client.items():
        pieces[group] += _of_client(own, window)
    found = {group: list(_episodes(group, sorted(own), window)) for group, own in sorted(pieces.items())}
    return {group: listed for group, listed in found.items() if listed}


class _Piece(NamedTuple):
    """One client's breaker in one state, not closed, within the window."""

    start: datetime
    end: datetime
    state: BreakerState
    boot_id: UUID
    reason: str
    is_running: bool
    """It was still so when the window ended."""


def _of_client(changes: Sequence[Change], window: Window) -> Iterator[_Piece]:
    first, last = changes[0], changes[-1]
    silent = min((last.last_seen_at or last.at) + SILENT, window.end)
    spans = [(window.start, first.at, first.before, "")]
    spans += [(one.at, two.at, one.after, one.reason) for one, two in itertools.pairwise(changes)]
    spans.append((last.at, max(silent, last.at), last.after, last.reason))
    for start, end, state, reason in spans:
        cut = Window(max(start, window.start), max(min(end, window.end), window.start, start))
        if state != BreakerState.CLOSED and cut.start < cut.end:
            running = end == window.end and start == last.at
            yield _Piece(cut.start, cut.end, BreakerState(state), first.boot_id, reason, running)


def _episodes(group: str, pieces: Sequence[_Piece], window: Window) -> Iterator[Episode]:
    together: list[_Piece] = []
    until = window.start
    for piece in pieces:
        if together and piece.start > until:
            yield _episode(group, together, window)
            together = []
        together.append(piece)
        until = max(until, piece.end)
    if together:
        yield _episode(group, together, window)


def _episode(group: str, pieces: Sequence[_Piece], window: Window) -> Episode:
    return Episode(
        group,
        start=pieces[0].start,
        end=max(piece.end for piece in pieces),
        is_over=not any(piece.is_running and piece.end == window.end for piece in pieces),
        clients=len({piece.boot_id for piece in pieces}),
        tries=sum(piece.state is BreakerState.HALF_OPEN for piece in pieces),
        reason=next((piece.reason for piece in pieces if piece.state is BreakerState.OPEN and piece.reason), ""),
        stretches=tuple(_stretches(pieces)),
    )


def _stretches(pieces: Sequence[_Piece]) -> Iterator[Stretch]:
    """Yield the states of a group: open while one client's breaker is, half open while none is but one tries."""
    edges = sorted({edge for piece in pieces for edge in (piece.start, piece.end)})
    steps = [(at, 1 if begins else -1, piece.state) for piece in pieces for at, begins in _ends(piece)]
    steps.sort(key=lambda step: step[0])
    held = {BreakerState.OPEN: 0, BreakerState.HALF_OPEN: 0}
    place, running = 0, None
    for start, end in itertools.pairwise(edges):
        while place < len(steps) and steps[place][0] <= start:
            held[steps[place][2]] += steps[place][1]
            place += 1
        state = BreakerState.OPEN if held[BreakerState.OPEN] > 0 else BreakerState.HALF_OPEN
        if running is not None and running.state is state:
            running = Stretch(running.start, end, state)
            continue
        if running is not None:
            yield running
        running = Stretch(start, end, state)
    if running is not None:
        yield running


def _ends(piece: _Piece) -> tuple[tuple[datetime, bool], tuple[datetime, bool]]:
    return (piece.start, True), (piece.end, False)
