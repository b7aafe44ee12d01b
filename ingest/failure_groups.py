"""Failure groups: what failed calls have in common that probably have one cause, known by a number.

Two failures are alike when type, message without what differs from call to call, prompt type and prompt version are.
Each such fingerprint is stored once, as names are (`ingest.dimensions`), and never within the transaction that stores
calls. Messages are text from outside: beyond MOST_GROUPS, new ones share a group of their type and prompt.
"""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from ingest.dimensions import ABSENT, OTHER_NAME, keep
from ingest.events import Event
from ingest.message_template import template_of
from ingest.models import FailureGroup
from ingest.names import Names
from ingest.rows import FAILED, error_of
from ingest.vocabulary import DimensionKind

MOST_GROUPS: Final = 10_000
"""Groups per project, for as long as it lives; those of OTHER_NAME come on top."""

_FIELDS: Final = ("error", "template", "prompt_type_id", "prompt_version_id")


class Fingerprint(NamedTuple):
    """Numbers of `ingest.vocabulary` and `dim`, and a template of `ingest.message_template`."""

    error: int
    template: str
    prompt_type_id: int
    prompt_version_id: int

    @property
    def overflow(self) -> "Fingerprint":
        """The group of those for which there is no room."""
        return self._replace(template=OTHER_NAME)


class _Kept:
    """What this process knows of one project's groups. Numbers never change, so nothing here gets old."""

    __slots__ = ("ids", "is_full")

    def __init__(self) -> None:
        self.ids: dict[Fingerprint, int] = {}
        # Full: `ids` held every group there was, and whatever is not in it belongs to an overflow.
        self.is_full = False


_kept: Final[dict[int, _Kept]] = {}


class Groups:
    """The failure groups of the calls of a batch, for as long as it takes."""

    def __init__(self, project_id: int, names: Names) -> None:
        self._project_id = project_id
        self._names = names
        self._interned: dict[Fingerprint, int] = {}

    def of(self, event: Event) -> int | None:
        """The number of the call's group, ABSENT when it did not fail; None when that was never interned."""
        if event.outcome not in FAILED:
            return ABSENT
        fingerprint = self._fingerprint(event)
        if fingerprint is None:
            return None
        # What was interned just now may not be known for good: see `dimensions`.
        interned = self._interned.get(fingerprint)
        return _kept_of(self._project_id).ids.get(fingerprint) if interned is None else interned

    def intern(self, events: Iterable[Event]) -> None:
        """Gives the group of each failure its number; the names of the calls must have theirs."""
        found = (self._fingerprint(event) for event in events if event.outcome in FAILED)
        self._interned = ids(self._project_id, (fingerprint for fingerprint in found if fingerprint is not None))

    def _fingerprint(self, event: Event) -> Fingerprint | None:
        prompt_type = self._names.number(DimensionKind.PROMPT_TYPE, event.prompt_type)
        version = self._names.number(DimensionKind.PROMPT_VERSION, event.prompt_version)
        if prompt_type is None or version is None:
            return None
        message = None if event.error is None else event.error.message
        return Fingerprint(error_of(event), template_of(message or ""), prompt_type, version)


def ids(project_id: int, fingerprints: Iterable[Fingerprint]) -> dict[Fingerprint, int]:
    """The number of each fingerprint's group, giving new ones one. Beyond MOST_GROUPS it is that of the overflow."""
    kept = _kept_of(project_id)
    wanted = set(fingerprints)
    found = {one: kept.ids[one] for one in wanted if one in kept.ids}
    missing = sorted(wanted - found.keys())
    if missing:
        found |= _resolve(project_id, missing, kept)
    return found


def _kept_of(project_id: int) -> _Kept:
    kept = _kept.get(project_id)
    return _kept.setdefault(project_id, _Kept()) if kept is None else kept


def _resolve(project_id: int, missing: Sequence[Fingerprint], kept: _Kept) -> dict[Fingerprint, int]:
    found = {} if kept.is_full else _stored(project_id, missing)
    new = [one for one in missing if one not in found]
    if new and not kept.is_full:
        room = max(MOST_GROUPS - FailureGroup.objects.filter(project_id=project_id).count(), 0)
        found |= _insert(project_id, new[:room])
    keep(lambda: kept.ids.update(found))
    overflow = [one for one in new if one not in found]
    if not overflow:
        return found
    if not kept.is_full:
        _fill(project_id, kept)
    return found | _overflowed(project_id, overflow, kept)


def _fill(project_id: int, kept: _Kept) -> None:
    """Learns all groups there are, so that nobody asks for another one."""
    rows = FailureGroup.objects.filter(project_id=project_id).values_list(*_FIELDS, "id")
    everything = {Fingerprint(*fields): number for *fields, number in rows}

    def fill() -> None:
        kept.ids.update(everything)
        kept.is_full = True

    keep(fill)


def _overflowed(project_id: int, overflow: Sequence[Fingerprint], kept: _Kept) -> dict[Fingerprint, int]:
    together = {one.overflow for one in overflow}
    found = {one: kept.ids[one] for one in together if one in kept.ids}
    found |= (new := _insert(project_id, sorted(together - found.keys())))
    keep(lambda: kept.ids.update(new))
    return {one: found[one.overflow] for one in overflow}


def _insert(project_id: int, new: Sequence[Fingerprint]) -> dict[Fingerprint, int]:
    """Fingerprints in sorted order, so that two batches with the same new ones cannot lock each other out."""
    if not new:
        return {}
    rows = [FailureGroup(project_id=project_id, **one._asdict()) for one in new]
    FailureGroup.objects.bulk_create(rows, ignore_conflicts=True)
    return _stored(project_id, new)


def _stored(project_id: int, wanted: Sequence[Fingerprint]) -> dict[Fingerprint, int]:
    rows = FailureGroup.objects.filter(project_id=project_id, template__in={one.template for one in wanted})
    every = {Fingerprint(*fields): number for *fields, number in rows.values_list(*_FIELDS, "id")}
    return {one: every[one] for one in wanted if one in every}
