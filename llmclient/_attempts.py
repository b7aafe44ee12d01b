"""The attempts of one call: what to send next, and whether to go on. Shared by the sync and the async middleware.

The SDK runs its middleware once per attempt, inside its own retry loop, where nobody can see which attempt is the
last. So an instrumented client has that loop switched off, and the same policy runs here, around the whole chain:
one call, one event, and the waits between attempts are known.
"""

import random
import time
from typing import Any

from anthropic import APIRequest

from llmclient import _retry
from llmclient._quietly import logger, quietly
from llmclient._recording import Recording


class Attempts:
    """Decides after each attempt; does no I/O and does not sleep."""

    def __init__(self, request: APIRequest, retries: int, recording: Recording | None) -> None:
        self._request = request
        # The low-level `client.post(..., options={"max_retries": n})` leaves the retries to the SDK.
        self._retries = 0 if isinstance(request.max_retries, int) or request.retries_taken > 0 else retries
        self._recording = recording
        self._taken = 0
        self._waited = 0.0

    def next_request(self) -> APIRequest:
        """The request of the next attempt, numbered as the SDK numbers its retries."""
        if self._recording is not None:
            quietly(self._recording.attempt, self._waited)
        if self._taken == 0:
            return self._request
        request = self._request
        return APIRequest(
            options=request.options,
            cast_to=request.cast_to,
            stream=request.stream,
            stream_cls=request.stream_cls,
            retries_taken=self._taken,
        )

    def wait_after_error(self, error: BaseException) -> float | None:
        """Seconds until the next attempt; None when the error is the caller's."""
        wait: float | None = None
        if isinstance(error, Exception) and self._taken < self._retries:
            worth_it, response = _retry.retryable_cause(error)
            wait = self._wait(response) if worth_it else None
        if self._recording is not None:
            quietly(self._recording.raised, error, final=wait is None)
        return wait

    def wait_after_refusal(self, response: Any, body: bytes | None) -> float | None:
        """Seconds until the next attempt after an error status; None when the answer is the caller's."""
        again = self._taken < self._retries and _retry.is_retryable(response.status_code, response.headers)
        wait = self._wait(response) if again else None
        if self._recording is not None:
            quietly(self._recording.refused, response, body, final=wait is None)
        return wait

    def interrupted(self, error: BaseException) -> None:
        """The caller was stopped while waiting."""
        if self._recording is not None:
            quietly(self._recording.interrupted, error)

    def _wait(self, response: Any) -> float:
        headers = {} if response is None else response.headers
        wait = _retry.wait_before(self._taken, headers, chance=random.random, now=time.time())
        self._taken += 1
        self._waited = wait
        logger.debug("retrying %s in %.3f s", self._request.url, wait)
        return wait
