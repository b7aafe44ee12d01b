"""Validate — step 2 of 8: bytes become typed events, or a reason why not.

One bad event never takes its batch along: see `salvage`. Events are decoded one by one, when they are asked for: what
is built for one is used again for the next, so that a batch of a thousand fits a processor's cache.
"""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Final, NamedTuple

import msgspec
from msgspec import Struct

from ingest import salvage
from ingest.events import (
    Attempt,
    Client,
    Content,
    ErrorInfo,
    Event,
    Limits,
    canonical,
    encode,
    event_of,
    fault,
    read_hook,
)
from ingest.usage import UsageError

__all__ = [
    "Attempt",
    "Client",
    "Content",
    "Envelope",
    "EnvelopeError",
    "ErrorInfo",
    "Event",
    "Limits",
    "Rejection",
    "TooManyEventsError",
    "canonical",
    "decode",
    "encode",
    "event_of",
]

MOST_EVENTS: Final = 1_000
# More values than these are not built before they have been counted. A value takes three bytes on the wire and up to
# two hundred in memory; a thousand full events have about 100,000.
_MOST_UNCOUNTED: Final = 250_000


class Rejection(Struct, frozen=True, gc=False):
    """One event that can never be stored as it is; `index` is its place in the batch."""

    index: int
    id: str | None
    field: str
    reason: str


class Envelope(NamedTuple):
    """A batch being read. Going through `events`, once, may raise EnvelopeError and completes `rejected`."""

    client: Client | None
    events: Iterator[Event]
    rejected: list[Rejection]


class EnvelopeError(ValueError):
    """The body as a whole is not a batch; `field` names what is wrong with it."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(salvage.quoted(reason, most=300))
        self.field = salvage.quoted(field, most=200)


class TooManyEventsError(EnvelopeError):
    pass


class _Batch(Struct, frozen=True, gc=False):
    events: list[msgspec.Raw]
    client: Client | None = None


_split: Final = msgspec.json.Decoder(_Batch).decode
_decode: Final = msgspec.json.Decoder(Event, dec_hook=read_hook).decode


def decode(body: bytes) -> Envelope:
    """The batch in a request's body. Raises EnvelopeError when there is none; bad events are told one by one.

    The straight way serves a batch without a fault. Whatever it stumbles over goes through `salvage`, which is slower
    and finds out which event it was. Depth needs no look beforehand: types bound it where something is built, the
    decoder's own limit where an unknown field is skipped, and `fault` in the usage object, which is kept as it came.
    """
    rejected: list[Rejection] = []
    batch = None
    # NUL is the one thing that decodes well and cannot be stored.
    # (Looking for a backslash first is quick, and without prompts there is none.)
    if not ((b"\\" in body and b"\\u0000" in body) or _may_be_a_bomb(body)):
        with suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            batch = _split(body)
    if batch is None:
        documents, client = _documents(body)
        return Envelope(_client_of(client), _carefully(documents, rejected), rejected)
    _check_size(batch.events)
    return Envelope(batch.client, _straight(body, batch.events, rejected), rejected)


def _straight(body: bytes, events: list[msgspec.Raw], rejected: list[Rejection]) -> Iterator[Event]:
    """The events, up to the first that the decoder refuses; from there on the careful way."""
    for index, raw in enumerate(events):
        try:
            event = _decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            break
        problem = fault(event)
        if problem is None:
            yield event
        else:
            rejected.append(Rejection(index, str(event.id), *problem))
    else:
        return
    yield from _carefully(_documents(body)[0], rejected, start=index)


def _may_be_a_bomb(body: bytes) -> bool:
    """Whether it could hold more values than we care to build. What stands in prompts is counted as well: who is
    suspected wrongly is only served more slowly."""
    if len(body) <= 4 * _MOST_UNCOUNTED:
        return False
    return body.count(b",") + body.count(b"[") + body.count(b"{") > _MOST_UNCOUNTED


def _documents(body: bytes) -> tuple[list[Any], Any]:
    """The events and the client of a batch as `salvage` reads them."""
    try:
        document = salvage.parse(body)
    except ValueError as error:
        raise EnvelopeError("", str(error)) from error
    documents = document.get("events") if isinstance(document, dict) else None
    if not isinstance(documents, list):
        raise EnvelopeError("events", 'must be a list of events, in an object: {"client": {…}, "events": […]}')
    _check_size(documents)
    return documents, document.get("client")


def _carefully(documents: list[Any], rejected: list[Rejection], start: int = 0) -> Iterator[Event]:
    for index in range(start, len(documents)):
        event = _event_or_fault(documents[index])
        if isinstance(event, Event):
            yield event
        else:
            rejected.append(_rejection(index, documents[index], *event))


def _rejection(index: int, found: object, field: str, reason: str) -> Rejection:
    """What is said about a bad event quotes it, so it is cut short and freed of what no answer can carry."""
    call_id = found.get("id") if isinstance(found, dict) else None
    quoted_id = salvage.quoted(call_id, most=64) if isinstance(call_id, str) else None
    return Rejection(index, quoted_id, salvage.quoted(field, most=200), salvage.quoted(reason, most=300))


def _event_or_fault(found: object) -> Event | tuple[str, str]:
    try:
        document, is_changed = salvage.clean(found)
        event = event_of(document)
    except salvage.UnstorableError as error:
        return error.field or "event", error.reason
    except msgspec.ValidationError as error:
        if isinstance(error.__cause__, UsageError):
            return _inside("usage", error.__cause__.field), error.__cause__.reason
        field, reason = salvage.field_and_reason(error)
        return field or "event", reason
    if is_changed:
        event = msgspec.structs.replace(event, sanitized=True)
    return fault(event) or event


def _client_of(found: object) -> Client | None:
    if found is None:
        return None
    try:
        return msgspec.convert(salvage.clean(found)[0], Client)
    except salvage.UnstorableError as error:
        raise EnvelopeError(_inside("client", error.field), error.reason) from error
    except msgspec.ValidationError as error:
        field, reason = salvage.field_and_reason(error)
        raise EnvelopeError(_inside("client", field), reason) from error


def _inside(outer: str, field: str) -> str:
    return f"{outer}.{field}" if field else outer


def _check_size(events: list[Any]) -> None:
    if len(events) > MOST_EVENTS:
        raise TooManyEventsError("events", f"{len(events):,} events; at most {MOST_EVENTS:,} fit in one request")
