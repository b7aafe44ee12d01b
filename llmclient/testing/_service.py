"""The API behind the socket: what a request is answered, without any I/O."""

import math
import random
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final

from llmclient._models import group_of
from llmclient.testing import _messages
from llmclient.testing._answers import Answer, Break, Failure, HangUp, Reply, fail
from llmclient.testing._buckets import Limits, Pool
from llmclient.testing._messages import Piece
from llmclient.testing._requests import Plan, Request, read_plan
from llmclient.testing._routes import models, refusal
from llmclient.testing._words import sentences

Script = Sequence[Answer] | Callable[[Request], Answer | None]

ORGANIZATION: Final = "0fa4e000-0000-4000-8000-000000000000"
# A plan whose client gave up leaves its attempt count behind; only so many are kept.
PLANS_KEPT: Final = 10_000
MEDIAN_OUTPUT: Final = 60  # tokens of an answer nobody dictated


@dataclass(frozen=True, slots=True)
class Response:
    """What goes over the socket; with status 0 nothing does.

    `pieces` are due at times of the fake's clock; `breaks` says how it ends early.
    """

    status: int
    headers: Sequence[tuple[str, str]]
    pieces: Sequence[Piece]
    breaks: Break | None = None
    stall: float = 0.0
    on_sent: Callable[[], None] = field(default=lambda: None)

    @property
    def streamed(self) -> bool:
        return ("content-type", "text/event-stream; charset=utf-8") in self.headers


