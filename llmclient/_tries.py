"""One model is asked, as often as the policy allows: breaker, turn, key, HTTP attempt, wait, and again."""

from collections.abc import Generator, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import anthropic
import httpx2
from anthropic import APIRequest

from llmclient import _errors, _eventstream, _limits, _retry
from llmclient._admission import Admitted, Refused, Ticket
from llmclient._breaker import Refusal
from llmclient._call import Failure, Outcome
from llmclient._effects import Close, Effect, Pause, Peek, Read, Send, SetAlarm, Wait
from llmclient._exceptions import CircuitOpen, DeadlineExceeded, LocalRateLimited
from llmclient._headers import Heard, plain
from llmclient._keys import Key
from llmclient._outcomes import Failed, Succeeded
from llmclient._quietly import logger, quietly
from llmclient._recording import failure_of, failure_of_answer, lend, message_in
from llmclient._retries import Retries
from llmclient._shared import Shared
from llmclient._sse import StreamReader
from llmclient._turn import Turn
from llmclient._watch import BodyWatch, Patience, StreamWatch, Watch, decoder
from llmclient._watchdog import hang_up

if TYPE_CHECKING:
    from llmclient._conduct import Conduct

EVENT_STREAM: Final = "text/event-stream"
RAW_RESPONSE: Final = "X-Stainless-Raw-Response"  # how the SDK notes that the application reads the answer itself
PUSHED_BACK: Final = ("rate_limit", "ramp_limit", "overloaded")

Steps = Generator[Effect, Any, Succeeded | Failed]


