"""The whole chain around real calls of the SDK, driven by a small engine: cache, Claude, what may answer instead."""

import asyncio
import json
import time
from collections.abc import Generator
from typing import Any

import anthropic
import pytest
from anthropic import APIRequest

from llmclient import _errors, _message, _stream, _synthetic
from llmclient._exceptions import Deferred
from llmclient._run import Run
from llmclient.cache import Cache, MemoryCache, RedisCache
from llmclient.fallback import (
    Answered,
    Asked,
    Cached,
    Defer,
    Fallback,
    Model,
    Notice,
    Rule,
    answers,
    ask,
    fresh,
    remember,
)
from llmclient.testing import FakeAnthropic, Request, fail, reply
from llmclient.testing._answers import Answer
from tests.llmclient.conftest import ASK
from tests.llmclient.driving import drive, drive_async


class Small(anthropic.Middleware):
    """The order of things around the chain, without retries, limits and measuring. `sources` is what answered."""

    def __init__(self, *chain: Fallback, user: str | None = "4711") -> None:
        self.chain = chain
        self.labels = {} if user is None else {"user_id": user}
        self.sources: list[str] = []

    def handle(self, request: APIRequest, call_next: Any) -> Any:
        def send(sent: APIRequest) -> tuple[Any, bytes]:
            result = call_next(sent)
            return result, result.http_response.read()

        return drive(self.answer(request, send, asynchronous=False))

    async def handle_async(self, request: APIRequest, call_next: Any) -> Any:
        async def send(sent: APIRequest) -> tuple[Any, bytes]:
            result = await call_next(sent)
            return result, await result.http_response.aread()

        return await drive_async(self.answer(request, send, asynchronous=True))

    def answer(self, request: APIRequest, send: Any, *, asynchronous: bool) -> Generator[Run, Any, Any]:
        body: Any = request.json
        asked = Asked(body, self.labels, variant=str(request.headers.get("anthropic-beta")))
        answered = yield from fresh(self.chain, asked, time.time())
        if answered is not None:
            return self.given(request, answered, asynchronous)
        result, body = yield Run(send, request)
        if result.status_code == 200:
            message = _stream.message_of(body) if request.stream else json.loads(body)
            yield from remember(self.chain, asked, message, time.time())
            self.sources.append("api")
            return result
        category = _errors.of_answer(result.status_code, *_errors.describe(body))
        asked = Asked(asked.body, asked.labels, category, asked.variant, memo=asked.memo)
        for element in answers(self.chain, category):
            answered = yield from ask(element, asked, time.time())
            if answered is not None and answered.next_body is not None:
                other, _ = yield Run(send, request.copy(body=dict(answered.next_body)))
                if other.status_code == 200:
                    self.sources.append(answered.source)
                    return other
            elif answered is not None:
                return self.given(request, answered, asynchronous)
        return result

    def given(self, request: APIRequest, answered: Answered, asynchronous: bool) -> Any:
        assert answered.body is not None
        self.sources.append(answered.source)
        return _synthetic.api_response(request, answered.body, asynchronous=asynchronous)


def client(fake: FakeAnthropic, small: Small) -> anthropic.Anthropic:
    return anthropic.Anthropic(api_key="x", base_url=fake.url, max_retries=0, middleware=[small])


def text(message: Any) -> str:
    return "".join(block.text for block in message.content)


def test_a_streamed_answer_is_kept_and_given_again_whole_or_streamed() -> None:
    small = Small(Cached(fresh="5m", cache=MemoryCache()))
    with FakeAnthropic([reply("kept in pieces", deltas=3), reply("another")]) as fake:
        llm = client(fake, small)
        with llm.messages.stream(**ASK) as stream:
            assert text(stream.get_final_message()) == "kept in pieces"
        assert text(llm.messages.create(**ASK)) == "kept in pieces"
        with llm.messages.stream(**ASK) as stream:
            again = stream.get_final_message()
        assert (text(again), again.usage.output_tokens) == ("kept in pieces", 0)
        assert text(llm.beta.messages.create(**ASK, betas=["a-beta-2026-01-01"])) == "another"
    assert small.sources == ["api", "cache", "cache", "api"]


