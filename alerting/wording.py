"""The pieces that the letters about rules and about budgets share: how times, lengths and subjects are written."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final

from metrics import units

ELLIPSIS: Final = "…"


@dataclass(frozen=True)
class Row:
    """A fact with its name."""

    label: str
    value: str


@dataclass(frozen=True)
class Words:
    """What a letter says, before it is laid out."""

    subject: str
    badge: str
    headline: str
    lead: str
    rows: list[Row]
    page: Row
    """The button: the page with the same filter and time."""
    links: list[Row]
    why: str
    contributors_title: str = field(default="")


def number(text: str | None) -> Decimal | None:
    """A number as the facts keep it."""
    return None if text is None else Decimal(text)


def time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def when(at: datetime) -> str:
    """A point in time for people: 22 Nov 2026 13:45 UTC."""
    utc = at.astimezone(UTC)
    return f"{utc.day} {utc:%b %Y %H:%M} UTC"


def clock(at: datetime) -> str:
    return f"{at.astimezone(UTC):%H:%M} UTC"


def span(length: timedelta) -> str:
    return units.duration(length // timedelta(milliseconds=1))


def minutes(number_of: int) -> str:
    """A window length: 5 minutes, 1 hour, 90 minutes."""
    if number_of % 60 == 0:
        hours = number_of // 60
        return "hour" if hours == 1 else f"{hours} hours"
    return "minute" if number_of == 1 else f"{number_of} minutes"


def badge(state: str, detail: str) -> str:
    return f"{state} · {detail}"


def plain(text: str) -> str:
    """The narrow no-break spaces of numbers as ordinary ones."""
    return text.replace(units.SPACE, " ")


def one_line(text: str) -> str:
    """A text in which nothing can begin a new line, a header or a terminal's control sequence."""
    return "".join(char if char.isprintable() or char == units.SPACE else " " for char in text).strip()


def fitted(head: str, scope: str, length: int) -> str:
    """A subject of at most `length` characters: the symptom in full where possible, the scope as far as it fits."""
    room = length - len(head) - len(" — ")
    if len(scope) <= room:
        return f"{head} — {scope}"
    if room >= len("a…"):
        return f"{head} — {scope[: room - 1].rstrip(' ,')}{ELLIPSIS}"
    return head if len(head) <= length else head[: length - 1].rstrip() + ELLIPSIS
