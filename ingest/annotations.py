"""Annotations on the wire: a change somebody made, told by the tool that made it, once however often it is sent."""

from datetime import datetime, timedelta
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta, Struct

from ingest import salvage
from ingest.events import Text500, Utc
from ingest.wire import EnvelopeError
from projects.models import Annotation

EARLIEST: Final = timedelta(days=3 * 366)
"""Nothing older can be on a page."""
AHEAD: Final = timedelta(days=1)
_MOST_BYTES: Final = 16_384

Title = Annotated[str, Meta(min_length=1, max_length=120)]
Environment = Annotated[str, Meta(max_length=64)]


class Told(Struct, frozen=True, forbid_unknown_fields=True):
    """One annotation as it is on the wire. A name that is mistyped would be lost, so unknown ones are refused."""

    title: Title
    kind: Literal["deploy", "config", "incident", "note"] = "deploy"
    at: Utc | None = None
    detail: Text500 = ""
    link: Text500 = ""
    environment: Environment | None = None


def read(body: bytes, *, now: datetime) -> Told:
    """Return the annotation in a request's body. Raises EnvelopeError, which names the field."""
    if len(body) > _MOST_BYTES:
        raise EnvelopeError("", f"an annotation has at most {_MOST_BYTES:,} bytes")
    try:
        document, _ = salvage.clean(salvage.parse(body))
        told = msgspec.convert(document, Told)
    except salvage.UnstorableError as error:
        raise EnvelopeError(error.field, error.reason) from error
    except msgspec.ValidationError as error:
        raise EnvelopeError(*_field_and_reason(error)) from error
    except ValueError as error:
        raise EnvelopeError("", str(error)) from error
    if (problem := _fault(told, now)) is not None:
        raise EnvelopeError(*problem)
    return told


def keep(told: Told, *, project_id: int, environment: str, now: datetime) -> tuple[Annotation, bool]:
    """Write it, unless it is there; the annotation and whether it is new. Without a time of its own it is always new.

    One that says no environment is about that of its key; "" is about all.
    """
    return Annotation.objects.get_or_create(
        project_id=project_id,
        at=told.at or now,
        kind=told.kind,
        title=told.title.strip(),
        environment=environment if told.environment is None else told.environment,
        defaults={"detail": told.detail, "link": told.link},
    )


def _fault(told: Told, now: datetime) -> tuple[str, str] | None:
    if not told.title.strip():
        return "title", "must say something"
    for name in ("title", "environment"):
        if not (getattr(told, name) or "").isprintable():
            return name, "must be one line of printable characters"
    if told.at is not None and not now - EARLIEST <= told.at <= now + AHEAD:
        return "at", f"must lie within the last {EARLIEST.days} days, at most {AHEAD.days} day ahead"
    if told.link and not _is_web(told.link):
        return "link", "must be an address that begins with http:// or https://"
    return None


def _is_web(link: str) -> bool:
    try:
        parts = urlsplit(link)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and link.isprintable() and " " not in link


def _field_and_reason(error: msgspec.ValidationError) -> tuple[str, str]:
    field, reason = salvage.field_and_reason(error)
    unknown = "Object contains unknown field "
    if reason.startswith(unknown):
        return reason.removeprefix(unknown), "is not a field of an annotation"
    return field, reason
