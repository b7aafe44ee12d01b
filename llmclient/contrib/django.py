"""For Django: `"llmclient.contrib.django.ContextMiddleware"` in MIDDLEWARE, after those for sessions and users.

Every Claude call made while a request is served is labelled with its user, its session and its request id.
"""

import uuid
from collections.abc import Awaitable, Callable, Mapping
from hashlib import sha256
from typing import Any, Final

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.http import HttpRequest, HttpResponseBase

from llmclient._context import late_labels

REQUEST_ID_HEADER: Final = "X-Request-ID"
SESSION_LENGTH: Final = 32  # hex digits

GetResponse = Callable[[HttpRequest], HttpResponseBase] | Callable[[HttpRequest], Awaitable[HttpResponseBase]]


class ContextMiddleware:
    """Opens a context around each request, for sync and async views alike.

    Nothing is looked up until a call is made: a request without one costs no query for its user. In an async view the
    user is known once the view, or a middleware before it, has asked for it.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: GetResponse) -> None:
        self._get_response: Any = get_response
        if iscoroutinefunction(get_response):
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> Any:
        if iscoroutinefunction(self):
            return self._call_async(request)
        with late_labels(lambda: labels_of(request, may_query=True)):
            return self._get_response(request)

    async def _call_async(self, request: HttpRequest) -> HttpResponseBase:
        with late_labels(lambda: labels_of(request, may_query=False)):
            response: HttpResponseBase = await self._get_response(request)
            return response


def labels_of(request: HttpRequest, *, may_query: bool) -> Mapping[str, Any]:
    """What `llmclient.context` is told of a request. `may_query`: whether its user may be fetched now."""
    return {
        "user_id": _user_id(request, may_query=may_query),
        "session_id": _session_id(request),
        "tags": {"request_id": _request_id(request)},
    }


def _user_id(request: HttpRequest, *, may_query: bool) -> object:
    user = getattr(request, "_acached_user", None) or getattr(request, "_cached_user", None)
    if user is None and may_query:
        user = getattr(request, "user", None)
    return user.pk if user is not None and user.is_authenticated else None


def _session_id(request: HttpRequest) -> str | None:
    """Stands for the session and does not open it: the key itself would."""
    key = getattr(getattr(request, "session", None), "session_key", None)
    return None if not key else sha256(key.encode()).hexdigest()[:SESSION_LENGTH]


def _request_id(request: HttpRequest) -> str:
    """The one a proxy gave, or one of our own, the same for all calls of the request."""
    known: str | None = request.headers.get(REQUEST_ID_HEADER) or getattr(request, "_llmclient_request_id", None)
    if known is None:
        known = request._llmclient_request_id = str(uuid.uuid4())  # type: ignore[attr-defined]  # ours to keep there
    return known