class Tries:
    """The attempts of one call at one model. `body` is the request where it is another than the caller's."""

    __slots__ = ("_body", "_conduct", "_engine", "_fast", "_group", "_model", "_retries", "_sent_at", "_waited")

    def __init__(self, conduct: "Conduct", body: Mapping[str, Any] | None = None) -> None:
        self._conduct = conduct
        self._engine = conduct.engine
        self._body = body
        self._model = None if body is None else str(body.get("model"))
        self._fast = (conduct.body if body is None else body).get("speed") == "fast"
        self._group = conduct.engine.guards.group(self._model or conduct.model, fast=self._fast)
        self._retries: Retries | None = None
        self._waited = 0.0
        self._sent_at = 0.0

    def run(self) -> Steps:
        """Until there is an answer, or no hope of one."""
        while True:
            tried = yield from self._attempt()
            if isinstance(tried, Succeeded):
                quietly(self._group.succeeded)
                return tried
            wait = yield from self._wait_after(tried)
            if wait is None:
                return tried
            if tried.result is not None:
                yield Close(tried.result.http_response)
            logger.debug("retrying %s in %.3f s after %s", self._conduct.request.url, wait, tried.category)
            self._waited = wait
            if wait > 0:
                yield Pause(wait)

    def _wait_after(self, failed: Failed) -> Generator[Effect, Any, float | None]:
        """Seconds until the next attempt; None when there is none."""
        if failed.local:
            return None
        if failed.category == "authentication" and (yield from self._conduct.next_key()):
            return 0.0
        if self._retries is None:
            self._retries = self._group.retries(self._conduct.retry)
        return self._group.pay_retry(
            self._retries,
            failed.category,
            status=failed.failure.status,
            retry_after=failed.retry_after,
            should_retry=failed.should_retry,
            remaining=self._conduct.until - self._engine.clock(),
            shown=False,
        )

    def _attempt(self) -> Steps:
        engine, group, policy = self._engine, self._group, self._conduct.policy
        now = engine.clock()
        left = self._conduct.until - now
        if left <= 0:
            return _too_late(None)
        shared = quietly(engine.guards.shared)
        if shared is not None and policy.breaker is not None:
            yield from shared.heed(group, engine.clock())
        permit = quietly(group.admit, engine.clock(), left) if policy.breaker is not None else None
        if isinstance(permit, Refusal):
            return self._circuit_open(permit)
        admitted: Admitted | Refused | None = None
        if policy.limits is not None:
            began = engine.clock()
            try:
                admitted = yield from self._enter(min(policy.limits.max_wait, left), began, shared)
            except BaseException:  # a cancellation while waiting
                quietly(group.return_permit, permit, engine.clock())
                raise
            finally:
                self._conduct.queued(engine.clock() - began)
        if isinstance(admitted, Refused):
            quietly(group.return_permit, permit, engine.clock())
            return _rate_limited(admitted)
        turn = Turn(group, permit, admitted, engine.clock, shared)
        try:
            return (yield from self._send(turn))
        except BaseException as error:  # what was reserved is given back, whatever happened
            turn.over(_errors.category(error))
            raise

    def _enter(
        self, patience: float, began: float, shared: Shared | None
    ) -> Generator[Effect, Any, Admitted | Refused | None]:
        """A turn under the rate limits; waits in the queue for as long as the policy and the deadline allow."""
        conduct, clock, group = self._conduct, self._engine.clock, self._group
        if shared is not None:
            quietly(group.take_share, divided=shared.is_up, now=began)
        admitted = quietly(
            group.enter, conduct.want(), priority=conduct.policy.priority, patience=patience, now=clock()
        )
        if isinstance(admitted, Ticket):
            admitted = yield from self._wait_turn(admitted)
        if shared is None or not isinstance(admitted, Admitted):
            return admitted
        try:
            wait = yield from shared.enter(group, admitted.want, patience - (clock() - began))
        except BaseException:  # a cancellation while waiting
            quietly(group.abandon, admitted, clock())
            raise
        if wait:
            quietly(group.abandon, admitted, clock())
            return Refused(wait)
        return admitted

    def _wait_turn(self, ticket: Ticket) -> Generator[Effect, Any, Admitted | Refused | None]:
        clock, group = self._engine.clock, self._group
        try:
            alarm = yield SetAlarm()
            ticket.wake = alarm.ring
            while True:
                answer = quietly(group.poll, ticket, clock())
                if not isinstance(answer, float | int):
                    return answer
                yield Wait(alarm, answer)
        except BaseException:  # a cancellation while waiting
            quietly(group.abandon, ticket, clock())
            raise

    def _send(self, turn: Turn) -> Steps:
        conduct = self._conduct
        key = None if self._engine.keys is None else (yield from conduct.key())
        self._sent_at = now = self._engine.clock()
        request, seconds = self._prepared(conduct.until - now, key)
        conduct.note("attempt", self._waited, self._model, None if key is None else key.alias)
        try:
            result = yield Send(request, seconds)
        except Exception as error:  # noqa: BLE001  # whatever it is: the policy decides what becomes of it
            return self._raised(error, turn)
        except BaseException as error:  # what was raised is told, also Ctrl-C
            conduct.note("raised", error, _errors.category(error))
            raise
        return (yield from self._look_at(result, turn))

    def _prepared(self, left: float, key: Key | None) -> tuple[APIRequest, float]:
        """The request of this attempt, numbered as the SDK numbers its retries, and the seconds it may take."""
        conduct, given = self._conduct, self._conduct.request
        options = given.options.model_copy()
        options.timeout = conduct.attempt_timeout(left)
        if key is not None:
            options.headers = {**given.headers, **key.headers}
        if self._body is not None:
            options.json_data = dict(self._body)
        request = APIRequest(
            options=options,
            cast_to=given.cast_to,
            stream=given.stream,
            stream_cls=given.stream_cls,
            retries_taken=conduct.attempts_made,
        )
        return request, min(left, conduct.policy.timeout.first_token) if given.stream else left

    # --- what became of it ----------------------------------------------------------------------------------------

    def _raised(self, error: Exception, turn: Turn) -> Failed:
        category = _errors.category(error)
        if type(error) is TimeoutError:  # ours, of the async shell: told as the SDK tells its own
            request = httpx2.Request(self._conduct.request.method, self._conduct.request.url)
            timed_out = anthropic.APITimeoutError(request)
            timed_out.__cause__ = error
            error = timed_out
        turn.over(category)
        self._conduct.note("raised", error, category)
        if category == "timeout" and self._engine.clock() >= self._conduct.until:
            return _too_late(error)
        headers = _retry.headers_behind(error)
        return Failed(
            failure_of(error, category),
            error=error,
            retry_after=_retry.retry_after(headers, now=self._engine.unix_time()),
            should_retry=headers.get("x-should-retry"),
        )

    def _look_at(self, result: Any, turn: Turn) -> Steps:
        conduct = self._conduct
        response = getattr(result, "http_response", None)
        if response is None:  # a middleware of the application's answered, without any HTTP
            turn.over(None)
            conduct.note("ended", None)
            conduct.source("cache")
            return Succeeded(result)
        heard = quietly(self._hear, response, turn) or Heard({}, {})
        if not response.is_success:
            return (yield from self._refused(result, response, heard, turn))
        if not conduct.is_measured:
            turn.over(None)
            quietly(conduct.look_beside, response)
            return Succeeded(result)
        try:
            body = response.content
        except httpx2.ResponseNotRead:
            return (yield from self._follow(result, response, heard, turn))
        return self._read(result, response, heard, body, turn)

    def _hear(self, response: Any, turn: Turn) -> Heard:
        """What the headers say, learned by whoever wants to know it."""
        headers = plain(response, fast=self._fast)
        limits = _limits.snapshot(headers)
        engine = self._engine
        unix_now, now = engine.unix_time(), engine.clock()
        if limits and self._conduct.operation == "messages":  # counting tokens has limits of its own
            quietly(self._group.learn, headers, limits, unix_now=unix_now, now=now, sent_at=self._sent_at)
        if turn.shared is not None:
            quietly(turn.shared.learn, self._group, headers, unix_now=unix_now, age=now - self._sent_at)
        return Heard(headers, limits)

    def _refused(self, result: Any, response: Any, heard: Heard, turn: Turn) -> Steps:
        headers = heard.headers
        unread: Exception | None = None
        body: bytes | None = None
        try:
            body = yield Read(response)
        except httpx2.HTTPError as error:
            unread = error  # what the SDK would have met when it read the answer
        failure = failure_of_answer(response.status_code, body)
        wait = _retry.retry_after(headers, now=self._engine.unix_time())
        if failure.category in PUSHED_BACK and self._conduct.operation == "messages":
            quietly(self._group.refused, failure.category, wait, headers, self._engine.clock())
            if turn.shared is not None and failure.category == "rate_limit":
                quietly(turn.shared.refused, self._group, headers, wait)
        turn.over(failure.category)
        self._conduct.note("refused", response, heard, failure.category)
        return Failed(
            failure,
            error=unread,
            result=result,
            retry_after=wait,
            should_retry=headers.get("x-should-retry"),
        )

    def _read(self, result: Any, response: Any, heard: Heard, body: bytes, turn: Turn) -> Succeeded:
        conduct = self._conduct
        message = message_in(body)
        is_message = conduct.operation == "messages"
        conduct.note("answered", response, heard, message if is_message else None, body)
        if message is None and is_message:
            turn.over("invalid_output")
            conduct.note("ended", "invalid_output")
            failure = Failure("invalid_output", status=response.status_code, message="not a JSON message")
            return Succeeded(result, failure=failure)
        turn.over(None, None if message is None else message.get("usage"))
        if message is not None and RAW_RESPONSE not in conduct.request.headers:
            quietly(lend, response, message)
        return Succeeded(result, message)

    def _follow(self, result: Any, response: Any, heard: Heard, turn: Turn) -> Steps:
        """A body that is still to come: of a stream the first content is awaited, until then it can be tried again."""
        conduct = self._conduct
        conduct.note("streams", response, heard)
        following = Following(conduct, turn)
        watch = quietly(self._watch, response, following)
        if watch is None:
            following.body_over(None, "ok", None)
            return Succeeded(result)
        end = None if self._engine.is_async else quietly(hang_up, response)
        body = self._engine.body_class(response.stream, watch, read_timeout=conduct.read_timeout, hang_up=end)
        response.stream = body
        held = conduct.holds_back
        if isinstance(watch, BodyWatch) and not held:
            following.hand_over()
            return Succeeded(result, is_over=False)
        try:
            yield Peek(body, whole=held)
        except Exception as error:  # noqa: BLE001  # nothing has been shown: the policy decides
            failure = following.failure or failure_of(error, _errors.category(error))
            turn.over(failure.category)
            yield Close(response)
            return Failed(failure, error=error)
        if isinstance(watch, BodyWatch):
            return Succeeded(result, message=message_in(body.so_far))
        reader = watch.reader
        if held or (reader.stopped and reader.stop_reason == "refusal"):
            # It has come to its end, and nothing of it has been shown.
            return Succeeded(result, message=reader.message(), reader=reader)
        following.hand_over()
        return Succeeded(result, reader=reader, is_over=False)

    def _watch(self, response: Any, following: "Following") -> Watch:
        conduct, engine = self._conduct, self._engine
        kind = response.headers.get("content-type", "")
        try:
            decode = decoder(response.headers.get("content-encoding", ""))
        except LookupError:
            decode, kind = None, ""  # in an encoding nobody here can undo: nothing to look into
        assert conduct.recording is not None
        if kind.startswith(_eventstream.KIND) and decode is None:
            decode, kind = _eventstream.FrameDecoder(), EVENT_STREAM
        if not kind.startswith(EVENT_STREAM):
            return BodyWatch(following, decode=decode, readable="json" in kind)
        rules = conduct.policy.timeout
        patience = Patience(engine.clock, self._sent_at + rules.first_token, rules.idle, conduct.until)
        call = conduct.recording.call
        return StreamWatch(
            following, call, response.request, decode=decode, clock=conduct.recording.clock, patience=patience
        )

    def _circuit_open(self, refusal: Refusal) -> Failed:
        at = datetime.fromtimestamp(self._engine.unix_time(), UTC) + timedelta(seconds=refusal.retry_in)
        message = f"Calls to {self._group.name} fail, so none is tried before {at:%H:%M:%S} UTC"
        error = CircuitOpen(message, retry_at=at)
        return Failed(Failure("circuit_open", message=message), error=error, local=True)


