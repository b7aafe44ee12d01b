"""The System page: can I trust these numbers?"""

from collections.abc import Sequence
from datetime import UTC, timedelta
from fractions import Fraction
from typing import Final

from dashboard.look import Look
from dashboard.page import Answer, Page
from dashboard.system import panels
from dashboard.system.panels import StandingPanel
from dashboard.system.standing import (
    ARRIVALS,
    COVERAGE,
    MIGRATIONS,
    OUTBOX,
    ROOM,
    SENDERS,
    WATERMARKS,
    WORK,
    Unreachable,
    span,
    standing,
)
from dashboard.tiles import Tile
from ingest import room
from ingest.vocabulary import Grain
from metrics import units

MOST_DETAILS: Final = 3


def answer(look: Look) -> Answer:
    """Say that all is well, or the worst of what is not, with the next ones below it."""
    found = standing(look).findings()
    if found:
        worst, rest = found[0], found[1:]
        detail = " ".join(one.sentence for one in rest[:MOST_DETAILS])
        if (more := len(rest) - MOST_DETAILS) > 0:
            detail = f"{detail} And {more} more below."
        return Answer(worst.sentence, detail, tone=worst.level)
    marks = standing(look).ask(WATERMARKS)
    assert not isinstance(marks, Unreachable), "or it would have been a finding"
    return Answer(
        f"The numbers are complete to {marks[Grain.MINUTE].astimezone(UTC):%H:%M:%S}; nothing is lost.",
        "Periodic work, mails, clients, prices and the disk are as they should be, too.",
        tone="good",
    )


def tiles(look: Look) -> Sequence[Tile]:
    return [_complete(look), _received(look), _delay(look), _given_up(look), _priced(look), _disk(look)]


def _complete(look: Look) -> Tile:
    found = standing(look).ask(WATERMARKS)
    if isinstance(found, Unreachable):
        return _unreachable("Complete to")
    at = found[Grain.MINUTE]
    behind = look.now - at
    against = "UTC, up to date" if behind < timedelta(seconds=1) else f"UTC, {span(behind)} ago"
    return Tile("Complete to", f"{at.astimezone(UTC):%H:%M:%S}", against=against)


def _received(look: Look) -> Tile:
    found = standing(look).ask(ARRIVALS)
    if isinstance(found, Unreachable):
        return _unreachable("Received")
    return Tile("Received", units.count(panels.per_minute(found, look.now)), against="calls a minute")


def _delay(look: Look) -> Tile:
    found = standing(look).ask(ARRIVALS)
    if isinstance(found, Unreachable):
        return _unreachable("p95 delay")
    return Tile("p95 delay", units.duration(found.everything.p95), against="from a call's end to here")


def _given_up(look: Look) -> Tile:
    found = standing(look).ask(SENDERS)
    if isinstance(found, Unreachable):
        return _unreachable("Given up")
    if found.number == 0:
        return Tile("Given up", units.UNKNOWN, against="no client was heard")
    lost, processes = sum(found.given_up.values()), f"{found.number:,} {'client' if found.number == 1 else 'clients'}"
    return Tile("Given up", units.count(lost), against=f"events, by {processes}", tone="bad" if lost else "plain")


def _priced(look: Look) -> Tile:
    found = standing(look).ask(COVERAGE)
    if isinstance(found, Unreachable):
        return _unreachable("Cost known")
    share = None if found.calls == 0 else Fraction(found.calls - found.unpriced, found.calls)
    return Tile("Cost known", units.ratio(share), against="of the calls of a day")


def _disk(look: Look) -> Tile:
    found = standing(look).ask(ROOM)
    if isinstance(found, Unreachable):
        return _unreachable("Disk")
    outlook = room.outlook(found, look.now)
    size = f"the database takes {units.size(found.total)}"
    if outlook is None:
        return Tile("Disk", units.UNKNOWN, against="not known", note=size)
    if outlook.days is None:
        return Tile("Disk", "enough", against="for all days that are kept", note=size)
    return Tile("Disk", f"{outlook.days:,} d", against="until it is full", note=size)


def _unreachable(label: str) -> Tile:
    return Tile(label, units.UNKNOWN, against="not reachable")


def notes(look: Look) -> Sequence[str]:  # noqa: ARG001 - one of several with this shape
    return ("This page is about now and about the whole project: time, environment and filters do not change it.",)


SYSTEM: Final = Page(
    "system",
    "System",
    "Can I trust these numbers?",
    answer,
    (
        StandingPanel("received", "Calls received", ARRIVALS, panels.received),
        StandingPanel("watermarks", "Totals", WATERMARKS, panels.watermarks),
        StandingPanel("delivery", "How long calls take to arrive", ARRIVALS, panels.delivery, "full"),
        StandingPanel("clients", "Clients", SENDERS, panels.clients, "full"),
        StandingPanel("mails", "Mails", OUTBOX, panels.mails),
        StandingPanel("aside", "Put aside", ARRIVALS, panels.lost),
        StandingPanel("prices", "Prices", COVERAGE, panels.prices),
        StandingPanel("size", "Database", ROOM, panels.size),
        StandingPanel("work", "Periodic work", WORK, panels.periodic, "full"),
        StandingPanel("versions", "Versions", MIGRATIONS, panels.versions, "full"),
    ),
    tiles,
    notes,
    is_of_range=False,
)