class Service:
    """Answers requests. Not thread-safe: it belongs to the event loop of one server."""

    def __init__(
        self, script: Script, *, limits: Limits | None, seed: int, speed: float, clock: Callable[[], float]
    ) -> None:
        self._answers: Iterator[Answer] = iter(()) if callable(script) else iter(script)
        self._decide = script if callable(script) else None
        self._limits = limits
        self._pools: dict[str, Pool] = {}
        self._seed = seed
        self._clock = clock
        self._speed = speed
        self._attempts: OrderedDict[str, int] = OrderedDict()
        self._count = 0

    def respond(self, request: Request) -> tuple[Request, Response]:
        """The request, numbered, and its answer."""
        self._count += 1
        request = replace(request, number=self._count)
        request_id = f"req_{random.Random(f'{self._seed}:{self._count}').getrandbits(96):024x}"  # noqa: S311  no secret
        refused = refusal(request)
        if refused is not None:
            return request, self._failure(refused, request_id, request)
        if request.method == "GET":
            return request, self._json(200, models(request.path), request_id, [])
        try:
            plan = read_plan(request.headers)
            if request.path.endswith("/count_tokens"):
                return request, self._json(200, {"input_tokens": _counted(request, plan)}, request_id, [])
            if plan is not None and plan.id:
                request = replace(request, attempt=self._next_attempt(plan.id))
                request_id = f"{plan.request_id}_{request.attempt}"
            scripted = self._scripted(request)
            answer = scripted or (plan.answer(request.attempt) if plan else self._default(request))
        except (ValueError, KeyError, TypeError) as broken:
            answer = fail(400, message=f"the x-fake header is not understood: {broken!r}")
        return request, self._answer(answer, request, request_id)

    def _scripted(self, request: Request) -> Answer | None:
        return self._decide(request) if self._decide is not None else next(self._answers, None)

    def _next_attempt(self, plan_id: str) -> int:
        attempt = self._attempts.pop(plan_id, 0) + 1
        self._attempts[plan_id] = attempt
        if len(self._attempts) > PLANS_KEPT:
            self._attempts.popitem(last=False)
        return attempt

    def _default(self, request: Request) -> Reply:
        """A seeded answer: the same seed gives the same sequence of answers."""
        dice = random.Random(f"{self._seed}:reply:{request.number}")  # noqa: S311  no secret
        wanted = max(1, round(MEDIAN_OUTPUT * dice.lognormvariate(0, 0.7)))
        limit = int((request.body or {}).get("max_tokens", wanted))
        tokens = min(wanted, limit)
        text = sentences(dice, round(tokens * _messages.CHARS_PER_TOKEN))
        return Reply(text, output_tokens=tokens, stop_reason="max_tokens" if wanted > limit else "end_turn")

    def _answer(self, answer: Answer, request: Request, request_id: str) -> Response:
        if isinstance(answer, Failure):
            return self._failure(answer, request_id, request)
        if isinstance(answer, HangUp):
            return Response(0, [], [Piece(answer.delay, b"")], Break.RESET)
        assert request.body is not None
        usage = _messages.usage_of(answer, request.body)
        pool = self._pool(request.model)
        if pool is not None:
            wait = pool.admit(usage["input_tokens"] + usage["cache_creation_input_tokens"], self._clock())
            if wait is not None:
                return self._failure(fail(429, retry_after=wait), request_id, request)
        if request.stream:
            return self._stream(answer, request, request_id, pool, usage["output_tokens"])
        if pool is not None:
            pool.settle(usage["output_tokens"], self._clock())
        body = _messages.message(answer, request.body, _message_id(request_id))
        due = answer.duration if answer.duration is not None else answer.ttft
        response = self._json(200, body, request_id, self._limit_headers(pool), max(due, answer.ttft))
        return replace(response, breaks=answer.breaks, stall=answer.stall)

    def _stream(self, reply: Reply, request: Request, request_id: str, pool: Pool | None, output: int) -> Response:
        assert request.body is not None
        pieces = _messages.pieces(reply, request.body, _message_id(request_id))
        if reply.breaks is not None:
            pieces = pieces[: 1 + reply.break_after]
        if reply.breaks is Break.ERROR:
            overloaded = _messages.error_body(fail(529), request_id)
            pieces.append(Piece(pieces[-1].due, _messages.event("error", overloaded)))
        if reply.breaks is Break.MALFORMED:
            broken = b'event: content_block_delta\ndata: {"type":"content_block_delta","index":\n\n'
            pieces.append(Piece(pieces[-1].due, broken))
        headers = [
            ("content-type", "text/event-stream; charset=utf-8"),
            ("cache-control", "no-cache"),
            *self._identity(request_id),
            *self._limit_headers(pool),
        ]

        def settle() -> None:
            if pool is not None:
                pool.settle(output, self._clock())

        return Response(200, headers, pieces, reply.breaks, reply.stall, settle)

    def _failure(self, failure: Failure, request_id: str, request: Request) -> Response:
        headers = [*failure.headers.items(), *self._limit_headers(self._pool(request.model))]
        if failure.retry_after is not None:
            # The client waits by the real clock.
            wait = failure.retry_after / self._speed
            headers.append(("retry-after", str(math.ceil(wait))))
            headers.append(("retry-after-ms", str(max(1, round(wait * 1000)))))
        body = _messages.error_body(failure, request_id)
        return self._json(failure.status, body, request_id, headers, failure.delay)

    def _pool(self, model: str) -> Pool | None:
        if self._limits is None or not model:
            return None
        group = group_of(model)
        if group not in self._pools:
            self._pools[group] = Pool(self._limits, self._clock())
        return self._pools[group]

    def _limit_headers(self, pool: Pool | None) -> list[tuple[str, str]]:
        if pool is None:
            return []
        now = self._clock()
        pool.settle(0, now)
        pool.requests.refill(now)
        pool.input.refill(now)
        return pool.headers(datetime.now(UTC), self._speed)

    def _identity(self, request_id: str) -> list[tuple[str, str]]:
        return [("request-id", request_id), ("anthropic-organization-id", ORGANIZATION)]

    def _json(
        self, status: int, body: Mapping[str, Any], request_id: str, headers: list[tuple[str, str]], due: float = 0.0
    ) -> Response:
        data = _messages.encode(body)
        lines = [("content-type", "application/json"), *self._identity(request_id), *headers]
        return Response(status, lines, [Piece(due, data)])


def _counted(request: Request, plan: Plan | None) -> int:
    told = plan.reply.get("input_tokens") if plan is not None else None
    return int(told) if told is not None else _messages.input_tokens(request.body or {})


def _message_id(request_id: str) -> str:
    return request_id.replace("req_", "msg_", 1)
