"""A batch made ready for the database: sorted, priced, encoded, and free of repetitions. No transaction is open yet."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from msgspec import Struct

from ingest import bodies, partitions, pricebook, rows
from ingest.charge import charge
from ingest.events import Content, Event
from ingest.failure_groups import Groups
from ingest.names import Names


class Origin(NamedTuple):
    """Whose calls these are: what the key says, not what the event says."""

    project_id: int
    environment: str
    infra_nanousd_per_request: int = 0
    infra_nanousd_per_token: int = 0


class Row(Struct, frozen=True, gc=False):
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


def prepare(events: Iterable[Event], *, origin: Origin, now: datetime) -> Batch:
    """Sorts out repetitions and calls outside the storable days, prices and encodes the others.

    Goes through the events once and keeps none that it can encode.
    """
    start, end = (partitions.lower_bound(bound).int for bound in partitions.storable(now))
    encoder = _Encoder(origin, now)
    digests: dict[int, bytes] = {}
    found: list[Row] = []
    unnamed: list[Event] = []
    outside: list[Event] = []
    conflicts = repeated = 0
    for event in events:
        call_id = event.id.int
        digest = rows.digest_of(event)
        first = digests.setdefault(call_id, digest)
        if first is not digest:
            # The first of an id stays; another one repeats it or contradicts it.
            conflicts += first != digest
            repeated += first == digest
        elif not start <= call_id < end:
            outside.append(event)
        elif (row := encoder.row(event, digest)) is not None:
            found.append(row)
        else:
            unnamed.append(event)
    if unnamed:
        found += encoder.rows_with_new_names(unnamed, digests)
    found.sort(key=_id_of)
    return Batch(origin.project_id, found, outside, repeated, conflicts)


class _Encoder:
    """What all calls of a batch share."""

    def __init__(self, origin: Origin, now: datetime) -> None:
        self._project_id = origin.project_id
        self._infra_per_request = origin.infra_nanousd_per_request
        self._infra_per_token = origin.infra_nanousd_per_token
        self._now = now
        self._received_us = rows.micros(now)
        self._book = pricebook.current(now)
        self._names = Names(origin.project_id, origin.environment)
        self._groups = Groups(origin.project_id, self._names)
        self._first_with_body = partitions.lower_bound(partitions.kept_from("request_body", now)).int

    def row(self, event: Event, digest: bytes) -> Row | None:
        """The call priced and encoded; None when a name of it, or what it looks like, must be interned first."""
        names = self._names.packed(event)
        failure_group = self._groups.of(event)
        if names is None or failure_group is None:
            return None
        cost = charge(event, self._book, event.started_at)
        infra_nanousd = self._infra_per_request
        if self._infra_per_token:
            infra_nanousd += self._infra_per_token * cost.usage.tokens
        body = None if event.content is None else self._body(event.id, event.content)
        call = rows.encode(
            event,
            digest,
            cost,
            names,
            received_us=self._received_us,
            infra_nanousd=infra_nanousd,
            has_body=body is not None,
            failure_group=failure_group or None,
        )
        return Row(event.id.int, call, body)

    def rows_with_new_names(self, events: list[Event], digests: dict[int, bytes]) -> Iterator[Row]:
        self._names.intern(events)
        self._groups.intern(events)
        for event in events:
            row = self.row(event, digests[event.id.int])
            assert row is not None, "all that the call is told apart by has just been interned"
            yield row

    def _body(self, call_id: UUID, content: Content) -> bytes | None:
        """The body when it is still kept. One that cannot be packed never takes its call along."""
        if (content.input is None and content.output is None) or call_id.int < self._first_with_body:
            return None
        try:
            dictionary_id, packed = bodies.pack(content, bodies.dictionary_for(self._project_id, now=self._now))
        except bodies.BodyError:
            return None
        return rows.encode_body(call_id, self._project_id, dictionary_id, packed)


def _id_of(row: Row) -> int:
    return row.id
