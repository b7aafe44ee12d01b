"""What the provider says its limits are: read from its Rate Limits API when there is an admin key for it.

Only the limits of messages are kept, per group of models; counting tokens, batches and files have limits of their own
that no call recorded here draws on. The key is sent to the provider and written nowhere.
"""

from collections.abc import Iterator
from datetime import datetime
from http.client import HTTPException
from typing import Final
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import HTTPRedirectHandler, Request, build_opener

import msgspec
from django.conf import settings
from django.db import transaction
from msgspec import Struct

from ingest import model_groups
from ingest.models import ProviderLimit

# The provider's names of what we call requests, input and output.
LIMITERS: Final = {
    "requests_per_minute": "requests",
    "input_tokens_per_minute": "input",
    "input_tokens_per_minute_cache_aware": "input",
    "output_tokens_per_minute": "output",
}
TIMEOUT: Final = 20  # seconds
_VERSION: Final = "2023-06-01"
_MOST_BYTES: Final = 4_000_000
_MOST_PAGES: Final = 20


class UnreadableError(Exception):
    """The limits could not be read; the message says why, without the key."""


class _Value(Struct):
    type: str
    value: int


class _Group(Struct):
    type: str


class _Entry(Struct):
    group: _Group
    limits: list[_Value]
    models: list[str] | None = None


class _Page(Struct):
    data: list[_Entry]
    next_page: str | None = None


Limits = dict[tuple[str, str], int]
"""(group, limiter) → per minute."""


def refresh(*, now: datetime) -> int:
    """Replace what is known by what the provider says now; without a key nothing is known. Returns the limits kept.

    Raises UnreadableError; what was read before then stays, with its age.
    """
    found = read(settings.ANTHROPIC_API_URL, settings.ANTHROPIC_ADMIN_KEY) if settings.ANTHROPIC_ADMIN_KEY else {}
    rows = [
        ProviderLimit(group=group, limiter=limiter, value=value, read_at=now)
        for (group, limiter), value in sorted(found.items())
    ]
    with transaction.atomic():
        ProviderLimit.objects.all().delete()
        ProviderLimit.objects.bulk_create(rows)
    return len(rows)


def read(url: str, key: str) -> Limits:
    """Ask the provider. Raises UnreadableError."""
    found: Limits = {}
    for entry in _entries(url, key):
        if entry.group.type != "model_group":
            continue
        # One entry of theirs may span several groups of ours: each may use all of it.
        for group in {model_groups.group_of(model)[:100] for model in entry.models or ()}:
            for limit in entry.limits:
                limiter = LIMITERS.get(limit.type)
                if limiter is not None and 0 < limit.value < 2**63:
                    found[group, limiter] = min(found.get((group, limiter), limit.value), limit.value)
    return found


def _entries(url: str, key: str) -> Iterator[_Entry]:
    page: str | None = None
    for _ in range(_MOST_PAGES):
        asked = {"group_type": "model_group"} | ({} if page is None else {"page": page})
        answer = _get(f"{url}/v1/organizations/rate_limits?{urlencode(asked)}", key)
        yield from answer.data
        page = answer.next_page
        if page is None:
            return


class _NoRedirects(HTTPRedirectHandler):
    """The key is for the address in the settings and no other."""

    def redirect_request(self, *_: object) -> None:
        return None


def _get(address: str, key: str) -> _Page:
    try:
        request = Request(address, headers={"x-api-key": key, "anthropic-version": _VERSION})  # noqa: S310 — a setting
        with build_opener(_NoRedirects).open(request, timeout=TIMEOUT) as answer:
            return msgspec.json.decode(answer.read(_MOST_BYTES), type=_Page)
    except HTTPError as error:
        raise UnreadableError(f"the Rate Limits API answered {error.code}") from None
    except (OSError, HTTPException, ValueError) as error:
        # ValueError: not JSON, not in this form, or a setting that is no address. The text may quote a header.
        raise UnreadableError(f"the Rate Limits API could not be read: {type(error).__name__}") from None
