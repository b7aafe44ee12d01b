"""Hands one batch to the server and reads what its answer means for the batch."""

import logging
import time
from collections.abc import Callable
from typing import Any

import httpx2

from llmclient import _retry
from llmclient._answer import Answer
from llmclient._shipper import THREAD_NAME
from llmclient._version import __version__

CONNECT_SECONDS = 2.0
TOTAL_SECONDS = 5.0


class Post:
    """Sends to one server with one key, over a connection of its own."""

    def __init__(self, endpoint: str, key: str) -> None:
        self._endpoint = endpoint
        self._headers = {
            "authorization": f"Bearer {key}",
            "content-type": "application/json",
            "content-encoding": "gzip",
            "user-agent": f"llmclient/{__version__}",
        }
        self._client: httpx2.Client | None = None

    def __call__(self, body: bytes) -> Answer:
        try:
            if self._client is None:
                self._client = self._connect()
            response = self._client.post(self._endpoint, content=body, headers=self._headers)
        except httpx2.HTTPError as error:
            return Answer("later", reason=type(error).__name__)
        return read(response, now=time.time())

    def _connect(self) -> httpx2.Client:
        logging.getLogger("httpx2").addFilter(_asked_for_by_the_host)
        return httpx2.Client(
            timeout=httpx2.Timeout(TOTAL_SECONDS, connect=CONNECT_SECONDS),
            limits=httpx2.Limits(max_connections=1),
            # Without TLS there is no need to load the certificates, which takes a while.
            verify=self._endpoint.startswith("https:"),
        )


def _asked_for_by_the_host(record: logging.LogRecord) -> bool:
    """The HTTP client logs every request it makes; those of the sender are no news to the host."""
    return record.threadName != THREAD_NAME


def read(response: Any, *, now: float) -> Answer:
    """The meaning of an answer; statuses as in docs/events.md."""
    status = response.status_code
    if status == 200:
        body = _json(response.json)
        rejected = body.get("rejected") or []
        return Answer("stored", status, rejected=len(rejected), reason=str(rejected[:1])[:300])
    reason = str(_json(response.json).get("error", ""))[:300]
    if status in (401, 403):
        return Answer("no_entry", status, reason=reason)
    if status == 413:
        return Answer("too_large", status, reason=reason)
    if status in (408, 429) or status >= 500:
        return Answer("later", status, _retry.retry_after(response.headers, now=now), reason=reason)
    return Answer("refused", status, reason=reason)


def _json(parse: Callable[[], object]) -> dict[str, Any]:
    try:
        value = parse()
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
