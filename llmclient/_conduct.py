"""One logical call, from its request to what the caller gets: the order of things.

context → validate input → budget reserve → cache → fallback chain [ tries of each model ] → filter output → settle →
emit. A generator that yields effects, so it does no I/O; see `_effects`.
"""

import time
from collections.abc import Generator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, get_args
from uuid import UUID

import anthropic
import httpx2
from anthropic import APIRequest

from llmclient import (
    _batch_items,
    _config,
    _context,
    _deadline,
    _errors,
    _replay,
    _synthetic,
    _trace,
    fallback,
    filters,
    validators,
)
from llmclient._admission import Want
from llmclient._call import Call, Failure, Operation, Outcome, Source
from llmclient._effects import Close, Effect
from llmclient._errors import Category
from llmclient._exceptions import CircuitOpen, Deferred, FallbackExhausted, LLMError, OutputFiltered, Rejected
from llmclient._ids import MINTER
from llmclient._keys import Key
from llmclient._later import LATER
from llmclient._outcomes import Failed, Succeeded
from llmclient._payment import NO_POLICY, Payment, exceeded
from llmclient._policy import Capture, Retry
from llmclient._privacy._sampling import place
from llmclient._quietly import quietly
from llmclient._recording import Recording, failure_of, params_of
from llmclient._run import Run
from llmclient._server_policy import POLL
from llmclient._size import characters_of
from llmclient._sse import StreamReader
from llmclient._tries import Tries
from llmclient._turn import counted

if TYPE_CHECKING:
    from llmclient._engine import Engine

Steps = Generator[Effect, Any, Any]
INFINITE: Final = float("inf")
SHORTEST: Final = 0.001  # seconds a socket is given: 0 would be a socket that never waits
CAPTURES: Final[tuple[Capture, ...]] = get_args(Capture)  # the one that keeps least comes first


@dataclass(frozen=True, slots=True)
class Given:
    """An answer of the fallback chain's own."""

    found: fallback.Answered


