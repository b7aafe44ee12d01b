"""A batch made ready for the database: sorted, priced, encoded, and free of repetitions. No transaction is open yet."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from ingest import bodies, dimensions, partitions, pricebook, rows
from ingest.charge import charge
from ingest.events import Event
from ingest.vocabulary import DimensionKind


class Origin(NamedTuple):
    """Whose calls these are: what the key says, not what the event says."""

    project_id: int
    environment: str
    infra_nanousd_per_request: int = 0
    infra_nanousd_per_token: int = 0


class Row(NamedTuple):
    """One call as bytes; `id` is its UUID as a number, `body` is there when the call has one and it is still kept."""

    id: int
    call: bytes
    body: bytes | None


class Batch(NamedTuple):
    """`rows` ascend by id, so that two copies of a batch take their locks in one order."""

    project_id: int
    rows: list[Row]
    outside: list[Event]
    duplicates: int
    conflicts: int


def prepare(events: Sequence[Event], *, origin: Origin, now: datetime) -> Batch:
    """Sorts out repetitions and calls outside the storable days, prices and encodes the others."""
    once, duplicates, conflicts = _without_repetitions(events)
    start, end = (partitions.lower_bound(bound).int for bound in partitions.storable(now))
    inside = sorted(call_id for call_id in once if start <= call_id < end)
    outside = [event for call_id, event in once.items() if not start <= call_id < end]
    found = _encode([once[call_id] for call_id in inside], origin, now) if inside else []
    return Batch(origin.project_id, found, outside, duplicates, conflicts)


def _without_repetitions(events: Sequence[Event]) -> tuple[dict[int, Event], int, int]:
    """The first event of each id, and how many others repeated it and contradicted it."""
    once = {event.id.int: event for event in reversed(events)}
    if len(once) == len(events):
        return once, 0, 0
    conflicts = sum(rows.digest_of(event) != rows.digest_of(once[event.id.int]) for event in events)
    return once, len(events) - len(once) - conflicts, conflicts


def _encode(events: list[Event], origin: Origin, now: datetime) -> list[Row]:
    book = pricebook.current(now)
    names = intern(events, origin)
    received_us = rows.micros(now)
    per_request, per_token = origin.infra_nanousd_per_request, origin.infra_nanousd_per_token
    packed = _pack_bodies(events, origin.project_id, now)
    encoded = []
    for event in events:
        call_id = event.id.int
        cost = charge(event, book, event.started_at)
        infra_nanousd = per_request if per_token == 0 else per_request + per_token * cost.usage.tokens
        body = packed.get(call_id)
        call = rows.encode(
            event, cost, names, received_us=received_us, infra_nanousd=infra_nanousd, has_body=body is not None
        )
        encoded.append(Row(call_id, call, body))
    return encoded


def intern(events: list[Event], origin: Origin) -> rows.Interned:
    """The numbers of all names in the batch."""

    def numbers(kind: DimensionKind, names: set[str | None]) -> dict[str | None, int]:
        # An empty name is no name.
        found: dict[str | None, int] = {None: dimensions.ABSENT, "": dimensions.ABSENT}
        return found | dimensions.ids(project_id, kind, {name for name in names if name})

    project_id = origin.project_id
    environments = numbers(DimensionKind.ENVIRONMENT, {origin.environment})
    return rows.Interned(
        project_id=project_id,
        environment_id=environments[origin.environment],
        features=numbers(DimensionKind.FEATURE, {event.feature for event in events}),
        prompt_types=numbers(DimensionKind.PROMPT_TYPE, {event.prompt_type for event in events}),
        prompt_versions=numbers(DimensionKind.PROMPT_VERSION, {event.prompt_version for event in events}),
        models=numbers(
            DimensionKind.MODEL, {event.model for event in events} | {event.model_requested for event in events}
        ),
    )


def _pack_bodies(events: list[Event], project_id: int, now: datetime) -> dict[int, bytes]:
    """The bodies that are still kept, by call. A body that cannot be packed never takes its call along."""
    first = partitions.lower_bound(partitions.kept_from("request_body", now)).int
    packed: dict[int, bytes] = {}
    for event in events:
        content = event.content
        if content is None or (content.input is None and content.output is None) or event.id.int < first:
            continue
        try:
            dictionary_id, body = bodies.pack(content, bodies.dictionary_for(project_id, now=now))
        except bodies.BodyError:
            continue
        packed[event.id.int] = rows.encode_body(UUID(int=event.id.int), project_id, dictionary_id, body)
    return packed
