"""The two requests of docs/leases.md over HTTP; what an answer means is decided elsewhere."""

import json
import logging
import time
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import httpx2

from llmclient import _retry
from llmclient._version import __version__

THREAD_NAME: Final = "llmclient-leases"
CONNECT_SECONDS: Final = 2.0
TOTAL_SECONDS: Final = 5.0


class Reply(NamedTuple):
    """`status` None: none came, and `reason` says why. `body` is empty when it is no JSON object."""

    status: int | None
    body: Mapping[str, Any] = {}
    tag: str | None = None
    retry_after: float | None = None
    reason: str = ""


class Line:
    """Talks to one server with one key, over a connection of its own. `base` is the address before /api/v1."""

    def __init__(self, base: str, key: str) -> None:
        logging.getLogger("httpx2").addFilter(_asked_for_by_the_host)
        self._base = base.rstrip("/")
        self._client = httpx2.Client(
            timeout=httpx2.Timeout(TOTAL_SECONDS, connect=CONNECT_SECONDS),
            limits=httpx2.Limits(max_connections=1),
            headers={"authorization": f"Bearer {key}", "user-agent": f"llmclient/{__version__}"},
            verify=self._base.startswith("https:"),  # without TLS there is no need to load the certificates
        )

    def policy(self, tag: str | None, prices: str) -> Reply:
        """The policy, unless it is still the one with that tag; `prices` is the version of the prices at hand."""
        headers = {} if tag is None else {"if-none-match": tag}
        return self._ask("GET", "/api/v1/policy", params={"prices": prices}, headers=headers)

    def leases(self, body: Mapping[str, Any]) -> Reply:
        """One exchange about leases."""
        headers = {"content-type": "application/json"}
        return self._ask("POST", "/api/v1/leases", content=json.dumps(body).encode(), headers=headers)

    def _ask(self, method: str, path: str, **more: Any) -> Reply:
        try:
            response = self._client.request(method, self._base + path, **more)
        except httpx2.HTTPError as error:
            return Reply(None, reason=type(error).__name__)
        try:
            body = response.json()
        except ValueError:
            body = {}
        body = body if isinstance(body, dict) else {}
        retry_after = _retry.retry_after(response.headers, now=time.time())
        reason = f"{response.status_code} {body.get('error', '')}"[:300]
        return Reply(response.status_code, body, response.headers.get("etag"), retry_after, reason)


def _asked_for_by_the_host(record: logging.LogRecord) -> bool:
    return record.threadName != THREAD_NAME