class Conduct:
    """See the module. Everything that only measures goes through `note`, and cannot harm the call."""

    __slots__ = (
        "_asked",
        "_characters",
        "_keys",
        "_payment",
        "_plan",
        "_scope",
        "_timeout",
        "_want",
        "attempts_made",
        "body",
        "engine",
        "labels",
        "model",
        "operation",
        "policy",
        "prompt_type",
        "recording",
        "request",
        "until",
    )

    def __init__(self, engine: "Engine", request: APIRequest, operation: Operation | None) -> None:
        self.engine = engine
        self.request = request
        self.operation = operation
        body = request.json
        self.body: Mapping[str, Any] = body if isinstance(body, dict) else {}
        model = self.body.get("model")
        self.model: str | None = model if isinstance(model, str) else None
        self._scope = _context.current()
        self.labels = self._scope.labels
        self.prompt_type: str | None = self.labels.get("prompt_type")
        self._plan = engine.plan_for(self.prompt_type, is_message=operation == "messages")
        self.policy = self._plan.policy
        self._timeout = request.timeout
        self._payment = Payment(self.policy.budgets, self.labels)
        self.recording: Recording | None = quietly(self._begin) if operation is not None else None
        self.until = self._deadline()
        self.attempts_made = request.retries_taken
        self._keys: list[Key] = []  # tried by this call, the last one in use
        self._characters = 0
        self._want: Want | None = None
        self._asked: fallback.Asked | None = None

    # --- the order of things --------------------------------------------------------------------------------------

    def run(self) -> Steps:
        """To the answer; raises what the caller is to handle."""
        try:
            self._check_input()
            tried: Succeeded | Failed | Given | None = None
            if self.operation == "messages":
                tried = yield from self._reserve()
            if tried is None and self._plan.keeps_fresh:
                tried = yield from self._answer_kept()
            if tried is None:
                tried = yield from Tries(self).run()
            if not isinstance(tried, Given):
                failed = tried if isinstance(tried, Failed) else _refusal(tried)
                if failed is not None:
                    tried = yield from self._fall_back(tried, failed)
            return (yield from self._deliver(tried))
        except BaseException as error:  # whatever ends the call is told, also Ctrl-C
            self._fail(error)
            raise

    def _check_input(self) -> None:
        if self.policy.validators:
            rejected = validators.check(self.policy.validators, self.body, self.labels)
            if rejected is not None:
                raise rejected

    def _answer_kept(self) -> Generator[Effect, Any, Given | None]:
        """A fresh answer given before, where there is one."""
        found = yield from fallback.fresh(self._plan.caches, self.asked, self.engine.unix_time())
        return None if found is None else Given(found)

    def _fall_back(
        self, tried: Succeeded | Failed, failed: Failed
    ) -> Generator[Effect, Any, Succeeded | Failed | Given]:
        """What the chain makes of a failure; where nothing in it is for such a one, the failure stays as it is."""
        chain = fallback.answers(self.policy.fallback, failed.category)
        if not chain:
            return tried
        self._note_fallback(failed.category)
        asked = replace(self.asked, category=failed.category)
        for element in chain:
            found = yield from fallback.ask(element, asked, self.engine.unix_time())
            if found is None:
                continue
            if found.body is not None:
                yield from _dispose(tried)
                return Given(found)
            assert found.next_body is not None  # one of the two is there
            if not (yield from self._may_pay(found.next_body)):
                continue
            again = yield from Tries(self, found.next_body).run()
            if isinstance(again, Succeeded) and _refusal(again) is None:
                yield from _dispose(tried)
                self.source(found.source)
                return again
        if isinstance(tried, Succeeded) or all(isinstance(element, fallback.Cached) for element in chain):
            return tried  # a cache that had nothing is no reason for another exception
        return self._exhausted(tried)

    def _exhausted(self, failed: Failed) -> Failed:
        message = f"Claude did not answer ({failed.category}), and nothing in the fallback chain could"
        error = FallbackExhausted(message)
        error.__cause__ = failed.exception(self.engine.client)
        failure = Failure("fallback_exhausted", failed.category, status=failed.failure.status, message=message)
        return Failed(failure, error=error)

    def _deliver(self, tried: Succeeded | Failed | Given) -> Steps:
        if isinstance(tried, Given):
            return self._given(tried.found)
        if isinstance(tried, Failed):
            self.finish(_outcome_of(tried.error, tried.category), tried.failure)
            return self._surface(tried)
        result = tried.result
        if tried.message is None and tried.failure is None and self.policy.filters:
            raise OutputFiltered("it cannot be read, so it cannot be looked at")
        if tried.message is not None and tried.failure is None:
            message = tried.message
            if self.policy.filters:
                result, message = self._filtered(tried, message)
            if self._is_to_keep:
                yield from self._remember(message, as_it_came=result is tried.result)
        if tried.is_over:
            self.finish("ok" if tried.failure is None else "error", tried.failure)
        return result

    def _remember(self, message: Mapping[str, Any], *, as_it_came: bool = False) -> Generator[Run, Any, None]:
        """Keeps the answer for the caches of the chain."""
        recording = self.recording
        body = recording.call.received if as_it_came and recording is not None else None
        written = body if isinstance(body, bytes) else None
        yield from fallback.remember(self._plan.caches, self.asked, message, self.engine.unix_time(), written)

    @property
    def _is_to_keep(self) -> bool:
        """Whether there is a cache for the answer; what another model answered is not what was asked for."""
        return bool(self._plan.caches) and (self.recording is None or self.recording.call.source == "api")

    def _filtered(self, tried: Succeeded, message: Mapping[str, Any]) -> tuple[Any, Mapping[str, Any]]:
        changed = filters.apply(self.policy.filters, message)
        if changed == message:
            return tried.result, message
        return _synthetic.api_response(self.request, changed, asynchronous=self.engine.is_async), changed

    def _given(self, found: fallback.Answered) -> Any:
        """An answer that did not come from Claude. It may have been kept before there was a filter."""
        assert found.body is not None
        message = found.body if not self.policy.filters else filters.apply(self.policy.filters, found.body)
        self.source(found.source)
        self.finish("ok" if found.source == "cache" else "degraded", None)
        return _synthetic.api_response(self.request, message, asynchronous=self.engine.is_async)

    def _surface(self, failed: Failed) -> Any:
        if failed.error is not None:
            self._sign(failed.error)
        return failed.surface()

    def _fail(self, error: BaseException) -> None:
        category = _errors.category(error)
        if isinstance(error, Deferred):
            self.source("deferred")
            self.finish("degraded", None)
        else:
            self.finish(_outcome_of(error, category), failure_of(error, category))
        self._sign(error)

    def _sign(self, error: BaseException) -> None:
        if isinstance(error, LLMError) and error.call is None and self.recording is not None:
            error.call = self.recording.call

    def finish(self, outcome: Outcome, failure: Failure | None, reader: StreamReader | None = None) -> None:
        """The call is over; only the first end counts."""
        recording = self.recording
        if recording is None or recording.is_over:
            return
        call = recording.call
        if outcome == "ok" and call.fallback_from is not None:
            outcome = "degraded"
        quietly(self._learn, call)
        quietly(self._payment.end, call, self.engine.unix_time())
        quietly(recording.finish, outcome, failure)
        if reader is not None and outcome == "ok" and self._is_to_keep:
            LATER.do(self._remember_streamed, reader)

    def _remember_streamed(self, reader: StreamReader) -> None:
        # Not in the caller's thread: every delta has to be read for it.
        message = reader.message()
        if message is not None:
            _drive(self._remember(message))

    # --- what the tries ask ---------------------------------------------------------------------------------------

    @property
    def is_measured(self) -> bool:
        return self.recording is not None

    @property
    def holds_back(self) -> bool:
        return self._plan.holds_back

    @property
    def retry(self) -> Retry:
        """How often is tried. A caller who has the SDK retry gets one plain attempt at a time."""
        if self.request.retries_taken > 0 or isinstance(self.request.max_retries, int):
            return replace(self.policy.retry, attempts=1)
        return self.policy.retry

    @property
    def read_timeout(self) -> float:
        return self._plan.read_timeout

    def attempt_timeout(self, left: float) -> Any:
        """The SDK's timeouts for an attempt that may take `left` seconds: the caller's own, where they are shorter."""
        given = self._timeout
        if self.operation is None and left == INFINITE:  # files, results of batches: as long as they take
            return given
        if not isinstance(given, httpx2.Timeout | float | int):
            given = self.engine.client.timeout
        if isinstance(given, httpx2.Timeout):
            connect, read, write, pool = given.connect, given.read, given.write, given.pool
        else:
            connect = read = write = pool = given
        most = min(left, self.read_timeout) if self.request.stream and self.operation is not None else left
        return httpx2.Timeout(
            connect=_least(connect, min(left, self.policy.timeout.connect)),
            read=_least(read, most),
            write=_least(write, left),
            pool=_least(pool, left),
        )

    def want(self) -> Want:
        """What the call is expected to take of the rate limits."""
        if self._want is None:
            self._want = quietly(self._expected) or Want(0, 0)
        return self._want

    def _expected(self) -> Want:
        self._characters = characters_of(self.body)
        limit = self.body.get("max_tokens")
        return self.engine.guards.want(self.prompt_type, self._characters, limit if isinstance(limit, int) else None)

    @property
    def asked(self) -> fallback.Asked:
        """The call as a fallback sees it."""
        if self._asked is None:
            call_id = None if self.recording is None else self.recording.call.id
            self._asked = fallback.Asked(self.body, self.labels, variant=self._variant(), call_id=call_id)
        return self._asked

    def key(self) -> Generator[Effect, Any, Key | None]:
        """The key for the next attempt; None for the client's own."""
        keys = self.engine.keys
        if keys is not None and not self._keys:
            self._keys.append((yield from keys.first(self.engine.clock())))
        return self._keys[-1] if self._keys else None

    def next_key(self) -> Generator[Effect, Any, bool]:
        """The key was refused; whether there is another one to try."""
        keys = self.engine.keys
        if keys is None or not self._keys:
            return False
        other = yield from keys.next(self._keys[-1], self.engine.clock(), self._keys)
        if other is not None:
            self._keys.append(other)
        return other is not None

    def queued(self, seconds: float) -> None:
        """That long a turn was waited for."""
        if self.recording is not None:
            self.recording.call.queued += seconds

    def _reserve(self) -> Generator[Effect, Any, Failed | None]:
        """Takes what the call will probably cost out of its budgets; a failure where one of them has not enough."""
        stopped = self._payment.stopped(self.model)
        if stopped is not None:
            return self._stopped(stopped)
        if not self._payment.is_asked:
            return None
        refusal = yield from self._payment.reserve(self.want(), self.body, self.engine.unix_time())
        if refusal is None:
            return None
        if self.recording is not None:
            self.recording.call.budget = exceeded(refusal)
        error = refusal.error()
        if refusal.action == "raise":
            raise error
        return Failed(Failure("budget_exceeded", message=refusal.message), error=error, local=True)

    def _stopped(self, reason: str) -> Failed:
        message = f"Calls are stopped by the server: {reason}"
        at = datetime.fromtimestamp(self.engine.unix_time(), UTC) + timedelta(seconds=POLL)
        return Failed(Failure("circuit_open", message=message), error=CircuitOpen(message, retry_at=at), local=True)

    def _may_pay(self, body: Mapping[str, Any]) -> Generator[Effect, Any, bool]:
        """Whether another model may be asked, where it was for the money that the first one was not."""
        over = yield from self._payment.reserve(self.want(), body, self.engine.unix_time(), instead=True)
        return over is None

    def _note_fallback(self, category: Category) -> None:
        if self.recording is not None:
            self.recording.call.fallback_from = category

    def _variant(self) -> str:
        """Endpoint and betas, where they are not the ordinary ones."""
        betas = self.request.headers.get("anthropic-beta")
        _, _, query = self.request.url.partition("?")
        return f"{query} {betas}" if query or isinstance(betas, str) else ""

    def _learn(self, call: Call) -> None:
        """For the estimates: what the call used, where that is known for sure."""
        if self._want is not None and call.usage_complete and call.usage and call.source == "api":
            self.engine.guards.learn(self.prompt_type, self._characters, *counted(call.usage))

    def source(self, source: Source) -> None:
        if self.recording is not None:
            self.recording.call.source = source

    def note(self, what: str, *facts: Any, **more: Any) -> None:
        """Tells the recording; a fault in it is forgotten."""
        if what == "attempt":
            self.attempts_made += 1
        if self.recording is not None:
            quietly(getattr(self.recording, what), *facts, **more)

    def look_beside(self, response: Any) -> None:
        """An answer that is no call's: results of message batches are measured one by one."""
        settings = _config.current()

        def tell(call: Call) -> None:
            call.capture = self._capture(call.id, settings.capture)
            for handle in self._scope.handles:
                handle.add(call)
            settings.emit(call)

        _batch_items.follow(self.request.url, response, tell, self.labels, self.engine.body_class)

    def _capture(self, call_id: UUID, configured: Capture) -> Capture:
        """What of the content may leave the process; a sample is drawn by the call's id. The server may want less."""
        privacy, server = self.policy.privacy, self._payment.server_policy
        if server is NO_POLICY and privacy.capture is None and privacy.sample >= 1:
            return configured
        wanted = [privacy.capture or configured, server.capture or "full"]
        sample = min(privacy.sample, 1.0 if server.sample is None else server.sample)
        return min(wanted, key=CAPTURES.index) if sample >= 1 or place(call_id) < sample else "off"

    # --- the beginning --------------------------------------------------------------------------------------------

    def _deadline(self) -> float:
        """On the engine's clock. A longer timeout the caller gave this one call is meant."""
        if self.operation is None:
            return _deadline.current()
        total = self.policy.timeout.total
        given = self._timeout
        if given == anthropic.DEFAULT_TIMEOUT:  # filled in by the SDK: nobody asked for ten minutes
            given = None
        if isinstance(given, httpx2.Timeout):
            given = given.read
        if isinstance(given, float | int):
            total = max(total, given)
        return min(_deadline.current(), self.engine.clock() + total)

    def _begin(self) -> Recording:
        assert self.operation is not None
        pin = _replay.take()
        unix_ms = time.time_ns() // 1_000_000 if pin is None else pin.started_ms
        settings = _config.current()
        call = Call(
            id=MINTER.mint(unix_ms) if pin is None else pin.call_id,
            started_ms=unix_ms,
            operation=self.operation,
            labels=self.labels,
            stream=self.request.stream,
            model_requested=self.model,
            params=params_of(self.body),
            trace=_trace.current_ids(),
        )
        call.capture = self._capture(call.id, settings.capture)
        for handle in self._scope.handles:
            handle.add(call)
        clock = time.monotonic if pin is None else pin.clock
        return Recording(call, settings.emit, clock=clock, unix_time=self.engine.unix_time)


