"""The strip of breaker states: one bar per group of models, coloured where calls were stopped or only tried."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Final

from dashboard.breakers import WORDS
from dashboard.drawing import Drawn
from dashboard.errors import numbers
from dashboard.look import Look, Need
from dashboard.tables import Column, Table
from ingest.vocabulary import BreakerState
from metrics import units
from metrics.breaker_states import MOST_CHANGES, Episode
from metrics.units import Unit
from metrics.windows import Window

# So many places a bar has: a stretch shorter than one is shown as long as one.
PLACES: Final = 240
MOST_GROUPS: Final = 6
MOST_ROWS: Final = 200
_CLASSES: Final = {BreakerState.OPEN: "bad", BreakerState.HALF_OPEN: "warn"}


@dataclass(frozen=True, slots=True)
class Segment:
    """Places from `x` on in one colour."""

    x: int
    width: int
    tone: str


@dataclass(frozen=True, slots=True)
class Strip:
    name: str
    words: str
    segments: Sequence[Segment]


@dataclass(frozen=True, slots=True)
class Strips:
    """The bars, and the times they begin and end at."""

    strips: Sequence[Strip]
    start: datetime
    end: datetime
    template: str = "dashboard/_strips.html"
    places: int = PLACES


@dataclass(frozen=True)
class BreakerStrip:
    """When the breakers of clients stopped calls, by group of models."""

    key: str = "breakers"
    title: str = "Breakers"
    width: str = "half"
    needs: Sequence[Need] = ()

    def draw(self, look: Look) -> Drawn:
        found = numbers.episodes(look)
        listed = sorted((one for own in found.groups.values() for one in own), key=lambda one: one.start, reverse=True)
        table = _table(listed[:MOST_ROWS])
        if not listed:
            return Drawn("Every breaker was closed all the time: no client held calls back.", table, is_good_news=True)
        longest = sorted(found.groups.items(), key=lambda one: (-_held(one[1]), one[0]))
        window = look.window
        strips = [Strip(group, words(own), segments(own, window)) for group, own in longest[:MOST_GROUPS]]
        takeaway = _takeaway(longest, has_filters=look.query.has_filters or look.query.environment != "")
        if found.is_cut:
            takeaway += f" Only the newest {units.count(MOST_CHANGES)} changes were read."
        return Drawn(takeaway, table, extra=Strips(strips, window.start, window.end))


def words(own: Sequence[Episode]) -> str:
    """Return how long a group was held back, and how often."""
    times = {1: "once", 2: "twice"}.get(len(own), f"{len(own):,} times")
    running = "" if own[-1].is_over else ", now too"
    return f"{units.duration(_held(own) // timedelta(milliseconds=1))}, {times}{running}"


def segments(own: Sequence[Episode], window: Window) -> list[Segment]:
    """Return the coloured runs of a bar; a place is as red as the worst in it."""
    worst = [BreakerState.CLOSED] * PLACES
    for stretch in (stretch for episode in own for stretch in episode.stretches):
        first = _place(stretch.start, window)
        for place in range(first, max(_place(stretch.end, window, is_end=True), first + 1)):
            if worst[place] is not BreakerState.OPEN:
                worst[place] = stretch.state
    found, x = [], 0
    for state, run in groupby(worst):
        width = len(list(run))
        if state is not BreakerState.CLOSED:
            found.append(Segment(x, width, _CLASSES[state]))
        x += width
    return found


def _place(at: datetime, window: Window, *, is_end: bool = False) -> int:
    passed = PLACES * (at - window.start)
    place = -(-passed // window.duration) if is_end else passed // window.duration
    return min(max(place, 0), PLACES if is_end else PLACES - 1)


def _held(own: Sequence[Episode]) -> timedelta:
    return sum((episode.duration for episode in own), timedelta())


def _takeaway(longest: Sequence[tuple[str, Sequence[Episode]]], *, has_filters: bool) -> str:
    group, own = longest[0]
    text = f"Calls to {group} were held back longest: {words(own)}."
    if len(longest) > MOST_GROUPS:
        text += f" The numbers below have {len(longest) - MOST_GROUPS} more groups of models."
    return f"{text} Breakers know no filters: this is about the whole project." if has_filters else text


def _table(listed: Sequence[Episode]) -> Table:
    columns = (
        *(Column("Models"), Column("From (UTC)", is_time=True), Column("To (UTC)", is_time=True)),
        *(Column("Held back", Unit.MILLISECONDS), Column("Tries", Unit.COUNT), Column("Clients", Unit.COUNT)),
        Column("Why"),
    )
    return Table(columns, tuple(_values(one) for one in listed))


def _values(one: Episode) -> tuple[object, ...]:
    end = one.end.astimezone(UTC) if one.is_over else None
    held = one.duration // timedelta(milliseconds=1)
    return one.group, one.start, end, held, one.tries, one.clients, WORDS.get(one.reason, one.reason)