@pytest.fixture(params=["memory", "redis"])
def store(request: pytest.FixtureRequest, redis_url: str) -> Cache:
    return MemoryCache() if request.param == "memory" else RedisCache(redis_url, prefix="test_chain:", timeout=1.0)


def test_async_clients_keep_and_give_the_same(store: Cache) -> None:
    small = Small(Cached(max_stale="1d", cache=store))

    async def ask() -> list[str]:
        with FakeAnthropic([reply("kept"), fail(529), fail(529)]) as fake:
            options: dict[str, Any] = {"api_key": "x", "base_url": fake.url, "max_retries": 0}
            async with anthropic.AsyncAnthropic(**options, middleware=[small]) as llm:
                first = await llm.messages.create(**ASK)
                second = await llm.messages.create(**ASK)
                async with llm.messages.stream(**ASK) as stream:
                    third = await stream.get_final_text()
        return [text(first), text(second), third]

    assert asyncio.run(ask()) == ["kept"] * 3
    assert small.sources == ["api", "stale_cache", "stale_cache"]


def down_for_all_but(model: str) -> Any:
    def script(request: Request) -> Answer:
        return reply("from the other") if request.model == model else fail(529)

    return script


def keyword(asked: Asked) -> str | None:
    return "a rule" if "nobody else" in asked.text else None


def test_the_chain_goes_on_until_somebody_answers() -> None:
    chain: list[Fallback] = [
        Cached(max_stale="1d", cache=MemoryCache()),
        Model("claude-haiku-5-5"),
        Rule(keyword),
        Notice("Soon."),
    ]
    with FakeAnthropic(down_for_all_but("claude-haiku-5-5")) as fake:
        small = Small(*chain)
        assert text(client(fake, small).messages.create(**ASK)) == "from the other"
    with FakeAnthropic(down_for_all_but("none")) as fake:
        llm = client(fake, small)
        assert text(llm.messages.create(**ASK)) == "a rule"
        other = {**ASK, "messages": [{"role": "user", "content": "something else"}]}
        with llm.messages.stream(**other) as stream:
            assert stream.get_final_text() == "Soon."
        assert [request.model for request in fake.requests] == ["claude-sonnet-5-5", "claude-haiku-5-5"] * 2
    assert small.sources == ["model_fallback", "rule", "notice"]


def test_an_answer_of_another_model_is_not_kept() -> None:
    cached = Cached(fresh="5m", max_stale="1d", cache=MemoryCache())
    with FakeAnthropic(down_for_all_but("claude-haiku-5-5")) as fake:
        small = Small(cached, Model("claude-haiku-5-5"))
        llm = client(fake, small)
        assert [text(llm.messages.create(**ASK)) for _ in range(2)] == ["from the other"] * 2
        assert len(fake.requests) == 4


def test_a_mistake_of_the_callers_is_not_covered_up() -> None:
    with FakeAnthropic([fail(400), fail(403), fail(413)]) as fake:
        llm = client(fake, Small(Model("claude-haiku-5-5"), Notice("Soon.")))
        for _ in range(3):
            with pytest.raises(anthropic.APIStatusError):
                llm.messages.create(**ASK)
        assert len(fake.requests) == 3


def test_a_deferred_call_raises_its_ticket() -> None:
    with FakeAnthropic([fail(529)]) as fake, pytest.raises(Deferred) as deferred:
        client(fake, Small(Defer(lambda job: job.body["model"]), Notice("Soon."))).messages.create(**ASK)
    assert deferred.value.ticket == "claude-sonnet-5-5"


def test_a_message_made_here_tells_its_call() -> None:
    assert _message.id_for(None).startswith("msg_llmclient_")
    with FakeAnthropic([fail(529)]) as fake:
        message = client(fake, Small(Notice("Soon."))).messages.create(**ASK)
    assert (message.id[:14], message.stop_reason, message.model) == ("msg_llmclient_", "end_turn", "claude-sonnet-5-5")
