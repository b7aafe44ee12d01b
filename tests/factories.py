"""Small builders for what most tests need: a project, a key, an event as it is on the wire, a stored call."""

import itertools
import secrets
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from ingest import wire
from ingest.partitions import EPOCH
from ingest.store import Origin, Receipt, store
from projects import keys
from projects.models import IngestKey, Project

NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
"""The moment in which tests live unless they say otherwise."""

_numbers = itertools.count(1)


def call_id(at: datetime = NOW, instance: int = 1) -> UUID:
    """A new UUIDv7 of that instant (to the ms), from the client process with that number (12 bits)."""
    ms = (at - EPOCH) // timedelta(milliseconds=1)
    return UUID(int=ms << 80 | 7 << 76 | instance << 64 | 2 << 62 | secrets.randbits(62))


def project(slug: str | None = None, **fields: Any) -> Project:
    slug = slug or f"project-{next(_numbers)}"
    return Project.objects.create(slug=slug, **{"name": slug.capitalize(), **fields})


def key(owner: Project | None = None, environment: str = "production", **options: Any) -> tuple[IngestKey, str]:
    """A live key and the text a client would send."""
    return keys.mint(owner or project(), environment, **options)


def event(at: datetime = NOW, **overrides: Any) -> dict[str, Any]:
    """One event as it is on the wire: an answered call of 1,200 ms, 100 tokens in and 20 out.

    At the list price of claude-sonnet-4-5 (3 and 15 dollars per million tokens) it costs 600,000 nano-dollars.
    An override of None takes the field away.
    """
    made: dict[str, Any] = {
        "id": str(call_id(at)),
        "started_at": at.isoformat(timespec="milliseconds"),
        "app": "helpdesk",
        "release": "1.4.2",
        "sdk": "anthropic/2.12.0",
        "feature": "inbox",
        "prompt_type": "triage",
        "prompt_version": "7",
        "user_id": "user-1",
        "session_id": "session-1",
        "model_requested": "claude-sonnet-4-5",
        "model": "claude-sonnet-4-5-20250929",
        "params": {"max_tokens": 400},
        "duration_ms": 1200,
        "ttft_ms": 300,
        "attempts": [{"n": 1, "start_ms": 0, "duration_ms": 1200, "status": 200, "request_id": "req_1"}],
        "usage": {"input_tokens": 100, "output_tokens": 20},
        "stop_reason": "end_turn",
        "outcome": "ok",
        "request_id": "req_1",
    }
    made.update(overrides)
    return {name: value for name, value in made.items() if value is not None}


def failed(
    category: str = "overloaded", status: int | None = 529, at: datetime = NOW, **overrides: Any
) -> dict[str, Any]:
    """A call that failed after 800 ms, on the wire; with an HTTP status it cost nothing."""
    attempt: dict[str, Any] = {"n": 1, "duration_ms": 800, "category": category}
    error: dict[str, Any] = {"category": category, "message": f"{category} for a test"}
    if status is not None:
        attempt["status"] = error["status"] = status
    gone = dict.fromkeys(("usage", "stop_reason", "ttft_ms", "model"))
    defaults: dict[str, Any] = {"outcome": "error", "duration_ms": 800, "attempts": [attempt], "error": error, **gone}
    return event(at, **(defaults | overrides))


def stored(
    owner: Project,
    *events: dict[str, Any],
    at: datetime = NOW,
    environment: str = "production",
    now: datetime | None = None,
    **overrides: Any,
) -> Receipt:
    """Stores these wire events; without any, one `event(at, **overrides)`. Goes through `ingest.store`, as all do."""
    documents = events or (event(at, **overrides),)
    origin = Origin(owner.pk, environment, owner.infra_nanousd_per_request, owner.infra_nanousd_per_token)
    return store([wire.event_of(document) for document in documents], origin=origin, now=now or at)


def scored(owner: Project, *told: dict[str, Any], now: datetime = NOW) -> None:
    """Stores these scores, as they are on the wire, each of them good."""
    scores, rejected = wire.read_scores(list(told), now=now)
    assert rejected == []
    store((), origin=Origin(owner.pk, "production"), now=now, scored=scores)
