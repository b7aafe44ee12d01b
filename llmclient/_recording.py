"""Telemetry — step 1 of 8: a Claude call, with all its attempts, becomes one event.

No I/O and no clock of its own: the engine tells what happened, the clock is passed in. Every method may be wrong
without harm, because the engine calls each of them through `quietly`.
"""

import json
import weakref
from collections.abc import Callable, Mapping
from typing import Any, Final

from llmclient import _errors, _retry
from llmclient._call import Attempt, Call, Failure, Operation, Outcome
from llmclient._errors import Category
from llmclient._headers import Heard
from llmclient._sse import StreamReader

PATHS: Final[Mapping[str, Operation]] = {"/v1/messages": "messages", "/v1/messages/count_tokens": "count_tokens"}


def operation_of(method: str, url: str) -> Operation | None:
    """The operation a request is measured as; None for what makes no event (models, files …)."""
    return PATHS.get(url.partition("?")[0]) if method.lower() == "post" else None


def params_of(body: Mapping[str, Any]) -> dict[str, Any]:
    """What of the request shapes its cost and speed; no content."""
    found: dict[str, Any] = {"max_tokens": body.get("max_tokens")}
    if "speed" in body:
        found["speed"] = body["speed"]
    if "output_config" in body and isinstance(output := body["output_config"], Mapping):
        found["effort"] = output.get("effort")
    if "tools" in body and isinstance(tools := body["tools"], list):
        found["tools"] = len(tools)
    return {key: value for key, value in found.items() if isinstance(value, str | int | float)}


class Recording:
    """Follows one call from its start to its end, then hands it on, once."""

    __slots__ = ("_hand_on", "_started", "_unix_time", "call", "clock")

    def __init__(
        self, call: Call, hand_on: Callable[[Call], None], *, clock: Callable[[], float], unix_time: Callable[[], float]
    ) -> None:
        self.call = call
        self._hand_on: Callable[[Call], None] | None = hand_on
        self.clock = clock
        self._unix_time = unix_time
        self._started = clock()

    def attempt(self, waited: float, model: str | None = None, key_alias: str | None = None) -> None:
        """Another attempt is about to be sent, `waited` seconds after the one before was over."""
        attempts = self.call.attempts
        start = self.clock() - self._started
        attempts.append(Attempt(len(attempts) + 1, start, waited, model=model, key_alias=key_alias))

    def raised(self, error: BaseException, category: Category) -> None:
        """The attempt ended in an exception."""
        attempt = self._close_attempt()
        attempt.status = getattr(error, "status_code", None)
        attempt.category = category
        attempt.request_id = self.call.request_id = getattr(error, "request_id", None)
        self._keep_request(getattr(error, "request", None))

    def refused(self, response: Any, heard: Heard, category: Category) -> None:
        """The attempt was answered with an error status."""
        attempt = self._close_attempt()
        self._note_headers(attempt, response, heard)
        attempt.retry_after = _retry.retry_after(heard.headers, now=self._unix_time())
        attempt.category = category
        self._keep_request(response.request)

    def streams(self, response: Any, heard: Heard) -> None:
        """The attempt was answered and its body is still to come."""
        self._note_headers(self.call.attempts[-1], response, heard)
        self._keep_request(response.request)

    def answered(self, response: Any, heard: Heard, message: Mapping[str, Any] | None, body: bytes) -> None:
        """The attempt was answered in full; `message` is what it says, where that could be read and is of use."""
        self.streams(response, heard)
        self._close_attempt()
        if message is not None:
            self.message(message, body)

    def message(self, message: Mapping[str, Any], body: bytes) -> None:
        """What the answer says."""
        call = self.call
        call.model = message.get("model")
        call.usage = message.get("usage")
        self._note_stop(message.get("stop_reason"), message.get("stop_details"))
        call.received = body

    def read(self, reader: StreamReader, category: Category | None) -> None:
        """A stream is over: at its end, broken off, or closed by the caller."""
        attempt = self._close_attempt()
        attempt.category = category
        call = self.call
        began = self._started + attempt.start
        call.ttft = None if reader.first_delta_at is None else reader.first_delta_at - began
        call.ttft_text = None if reader.first_text_at is None else reader.first_text_at - began
        call.model = reader.model
        call.usage = reader.settled_usage() or None
        call.usage_complete = reader.usage_final
        self._note_stop(reader.stop_reason, reader.stop_details)
        call.received = reader

    def unseen(self) -> None:
        """The attempt was answered, and what the answer said is not known."""
        self._close_attempt()
        self.call.usage_complete = False

    def ended(self, category: Category | None) -> None:
        """The attempt is over, and all there is to know about its end is why."""
        self._close_attempt().category = category

    def finish(self, outcome: Outcome, failure: Failure | None = None) -> bool:
        """Sets how the call ended and hands it on; only the first end counts, and returns True."""
        hand_on, self._hand_on = self._hand_on, None
        if hand_on is None:
            return False
        self.call.duration = self.clock() - self._started
        self.call.outcome = outcome
        self.call.error = failure
        hand_on(self.call)
        return True

    @property
    def is_over(self) -> bool:
        return self._hand_on is None

    def _close_attempt(self) -> Attempt:
        attempt = self.call.attempts[-1]
        attempt.duration = self.clock() - self._started - attempt.start
        return attempt

    def _note_headers(self, attempt: Attempt, response: Any, heard: Heard) -> None:
        attempt.status = response.status_code
        attempt.request_id = self.call.request_id = heard.headers.get("request-id")
        self.call.limits = heard.limits

    def _note_stop(self, reason: str | None, details: Mapping[str, Any] | None) -> None:
        self.call.stop_reason = reason
        said = details.get("category") if details is not None else None
        self.call.stop_category = said if isinstance(said, str) else None

    def _keep_request(self, request: Any) -> None:
        # The bytes the SDK serialised: unlike the application's list of messages they never change afterwards.
        content = getattr(request, "content", None)
        if isinstance(content, bytes):
            self.call.sent = content


def failure_of(error: BaseException, category: Category) -> Failure:
    """What is told of an exception."""
    failure = Failure(category, type(error).__name__, status=getattr(error, "status_code", None))
    if isinstance(type_ := getattr(error, "type", None), str):
        failure.type, failure.code = type_, getattr(error, "error_code", None)
        failure.message = getattr(error, "api_message", None)
    return failure


def failure_of_answer(status: int, body: bytes | None) -> Failure:
    """What is told of an answer with an error status; `body` is None when it could not be read."""
    type_, code, message = _errors.describe(body)
    return Failure(_errors.of_answer(status, type_, code, message), type_, code, status, message or None)


def lend(response: Any, message: Mapping[str, Any]) -> None:
    """The SDK reads an answer that came in one piece once more: it is given what was read here.

    Once, and where nothing else is asked for: who reads it after that may have changed it.
    """

    whole = weakref.ref(response)  # a response that held itself would be left to the garbage collector

    def json(**options: Any) -> Any:
        asked: Any = whole()
        vars(asked).pop("json", None)
        return asked.json(**options) if options else message

    response.json = json


def message_in(body: bytes) -> dict[str, Any] | None:
    """The message a plain answer holds; None when it holds none."""
    try:
        message = json.loads(body)
    except ValueError:
        return None
    return message if isinstance(message, dict) else None
