"""The one object in the SDK's middleware slot: a thin sync and a thin async shell around the same core."""

import time
from typing import Any, Final

import anthropic
import anyio
import httpx2
from anthropic import APIRequest

from llmclient import _config, _context, _replay, _trace
from llmclient._attempts import Attempts
from llmclient._body import WatchedAsyncBody, WatchedBody
from llmclient._call import Call
from llmclient._ids import MINTER
from llmclient._quietly import quietly
from llmclient._recording import Recording, operation_of, params_of
from llmclient._watch import BodyWatch, StreamWatch, Watch, decoder

EVENT_STREAM: Final = "text/event-stream"


class Recorder(anthropic.Middleware):
    """Measures every call made through a client, and retries as the SDK would."""

    def __init__(self, retries: int) -> None:
        self.retries = retries

    def handle(self, request: APIRequest, call_next: Any) -> Any:
        recording = quietly(begin, request)
        attempts = Attempts(request, self.retries, recording)
        while True:
            try:
                result = call_next(attempts.next_request())
            except BaseException as error:  # a cancellation ends an attempt, too; what is not tried again is raised
                wait = attempts.wait_after_error(error)
                if wait is None:
                    raise
            else:
                response = getattr(result, "http_response", None)
                if response is None or response.is_success:
                    quietly(observe, recording, response, WatchedBody)
                    return result
                try:
                    body, unread = response.read(), None
                except httpx2.HTTPError as error:
                    body, unread = None, error
                wait = attempts.wait_after_refusal(response, body)
                if wait is None:
                    if unread is not None:
                        raise unread  # what the SDK would have met when it read the answer
                    return result
                response.close()
            try:
                time.sleep(wait)
            except BaseException as error:  # the caller went away while waiting
                attempts.interrupted(error)
                raise

    async def handle_async(self, request: APIRequest, call_next: Any) -> Any:
        recording = quietly(begin, request)
        attempts = Attempts(request, self.retries, recording)
        while True:
            try:
                result = await call_next(attempts.next_request())
            except BaseException as error:  # a cancellation ends an attempt, too; what is not tried again is raised
                wait = attempts.wait_after_error(error)
                if wait is None:
                    raise
            else:
                response = getattr(result, "http_response", None)
                if response is None or response.is_success:
                    quietly(observe, recording, response, WatchedAsyncBody)
                    return result
                try:
                    body, unread = await response.aread(), None
                except httpx2.HTTPError as error:
                    body, unread = None, error
                wait = attempts.wait_after_refusal(response, body)
                if wait is None:
                    if unread is not None:
                        raise unread
                    return result
                await response.aclose()
            try:
                await anyio.sleep(wait)
            except BaseException as error:  # the caller went away while waiting
                attempts.interrupted(error)
                raise


def begin(request: APIRequest) -> Recording | None:
    """Starts measuring; None for what makes no event."""
    operation = operation_of(request.method, request.url)
    if operation is None:
        return None
    body = request.json if isinstance(request.json, dict) else {}
    scope = _context.current()
    pin = _replay.take()
    model = body.get("model")
    unix_ms = time.time_ns() // 1_000_000 if pin is None else pin.started_ms
    call = Call(
        id=MINTER.mint(unix_ms) if pin is None else pin.call_id,
        started_ms=unix_ms,
        operation=operation,
        labels=scope.labels,
        stream=request.stream,
        model_requested=model if isinstance(model, str) else None,
        params=params_of(body),
        trace=_trace.current_ids(),
    )
    for handle in scope.handles:
        handle.add(call)
    settings = _config.current()
    clock = time.monotonic if pin is None else pin.clock
    return Recording(call, settings.emit, captures=settings.capture == "full", clock=clock, unix_time=time.time)


def observe(recording: Recording | None, response: Any, body_class: type[WatchedBody | WatchedAsyncBody]) -> None:
    """An answer is there: measures it if it was read, watches it if it is still to come."""
    if recording is None:
        return
    if response is None:
        recording.answered_locally()
        return
    try:
        content = response.content
    except httpx2.ResponseNotRead:
        recording.streams(response)
        kind = response.headers.get("content-type", "")
        try:
            decode = decoder(response.headers.get("content-encoding", ""))
        except LookupError:
            decode, kind = None, ""  # in an encoding nobody here can undo: nothing to look into
        watch: Watch
        if kind.startswith(EVENT_STREAM):
            watch = StreamWatch(recording, response.request, decode=decode, clock=recording.clock)
        else:
            watch = BodyWatch(recording, decode=decode, readable="json" in kind)
        response.stream = body_class(response.stream, watch)
    else:
        recording.answered(response, content)
