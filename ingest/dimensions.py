"""The strings that calls share, each stored once and known by a number.

Interning is never part of the transaction that stores calls: a name must be committed before a row that uses it, and
it must still be there when that row is rolled back.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Final

from django.db import connection, transaction

from ingest.models import Dimension
from ingest.vocabulary import DimensionKind

ABSENT: Final = 0
"""The id of no name at all; it has no row."""
OTHER_NAME: Final = "(other)"
MOST_NAMES: Final = 2_000
"""Names per project and kind. Somebody who puts user ids into `feature` fills one list, not the database."""
MOST_RELEASES: Final = 20_000
"""Releases add up for as long as a product lives: ten a day for five years."""

_UNSEEN: Final[Mapping[str, datetime]] = MappingProxyType({})


class _Kept:
    """What this process knows of one project's names of one kind. Ids never change, so nothing here gets old."""

    __slots__ = ("ids", "is_full")

    def __init__(self) -> None:
        self.ids: dict[str, int] = {}
        # Full: `ids` holds every name there is, and whatever is not in it is counted under OTHER_NAME.
        self.is_full = False


_kept: Final[dict[tuple[int, int], _Kept]] = {}


def ids(
    project_id: int, kind: DimensionKind, names: Iterable[str], *, seen: Mapping[str, datetime] = _UNSEEN
) -> dict[str, int]:
    """The id of each name, giving new names one. Beyond the most there may be, new ones share the id of OTHER_NAME.

    `seen`: when each name was first met, which is noted with a new one.
    """
    kept = _kept_of(project_id, kind)
    wanted = set(names)
    found = {name: kept.ids[name] for name in wanted if name in kept.ids}
    missing = sorted(wanted - found.keys())
    if missing:
        found.update(_resolve(project_id, kind, missing, kept, seen))
    return found


def known(project_id: int, kind: DimensionKind) -> Mapping[str, int]:
    """The names that can be numbered without asking the database. It goes on growing."""
    return _kept_of(project_id, kind).ids


def find(project_id: int, kind: DimensionKind, name: str) -> int | None:
    """The id of a name, or None when no call ever carried it. Never makes one."""
    kept = _kept_of(project_id, kind)
    if name not in kept.ids:
        found = _stored(project_id, kind, [name])
        keep(lambda: kept.ids.update(found))
        return found.get(name)
    return kept.ids[name]


def names(project_id: int, kind: DimensionKind) -> dict[int, str]:
    """Every name of this kind, by id."""
    return dict(Dimension.objects.filter(project_id=project_id, kind=kind).values_list("id", "name"))


def names_of(project_id: int, wanted: Iterable[int]) -> dict[int, str]:
    """The names of these ids, of whatever kind."""
    return dict(Dimension.objects.filter(project_id=project_id, id__in=set(wanted)).values_list("id", "name"))


def _kept_of(project_id: int, kind: DimensionKind) -> _Kept:
    kept = _kept.get((project_id, kind))
    return _kept.setdefault((project_id, kind), _Kept()) if kept is None else kept


def _resolve(
    project_id: int, kind: DimensionKind, missing: list[str], kept: _Kept, seen: Mapping[str, datetime]
) -> dict[str, int]:
    if kept.is_full:
        return dict.fromkeys(missing, kept.ids[OTHER_NAME])
    found = _stored(project_id, kind, missing)
    new = [name for name in missing if name not in found]
    if new:
        most = MOST_RELEASES if kind == DimensionKind.RELEASE else MOST_NAMES
        room = most - Dimension.objects.filter(project_id=project_id, kind=kind).count()
        found |= _insert(project_id, kind, new[: max(room, 0)], seen)
        overflow = [name for name in new if name not in found]
        if overflow:
            return found | _overflow(project_id, kind, overflow, kept)
    keep(lambda: kept.ids.update(found))
    return found


def _overflow(project_id: int, kind: DimensionKind, overflow: list[str], kept: _Kept) -> dict[str, int]:
    everything = _insert(project_id, kind, [OTHER_NAME], _UNSEEN)
    everything.update((name, number) for number, name in names(project_id, kind).items())

    def fill() -> None:
        kept.ids.update(everything)
        kept.is_full = True

    keep(fill)
    return {name: everything.get(name, everything[OTHER_NAME]) for name in overflow}


def _insert(project_id: int, kind: DimensionKind, new: list[str], seen: Mapping[str, datetime]) -> dict[str, int]:
    """Names in sorted order, so that two batches with the same new names cannot lock each other out."""
    if not new:
        return {}
    rows = [Dimension(project_id=project_id, kind=kind, name=name, first_seen_at=seen.get(name)) for name in new]
    Dimension.objects.bulk_create(rows, ignore_conflicts=True)
    return _stored(project_id, kind, new)


def _stored(project_id: int, kind: DimensionKind, wanted: list[str]) -> dict[str, int]:
    rows = Dimension.objects.filter(project_id=project_id, kind=kind, name__in=wanted)
    return dict(rows.values_list("name", "id"))


def keep(fill: Callable[[], None]) -> None:
    """Remembers only what is committed: inside somebody's transaction the rows may yet be rolled back."""
    if connection.in_atomic_block:
        transaction.on_commit(fill)
    else:
        fill()
