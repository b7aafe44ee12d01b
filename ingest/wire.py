"""Validate — step 2 of 8: bytes become typed events, or a reason why not.

One bad event never takes its batch along: see `salvage`. Events are decoded one by one, when they are asked for: what
is built for one is used again for the next, so that a batch of a thousand fits a processor's cache.
"""

from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from typing import Any, Final, NamedTuple, cast

import msgspec
from msgspec import Struct

from ingest import salvage, scores
from ingest.events import (
    Attempt,
    Budget,
    Client,
    Content,
    ErrorInfo,
    Event,
    Hashes,
    Limits,
    Quality,
    canonical,
    encode,
    event_of,
    fault,
    read_hook,
)
from ingest.scores import Score
from ingest.usage import UsageError

__all__ = [
    "Attempt",
    "Budget",
    "Client",
    "Content",
    "Envelope",
    "EnvelopeError",
    "ErrorInfo",
    "Event",
    "Hashes",
    "Limits",
    "Quality",
    "Rejection",
    "Score",
    "TooManyEventsError",
    "canonical",
    "decode",
    "decode_scores",
    "encode",
    "event_of",
    "read_scores",
]

MOST_EVENTS: Final = 1_000
MOST_SCORES: Final = 1_000
# More values than these are not built before they have been counted. A value takes three bytes on the wire and up to
# two hundred in memory; a thousand full events have about 100,000.
_MOST_UNCOUNTED: Final = 250_000


class Rejection(Struct, frozen=True, gc=False):
    """One event or score that can never be stored as it is; `index` is its place among its like."""

    index: int
    id: str | None
    field: str
    reason: str


class Envelope(NamedTuple):
    """A batch being read. Going through `events`, once, may raise EnvelopeError and completes `rejected`.

    `scores` are as they came, for `read_scores`.
    """

    client: Client | None
    events: Iterator[Event]
    rejected: list[Rejection]
    scores: list[Any]


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
    scores: Any = None


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
        document = _document(body)
        events = _carefully(document["events"], rejected)
        return Envelope(_client_of(document.get("client")), events, rejected, _scores_in(document.get("scores")))
    _check_size(batch.events)
    return Envelope(batch.client, _straight(body, batch.events, rejected), rejected, _scores_in(batch.scores))


def decode_scores(body: bytes) -> list[Any]:
    """The scores in the body of a request that holds nothing else. Raises EnvelopeError."""
    document = _parsed(body)
    if not isinstance(document, dict) or "scores" not in document:
        raise EnvelopeError("scores", 'must be a list of scores, in an object: {"scores": […]}')
    return _scores_in(document["scores"])


def read_scores(documents: list[Any], *, now: datetime) -> tuple[list[Score], list[Rejection]]:
    """The good ones, and the others with the reason why."""
    found: list[Score] = []
    rejected: list[Rejection] = []
    for index, document in enumerate(documents):
        score = _score_or_fault(document, now)
        if isinstance(score, Score):
            found.append(score)
        else:
            field, reason = score
            rejected.append(_rejection(index, document, _inside("scores", field), reason, id_field="call_id"))
    return found, rejected


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
    yield from _carefully(_document(body)["events"], rejected, start=index)


def _may_be_a_bomb(body: bytes) -> bool:
    """Whether it could hold more values than we care to build. What stands in prompts is counted as well: who is
    suspected wrongly is only served more slowly."""
    if len(body) <= 4 * _MOST_UNCOUNTED:
        return False
    return body.count(b",") + body.count(b"[") + body.count(b"{") > _MOST_UNCOUNTED


def _document(body: bytes) -> dict[str, Any]:
    """A batch as `salvage` reads it: its `events` are a list."""
    document = _parsed(body)
    documents = document.get("events") if isinstance(document, dict) else None
    if not isinstance(documents, list):
        raise EnvelopeError("events", 'must be a list of events, in an object: {"client": {…}, "events": […]}')
    _check_size(documents)
    return cast("dict[str, Any]", document)


def _parsed(body: bytes) -> Any:
    try:
        return salvage.parse(body)
    except ValueError as error:
        raise EnvelopeError("", str(error)) from error


def _scores_in(found: object) -> list[Any]:
    if found is None:
        return []
    if not isinstance(found, list):
        raise EnvelopeError("scores", "must be a list of scores")
    if len(found) > MOST_SCORES:
        raise TooManyEventsError("scores", f"{len(found):,} scores; at most {MOST_SCORES:,} fit in one request")
    return found


def _carefully(documents: list[Any], rejected: list[Rejection], start: int = 0) -> Iterator[Event]:
    for index in range(start, len(documents)):
        event = _event_or_fault(documents[index])
        if isinstance(event, Event):
            yield event
        else:
            rejected.append(_rejection(index, documents[index], *event))


def _rejection(index: int, found: object, field: str, reason: str, *, id_field: str = "id") -> Rejection:
    """What is said about a bad event quotes it, so it is cut short and freed of what no answer can carry."""
    call_id = found.get(id_field) if isinstance(found, dict) else None
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


def _score_or_fault(found: object, now: datetime) -> Score | tuple[str, str]:
    try:
        score = msgspec.convert(salvage.clean(found)[0], Score)
    except salvage.UnstorableError as error:
        return error.field, error.reason
    except msgspec.ValidationError as error:
        return salvage.field_and_reason(error)
    return scores.fault(score, now) or score


def _client_of(found: object) -> Client | None:
    if found is None:
        return None
    patiently: dict[str, Any] = {}
    if isinstance(found, dict):
        patiently = {name: found[name] for name in ("guards", "transitions") if name in found}
        found = {name: value for name, value in found.items() if name not in patiently}
    try:
        return msgspec.structs.replace(msgspec.convert(salvage.clean(found)[0], Client), **patiently)
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