class Following:
    """Hears how a followed body ended: first for the engine, and once it is handed over for the whole call."""

    def __init__(self, conduct: "Conduct", turn: Turn) -> None:
        self._conduct = conduct
        self._turn = turn
        self._end: tuple[Outcome, Failure | None, StreamReader | None] | None = None
        self._handed_over = False

    @property
    def failure(self) -> Failure | None:
        return None if self._end is None else self._end[1]

    def stream_over(self, reader: StreamReader, outcome: Outcome, failure: Failure | None) -> None:
        category = None if failure is None else failure.category
        # What the caller's deadline cut off was too slow, whoever is to blame.
        self._turn.over("timeout" if category == "deadline_exceeded" else category, quietly(reader.settled_usage))
        self._conduct.note("read", reader, category)
        self._over(outcome, failure, reader)

    def body_over(self, body: bytes | None, outcome: Outcome, failure: Failure | None) -> None:
        message: Mapping[str, Any] | None = None if body is None else message_in(body)
        category = None if failure is None else failure.category
        if message is not None and body is not None:
            self._conduct.note("message", message, body)
        elif outcome == "ok":
            self._conduct.note("unseen")
        self._conduct.note("ended", category)
        self._turn.over(category, None if message is None else message.get("usage"))
        self._over(outcome, failure, None)

    def hand_over(self) -> None:
        """The caller has the body now; what was heard before counts."""
        self._handed_over = True
        if self._end is not None:
            self._conduct.finish(*self._end)

    def _over(self, outcome: Outcome, failure: Failure | None, reader: StreamReader | None) -> None:
        self._end = (outcome, failure, reader)
        if self._handed_over:
            self._conduct.finish(*self._end)


def _too_late(cause: Exception | None) -> Failed:
    message = "The time for the call is used up"
    error = DeadlineExceeded(message)
    error.__cause__ = cause
    return Failed(Failure("deadline_exceeded", message=message), error=error, local=True)


def _rate_limited(refused: Refused) -> Failed:
    message = f"The rate limit leaves no room, and a turn is more than {refused.wait:.1f} s away"
    error = LocalRateLimited(message, retry_after=refused.wait)
    return Failed(Failure("local_rate_limited", message=message), error=error, local=True)