def _outcome_of(error: BaseException | None, category: Category) -> Outcome:
    if isinstance(error, Rejected):
        return "rejected"
    return "cancelled" if category == "cancelled" else "error"


def _refusal(tried: Succeeded) -> Failed | None:
    """The model's refusal as a failure; it is an answer, too, and without a fallback the caller's."""
    message, reader = tried.message, tried.reader
    reason = message.get("stop_reason") if message is not None else reader.stop_reason if reader is not None else None
    return Failed(Failure("refusal")) if reason == "refusal" else None


def _dispose(tried: Succeeded | Failed) -> Generator[Effect, Any, None]:
    """Lets go of a refusal nobody will read."""
    if isinstance(tried, Succeeded) and tried.reader is not None:
        yield Close(tried.result.http_response)


def _drive(steps: Generator[Run, Any, object]) -> None:
    """Does what a fallback wants done, in a thread that may wait."""
    with suppress(StopIteration):
        effect = next(steps)
        while True:
            try:
                done = effect.perform()
            except Exception as error:  # noqa: BLE001  # the steps know what to make of it
                effect = steps.throw(error)
            else:
                effect = steps.send(done)


def _least(own: float | None, most: float) -> float | None:
    """The shorter one; None is no limit, nor is infinity."""
    shorter = most if own is None or own > most else own
    return None if shorter == INFINITE else max(shorter, SHORTEST)
