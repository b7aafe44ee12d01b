"""The API behind the socket: what a request is answered, without any I/O."""

import random
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from llmclient.testing import _messages
from llmclient.testing._account import Account
from llmclient.testing._analytics import report
from llmclient.testing._answers import Answer, Break, Failure, HangUp, Reply, fail
from llmclient.testing._batch_routes import BatchRoutes
from llmclient.testing._buckets import Pool
from llmclient.testing._latency import Latency
from llmclient.testing._lineup import page
from llmclient.testing._messages import Piece
from llmclient.testing._playbook import Playbook
from llmclient.testing._pools import rate_limits
from llmclient.testing._requests import Plan, Request, read_plan
from llmclient.testing._response import EVENT_STREAM, Response, hung_up, identity, json_response
from llmclient.testing._routes import COUNT_TOKENS, MESSAGES, refusal, route

MODELS_A_PAGE: Final = 20


class Service:
    """Answers requests. Not thread-safe: it belongs to the event loop of one server."""

    def __init__(
        self, account: Account, playbook: Playbook, *, latency: Latency | None, seed: int, batch_seconds: float
    ) -> None:
        self._account, self._playbook, self._latency, self._seed = account, playbook, latency, seed
        self._batches = BatchRoutes(account, playbook, batch_seconds)
        self._count = 0
        self._handlers: Mapping[str, Callable[[Request, str, str], Response]] = {
            COUNT_TOKENS: self._count_tokens,
            "list_models": self._list_models,
            "show_model": self._show_model,
            "list_rate_limits": self._list_rate_limits,
            "report": self._report,
        }

    def respond(self, request: Request) -> tuple[Request, Response]:
        """The request, numbered, and its answer."""
        self._count += 1
        request = replace(request, number=self._count)
        request_id = f"req_{random.Random(f'{self._seed}:{self._count}').getrandbits(96):024x}"  # noqa: S311  no secret
        self._account.book_batches()
        name, part = route(request)
        refused = refusal(request, name, self._account)
        if refused is not None:
            return request, self._account.refuse(refused, request, request_id)
        if name == MESSAGES:
            request, request_id, answer = self._playbook.decide(request, request_id)
            return request, self._answer(answer, request, request_id)
        handler = self._handlers.get(name)
        if handler is None:
            return request, self._batches.answer(name, part, request, request_id)
        try:
            return request, handler(request, request_id, part)
        except ValueError as wrong:
            return request, self._account.refuse(fail(400, message=str(wrong)), request, request_id)

    # --- messages

    def _answer(self, answer: Answer, request: Request, request_id: str) -> Response:
        if isinstance(answer, Failure):
            return self._account.refuse(answer, request, request_id)
        if isinstance(answer, HangUp):
            return hung_up(answer.delay)
        assert request.body is not None
        usage = _messages.usage_of(answer, request.body)
        pool = self._account.pools.of(request.model)
        if pool is not None:
            wait = pool.admit(usage["input_tokens"] + usage["cache_creation_input_tokens"], self._account.clock())
            if wait is not None:
                return self._account.too_many(wait, request, request_id)
        if self._latency is not None:
            dice = random.Random(f"{self._seed}:latency:{request.number}")  # noqa: S311  no secret
            answer = self._latency.timed(answer, usage["output_tokens"], dice)
        if request.stream:
            response = self._stream(answer, request, request_id, pool, usage)
        else:
            response = self._whole(answer, request, request_id, pool, usage)
        return replace(
            response,
            breaks=answer.breaks,
            stall=answer.stall,
            ping_every=answer.ping_every,
            headers_after=answer.headers_after,
            trickle=answer.trickle,
        )

    def _whole(
        self, reply: Reply, request: Request, request_id: str, pool: Pool | None, usage: Mapping[str, Any]
    ) -> Response:
        assert request.body is not None
        # Written whether or not the caller waits for it, and so counted and billed at once.
        self._settle(request, reply, pool, usage)
        body = _messages.message(reply, request.body, _message_id(request_id))
        due = max(reply.ttft, reply.duration or 0.0)
        return json_response(200, body, request_id, self._account.pools.headers(pool), due)

    def _stream(
        self, reply: Reply, request: Request, request_id: str, pool: Pool | None, usage: Mapping[str, Any]
    ) -> Response:
        assert request.body is not None
        pieces = _messages.pieces(reply, request.body, _message_id(request_id))
        deltas = len(pieces) - 2
        if reply.breaks is not None:
            pieces = pieces[: 1 + reply.break_after]
        most = min(deltas, len(pieces) - 1)
        if reply.breaks is Break.ERROR:
            overloaded = _messages.error_body(fail(529), request_id)
            pieces.append(Piece(pieces[-1].due, _messages.event("error", overloaded)))
        if reply.breaks is Break.MALFORMED:
            broken = b'event: content_block_delta\ndata: {"type":"content_block_delta","index":\n\n'
            pieces.append(Piece(pieces[-1].due, broken))

        def settle(sent: int) -> None:
            # Of an answer that broke off, or that nobody read to its end, what was written until then.
            written = usage["output_tokens"] * min(most, sent - 1) // deltas
            self._settle(request, reply, pool, {**usage, "output_tokens": written})

        headers = [("content-type", EVENT_STREAM), ("cache-control", "no-cache"), *identity(request_id)]
        return Response(200, [*headers, *self._account.pools.headers(pool)], pieces, on_sent=settle)

    def _settle(self, request: Request, reply: Reply, pool: Pool | None, usage: Mapping[str, Any]) -> None:
        if pool is not None:
            pool.settle(usage["output_tokens"], self._account.clock())
        self._account.ledger.book(self._account.wall(), reply.model or request.model, request.key, usage)

    # --- the rest

    def _count_tokens(self, request: Request, request_id: str, _: str) -> Response:
        wait, headers = self._account.pools.admit_counting()
        if wait is not None:
            return self._account.too_many(wait, request, request_id, headers)
        try:
            counted = _counted(request, read_plan(request.headers))
        except (ValueError, KeyError, TypeError) as broken:
            raise ValueError(f"the x-fake header is not understood: {broken!r}") from broken
        return json_response(200, {"input_tokens": counted}, request_id, headers)

    def _list_models(self, request: Request, request_id: str, _: str) -> Response:
        items = [model.as_json() for model in self._account.models.all()]
        limit = int(request.asked("limit") or MODELS_A_PAGE)
        body = page(items, request.asked("after_id"), request.asked("before_id"), limit)
        return json_response(200, body, request_id)

    def _show_model(self, request: Request, request_id: str, name: str) -> Response:
        model = self._account.models.find(name)
        if model is None:
            return self._account.refuse(fail(404, message=f"model: {name}"), request, request_id)
        return json_response(200, model.as_json(), request_id)

    def _list_rate_limits(self, request: Request, request_id: str, _: str) -> Response:
        entries = rate_limits(self._account.pools.limits, self._account.models.all())
        if (kind := request.asked("group_type")) is not None:
            entries = [entry for entry in entries if entry["group"]["type"] == kind]
        if (name := request.asked("model")) is not None:
            model = self._account.models.find(name)
            entries = [entry for entry in entries if model is not None and model.id in (entry["models"] or ())]
            if not entries:
                return self._account.refuse(fail(404, message=f"model: {name}"), request, request_id)
        return json_response(200, {"data": entries, "next_page": None}, request_id)

    def _report(self, request: Request, request_id: str, _: str) -> Response:
        return json_response(200, report(request, self._account.ledger, self._account.wall()), request_id)


def _counted(request: Request, plan: Plan | None) -> int:
    told = plan.reply.get("input_tokens") if plan is not None else None
    return int(told) if told is not None else _messages.input_tokens(request.body or {})


def _message_id(request_id: str) -> str:
    return request_id.replace("req_", "msg_", 1)
