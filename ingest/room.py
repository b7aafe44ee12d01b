"""The room that is taken: the database, its tables, each kept day, and for how long the disk is enough.

Sizes are those of the files; nothing is counted.
"""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final

from django.conf import settings
from django.db import connection

from ingest.partitions import TABLES

GROWN_IN: Final = timedelta(days=7)

_SQL: Final = """
SELECT '', NULL, pg_database_size(current_database()), NULL
 UNION ALL
SELECT coalesce(parent.relname, own.relname), CASE WHEN parent.oid IS NOT NULL THEN right(own.relname, 8) END,
       pg_total_relation_size(own.oid), greatest(own.reltuples, 0)::bigint
  FROM pg_class own
  LEFT JOIN pg_inherits ON inhrelid = own.oid
  LEFT JOIN pg_class parent ON parent.oid = inhparent
 WHERE own.relkind = 'r' AND own.relnamespace = 'public'::regnamespace
"""


@dataclass(frozen=True, slots=True)
class Day:
    size: int
    """Bytes, indexes included."""
    rows: int
    """As PostgreSQL estimates them."""


@dataclass(frozen=True, slots=True)
class Room:
    total: int
    """Bytes of the whole database."""
    days: Mapping[str, Mapping[date, Day]]
    """The partitions of each table that has them."""
    others: Mapping[str, int]
    """Bytes of each other table, largest first."""
    free: int | None
    """Bytes left on the disk of the embedded server; None: the disk is not ours to look at."""

    def kept(self, table: str, today: date) -> Mapping[date, Day]:
        """Return the days up to today; those ahead are empty."""
        return {day: one for day, one in self.days.get(table, {}).items() if day <= today}

    def grown(self, table: str, today: date) -> int | None:
        """Return bytes a day, the mean of those of the last seven that are over; None without one."""
        sizes = [one.size for day, one in self.kept(table, today).items() if today - GROWN_IN <= day < today]
        return sum(sizes) // len(sizes) if sizes else None


@dataclass(frozen=True, slots=True)
class Outlook:
    """For how long the disk is enough when every day takes what the last ones took."""

    a_day: int
    """Bytes a day adds before the oldest is dropped."""
    to_come: int
    """Bytes still to be taken until all days that are kept are there."""
    days: int | None
    """Days until the disk is full; None: it holds all days that are kept."""


def room() -> Room:
    with connection.cursor() as cursor:
        cursor.execute(_SQL)
        rows = cursor.fetchall()
    days: dict[str, dict[date, Day]] = {table: {} for table in TABLES}
    others: dict[str, int] = {}
    total = 0
    for table, day, size, estimated in rows:
        if table == "":
            total = size
        elif table in days and day is not None:
            days[table][date.fromisoformat(day)] = Day(size, estimated)
        else:
            others[table] = others.get(table, 0) + size
    largest_first = dict(sorted(others.items(), key=lambda one: (-one[1], one[0])))
    return Room(total, days, largest_first, _free(settings.EMBEDDED_POSTGRES))


def outlook(found: Room, now: datetime) -> Outlook | None:
    """Return how long the disk lasts; None when its room or its growth is not known."""
    today = now.astimezone(UTC).date()
    grown = {table: found.grown(table, today) for table in TABLES}
    if found.free is None or all(size is None for size in grown.values()):
        return None
    a_day = sum(size or 0 for size in grown.values())
    to_come = sum(
        (size or 0) * max(settings.RETENTION_DAYS[table] - len(found.kept(table, today)), 0)
        for table, size in grown.items()
    )
    days = None if to_come <= found.free or a_day == 0 else found.free // a_day
    return Outlook(a_day, to_come, days)


def days_ahead(found: Room, now: datetime) -> int:
    """Return for how many whole days after today every table has its partition already."""
    today = now.astimezone(UTC).date()
    ahead = 0
    while all(today + timedelta(days=ahead + 1) in found.days.get(table, {}) for table in TABLES):
        ahead += 1
    return ahead


def _free(folder: Path | None) -> int | None:
    """The server's folder may be closed to us, and then the one it lies in is asked."""
    places: Sequence[Path] = [] if folder is None else [folder, folder.parent]
    for place in places:
        try:
            return shutil.disk_usage(place).free
        except OSError:
            continue
    return None
