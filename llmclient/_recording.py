"""Telemetry — step 1 of 8: a Claude call, with all its attempts, becomes one event.

No I/O and no clock of its own: the middleware tells what happened, the clock is passed in. Every method may be wrong
without harm, because the middleware calls each of them through `quietly`.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from llmclient import _errors, _limits, _retry
from llmclient._call import Attempt, Call, Failure, Operation, Outcome
from llmclient._sse import StreamReader

PATHS: Final[Mapping[str, Operation]] = {"/v1/messages": "messages", "/v1/messages/count_tokens": "count_tokens"}


def operation_of(method: str, url: str) -> Operation | None:
    """The operation a request is measured as; None for what makes no event (batches, models, files …)."""
    return PATHS.get(url.partition("?")[0]) if method.lower() == "post" else None


def params_of(body: Mapping[str, Any]) -> dict[str, Any]:
    """What of the request shapes its cost and speed; no content."""
    found = {"max_tokens": body.get("max_tokens"), "speed": body.get("speed")}
    output = body.get("output_config")
    if isinstance(output, Mapping):
        found["effort"] = output.get("effort")
    if isinstance(tools := body.get("tools"), list):
        found["tools"] = len(tools)
    return {key: value for key, value in found.items() if isinstance(value, str | int | float)}


class Recording:
    """Follows one call from its start to its end, then hands it on, once."""

    __slots__ = ("_captures", "_hand_on", "_started", "_unix_time", "call", "clock")

    def __init__(
        self,
        call: Call,
        hand_on: Callable[[Call], None],
        *,
        captures: bool,
        clock: Callable[[], float],
        unix_time: Callable[[], float],
    ) -> None:
        self.call = call
        self._hand_on: Callable[[Call], None] | None = hand_on
        self._captures = captures
        self.clock = clock
        self._unix_time = unix_time
        self._started = clock()

    def attempt(self, waited: float) -> None:
        """Another attempt is about to be sent, `waited` seconds after the one before was over."""
        attempts = self.call.attempts
        attempts.append(Attempt(len(attempts) + 1, self.clock() - self._started, waited))

    def raised(self, error: BaseException, *, final: bool) -> None:
        """The attempt ended in an exception; `final` when it is the caller's to handle."""
        if self._hand_on is None:
            return
        attempt = self._close_attempt()
        attempt.status = getattr(error, "status_code", None)
        attempt.category = _errors.category(error)
        attempt.request_id = getattr(error, "request_id", None)
        if not final:
            return
        if self._captures:
            self._keep_request(getattr(error, "request", None))
        failure = Failure(attempt.category, type(error).__name__, status=attempt.status)
        if isinstance(type_ := getattr(error, "type", None), str):
            failure.type, failure.code = type_, getattr(error, "error_code", None)
            failure.message = getattr(error, "api_message", None)
        self.call.request_id = attempt.request_id
        self.finish("cancelled" if attempt.category == "cancelled" else "error", failure)

    def refused(self, response: Any, body: bytes | None, *, final: bool) -> None:
        """The attempt was answered with an error status; `body` is None when it could not be read."""
        type_, code, message = _errors.describe(body)
        attempt = self._close_attempt()
        self._note_headers(attempt, response)
        attempt.retry_after = _retry.retry_after(response.headers, now=self._unix_time())
        attempt.category = _errors.of_answer(response.status_code, type_, code, message)
        if final:
            if self._captures:
                self._keep_request(response.request)
            failure = Failure(attempt.category, type_, code, attempt.status, message or None)
            self.finish("cancelled" if attempt.category == "cancelled" else "error", failure)

    def interrupted(self, error: BaseException) -> None:
        """The caller went away while the next attempt was waited for."""
        category = _errors.category(error)
        self.finish("cancelled" if category == "cancelled" else "error", Failure(category, type(error).__name__))

    def streams(self, response: Any) -> None:
        """The attempt was answered and its body is still to come."""
        self._note_headers(self.call.attempts[-1], response)
        if self._captures:
            self._keep_request(response.request)

    def answered(self, response: Any, body: bytes) -> None:
        """The attempt was answered in full."""
        self.streams(response)
        self.complete(body)

    def complete(self, body: bytes) -> None:
        """The whole body of a plain answer is there."""
        if self._hand_on is None:
            return
        attempt = self._close_attempt()
        if self.call.operation == "messages":
            try:
                message = json.loads(body)
                self.call.model = message.get("model")
                self.call.usage = message.get("usage")
                self._note_stop(message.get("stop_reason"), message.get("stop_details"))
            except (ValueError, AttributeError):
                attempt.category = "invalid_output"
                self.finish("error", Failure("invalid_output", status=attempt.status, message="not a JSON message"))
                return
            if self._captures:
                self.call.received = body
        self.finish("ok")

    def answered_locally(self) -> None:
        """A middleware of the application's answered, without any HTTP."""
        self._close_attempt()
        self.call.source = "cache"
        self.finish("ok")

    def unseen(self) -> None:
        """The call was answered, and what the answer said is not known."""
        if self._hand_on is None:
            return
        self._close_attempt()
        self.call.usage_complete = False
        self.finish("ok")

    def cancelled(self) -> None:
        """The caller did not read the answer."""
        if self._hand_on is None:
            return
        self._close_attempt().category = "cancelled"
        self.finish("cancelled", Failure("cancelled"))

    def read(self, reader: StreamReader, outcome: Outcome, failure: Failure | None = None) -> None:
        """A stream is over: at its end, broken off, or closed by the caller. What follows changes nothing."""
        if self._hand_on is None:
            return
        attempt = self._close_attempt()
        attempt.category = failure.category if failure else None
        call = self.call
        began = self._started + attempt.start
        call.ttft = None if reader.first_delta_at is None else reader.first_delta_at - began
        call.ttft_text = None if reader.first_text_at is None else reader.first_text_at - began
        call.model = reader.model
        call.usage = reader.settled_usage() or None
        call.usage_complete = reader.usage_final
        self._note_stop(reader.stop_reason, reader.stop_details)
        if self._captures:
            call.received = reader
        self.finish(outcome, failure)

    def finish(self, outcome: Outcome, failure: Failure | None = None) -> None:
        """Sets how the call ended and hands it on; only the first end counts."""
        hand_on, self._hand_on = self._hand_on, None
        if hand_on is None:
            return
        self.call.duration = self.clock() - self._started
        self.call.outcome = outcome
        self.call.error = failure
        hand_on(self.call)

    def _close_attempt(self) -> Attempt:
        attempt = self.call.attempts[-1]
        attempt.duration = self.clock() - self._started - attempt.start
        return attempt

    def _note_headers(self, attempt: Attempt, response: Any) -> None:
        headers = response.headers
        attempt.status = response.status_code
        attempt.request_id = self.call.request_id = headers.get("request-id")
        self.call.limits = _limits.snapshot(headers)

    def _note_stop(self, reason: str | None, details: Mapping[str, Any] | None) -> None:
        self.call.stop_reason = reason
        said = details.get("category") if details is not None else None
        self.call.stop_category = said if isinstance(said, str) else None

    def _keep_request(self, request: Any) -> None:
        # The bytes the SDK serialised: unlike the application's list of messages they never change afterwards.
        self.call.sent = request.content if request is not None else None
