"""Validators, caches, fallbacks, filters and keys through a real client: in every way a call is made."""

import asyncio
import re
from dataclasses import replace
from typing import Any

import anthropic
import pytest

import llmclient
from llmclient import Keys, Policy, Timeout
from llmclient.cache import MemoryCache
from llmclient.fallback import Asked, Cached, Defer, Job, Model, Notice, Rule
from llmclient.filters import Mask, MaxLength, Reject
from llmclient.testing import FakeAnthropic, Request, capture, fail, refused, reply, spend_limit
from llmclient.validators import MaxCharacters
from tests.llmclient.asking import WAYS, Ask, plain, plain_async
from tests.llmclient.conftest import QUICK

way = pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
ONCE = replace(QUICK, retry=replace(QUICK.retry, attempts=1), breaker=None)


def with_chain(*chain: Any, **changes: Any) -> Policy:
    return replace(ONCE, fallback=chain, **changes)


# --- before anything is sent -----------------------------------------------------------------------------------------


@way
def test_a_request_that_is_refused_is_never_sent(way: Ask, ask: dict[str, Any]) -> None:
    with FakeAnthropic() as fake, capture() as calls:
        with pytest.raises(llmclient.InputRejected, match="messages: 31 characters, of 10 at most") as caught:
            way(fake, ask, replace(ONCE, validators=[MaxCharacters(10)]))
        assert len(fake.requests) == 0
    assert (caught.value.field, caught.value.call) == ("messages", calls.only)
    assert (calls.only.outcome, calls.only.error and calls.only.error.category) == ("rejected", "input_rejected")


# --- instead of Claude ------------------------------------------------------------------------------------------------


@way
def test_another_model_answers_and_the_truth_is_told(way: Ask, ask: dict[str, Any]) -> None:
    def script(request: Request) -> Any:
        return fail(529) if request.model == "claude-sonnet-5-5" else reply("from haiku")

    with FakeAnthropic(script) as fake, capture() as calls:
        assert way(fake, ask, with_chain(Model("claude-haiku-5-5"))) == "from haiku"
    call = calls.only
    assert (call.outcome, call.source, call.fallback_from) == ("degraded", "model_fallback", "overloaded")
    assert call.degraded
    assert [(attempt.category, attempt.model) for attempt in call.attempts] == [
        ("overloaded", None),
        (None, "claude-haiku-5-5"),
    ]
    assert (call.model_requested, call.model) == ("claude-sonnet-5-5", "claude-haiku-5-5")


@way
def test_a_retired_model_is_answered_by_another_and_by_nothing_else(way: Ask, ask: dict[str, Any]) -> None:
    def script(request: Request) -> Any:
        return fail(404) if request.model == "claude-sonnet-5-5" else reply("from haiku")

    with FakeAnthropic(script) as fake:
        assert way(fake, ask, with_chain(Notice("later"), Model("claude-haiku-5-5"))) == "from haiku"


@way
def test_the_callers_own_mistake_has_no_fallback(way: Ask, ask: dict[str, Any]) -> None:
    with FakeAnthropic([fail(400)]) as fake, pytest.raises(anthropic.BadRequestError):
        way(fake, ask, with_chain(Model("claude-haiku-5-5"), Notice("later")))


@way
def test_the_chain_goes_on_until_somebody_answers(way: Ask, ask: dict[str, Any]) -> None:
    seen: list[Asked] = []

    def not_mine(asked: Asked) -> None:
        seen.append(asked)

    chain = (Model("claude-haiku-5-5"), Rule(not_mine), Notice("Back in a moment."))
    with FakeAnthropic(lambda _: fail(500)) as fake, capture() as calls:
        assert way(fake, ask, with_chain(*chain)) == "Back in a moment."
        assert len(fake.requests) == 2
    assert [(asked.category, asked.text) for asked in seen] == [("server_error", ask["messages"][0]["content"])]
    assert (calls.only.outcome, calls.only.source) == ("degraded", "notice")
    assert calls.only.usage is None


@way
def test_a_chain_that_is_used_up_is_an_error_with_its_cause(way: Ask, ask: dict[str, Any]) -> None:
    policy = with_chain(Model("claude-haiku-5-5"), Rule(lambda _: None))
    with (
        FakeAnthropic(lambda _: fail(500)) as fake,
        capture() as calls,
        pytest.raises(llmclient.FallbackExhausted) as caught,
    ):
        way(fake, ask, policy)
    assert isinstance(caught.value.__cause__, anthropic.InternalServerError)
    assert caught.value.call is calls.only
    assert calls.only.error is not None
    assert (calls.only.error.category, calls.only.error.type) == ("fallback_exhausted", "server_error")
    assert (calls.only.outcome, calls.only.fallback_from) == ("error", "server_error")


@way
def test_an_open_circuit_is_answered_without_a_request(way: Ask, ask: dict[str, Any]) -> None:
    policy = replace(QUICK, fallback=[Notice("later")])
    with FakeAnthropic([spend_limit()]) as fake, capture() as calls:
        assert [way(fake, ask, policy), way(fake, ask, policy)] == ["later", "later"]
        assert len(fake.requests) == 1
    assert [call.fallback_from for call in calls] == ["spend_limit", "circuit_open"]


@way
def test_a_refusal_may_be_answered_by_another_model(way: Ask, ask: dict[str, Any]) -> None:
    def script(request: Request) -> Any:
        return refused() if request.model == "claude-sonnet-5-5" else reply("I can help")

    with FakeAnthropic(script) as fake, capture() as calls:
        assert way(fake, ask, with_chain(Model("claude-haiku-5-5", on_refusal=True))) == "I can help"
    assert (calls.only.source, calls.only.fallback_from) == ("model_fallback", "refusal")


@way
def test_a_refusal_without_a_fallback_is_the_answer(way: Ask, ask: dict[str, Any]) -> None:
    with FakeAnthropic([refused()]) as fake, capture() as calls:
        assert way(fake, ask, with_chain(Model("claude-haiku-5-5"))) == ""
    assert (calls.only.outcome, calls.only.stop_reason) == ("ok", "refusal")


@way
def test_a_deferred_call_is_no_answer(way: Ask, ask: dict[str, Any]) -> None:
    jobs: list[Job] = []

    def put(job: Job) -> str:
        jobs.append(job)
        return "ticket-1"

    with FakeAnthropic(lambda _: fail(529)) as fake, capture() as calls, pytest.raises(llmclient.Deferred) as caught:
        way(fake, ask, with_chain(Defer(put)))
    assert caught.value.ticket == "ticket-1"
    assert [job.body["model"] for job in jobs] == ["claude-sonnet-5-5"]
    assert (calls.only.outcome, calls.only.source, calls.only.error) == ("degraded", "deferred", None)


def test_async_rules_are_for_async_clients(ask: dict[str, Any]) -> None:
    async def rule(asked: Asked) -> str:
        await asyncio.sleep(0)
        return "by a coroutine"

    policy = with_chain(Rule(rule))
    with FakeAnthropic(lambda _: fail(500)) as fake:
        assert plain_async(fake, ask, policy) == "by a coroutine"
        with pytest.raises(TypeError, match="async"):
            plain(fake, ask, policy)


# --- answers given before ---------------------------------------------------------------------------------------------


@way
def test_a_fresh_answer_is_given_again_without_asking(way: Ask, ask: dict[str, Any]) -> None:
    policy = with_chain(Cached(fresh="5m", cache=MemoryCache()))
    with FakeAnthropic([reply("once")]) as fake, capture() as calls, llmclient.context(user_id="7"):
        assert way(fake, ask, policy) == "once"
        settle()
        assert way(fake, ask, policy) == "once"
        assert len(fake.requests) == 1
    assert [(call.outcome, call.source, call.usage is None) for call in calls] == [
        ("ok", "api", False),
        ("ok", "cache", True),
    ]


@way
def test_a_stale_answer_is_given_when_claude_does_not(way: Ask, ask: dict[str, Any]) -> None:
    policy = with_chain(Cached(max_stale="1d", cache=MemoryCache()))
    with FakeAnthropic([reply("from before"), fail(500)]) as fake, capture() as calls, llmclient.context(user_id="7"):
        assert way(fake, ask, policy) == "from before"
        settle()
        assert way(fake, ask, policy) == "from before"
        assert len(fake.requests) == 2
    assert [(call.outcome, call.source) for call in calls] == [("ok", "api"), ("degraded", "stale_cache")]


@way
def test_a_cache_that_has_nothing_changes_no_exception(way: Ask, ask: dict[str, Any]) -> None:
    policy = with_chain(Cached(fresh="5m", max_stale="1d", cache=MemoryCache()))
    script = [fail(500)]
    with FakeAnthropic(script) as fake, llmclient.context(user_id="7"), pytest.raises(anthropic.InternalServerError):
        way(fake, ask, policy)


def test_another_users_answer_is_never_given(ask: dict[str, Any]) -> None:
    policy = with_chain(Cached(fresh="5m", cache=MemoryCache()))
    with FakeAnthropic([reply("for 7"), reply("for 8")]) as fake:
        with llmclient.context(user_id="7"):
            assert plain(fake, ask, policy) == "for 7"
        with llmclient.context(user_id="8"):
            assert plain(fake, ask, policy) == "for 8"


def settle() -> None:
    """What streams bring is kept by another thread."""
    from llmclient._later import LATER

    LATER.close(10)


# --- before the caller sees it ----------------------------------------------------------------------------------------


@way
def test_an_answer_is_masked_before_it_is_seen(way: Ask, ask: dict[str, Any]) -> None:
    policy = replace(ONCE, filters=[Mask(re.compile(r"\d{4}"), "[pin]"), MaxLength(20)])
    with FakeAnthropic([reply("Your PIN is 1234.", output_tokens=6)]) as fake, capture() as calls:
        assert way(fake, ask, policy) == "Your PIN is [pin]."
    assert calls.only.outcome == "ok"
    assert calls.only.usage is not None
    assert calls.only.usage["output_tokens"] == 6


@way
def test_an_answer_that_is_held_back_is_paid_for(way: Ask, ask: dict[str, Any]) -> None:
    policy = replace(ONCE, filters=[Reject(re.compile("secret"), "names a secret")])
    script = [reply("the secret is out", output_tokens=5)]
    with FakeAnthropic(script) as fake, capture() as calls, pytest.raises(llmclient.OutputFiltered) as caught:
        way(fake, ask, policy)
    assert caught.value.reason == "names a secret"
    assert (calls.only.outcome, calls.only.error and calls.only.error.category) == ("rejected", "output_filtered")
    assert calls.only.usage is not None
    assert calls.only.usage["output_tokens"] == 5


@way
def test_an_answer_no_filter_minds_comes_as_it_is(way: Ask, ask: dict[str, Any]) -> None:
    policy = replace(ONCE, filters=[Reject(re.compile("secret"), "names a secret")])
    with FakeAnthropic([reply("nothing to hide")]) as fake:
        assert way(fake, ask, policy) == "nothing to hide"


# --- keys -------------------------------------------------------------------------------------------------------------


def client(fake: FakeAnthropic, keys: Keys) -> anthropic.Anthropic:
    return llmclient.instrument(anthropic.Anthropic(api_key="unused", base_url=fake.url), ONCE, keys=keys)


def test_a_refused_key_is_replaced_by_the_next(ask: dict[str, Any]) -> None:
    with FakeAnthropic(keys=["sk-two"]) as fake, capture() as calls:
        llm = client(fake, Keys({"old": "sk-one", "new": "sk-two"}))
        llm.messages.create(**ask)
        llm.messages.create(**ask)
    assert [[(attempt.status, attempt.key_alias) for attempt in call.attempts] for call in calls] == [
        [(401, "old"), (200, "new")],
        [(200, "new")],
    ]
    assert "sk-" not in repr(calls)


def test_when_all_keys_are_refused_the_401_is_the_callers(ask: dict[str, Any]) -> None:
    with FakeAnthropic(keys=["sk-three"]) as fake, pytest.raises(anthropic.AuthenticationError):
        client(fake, Keys("sk-one", "sk-two")).messages.create(**ask)
    assert len(fake.requests) == 2


def test_a_vault_is_asked_for_a_new_key(ask: dict[str, Any]) -> None:
    given = iter(["sk-one", "sk-two"])
    with FakeAnthropic(keys=["sk-two"]) as fake:
        llm = client(fake, Keys(lambda: next(given)))
        with pytest.raises(anthropic.AuthenticationError):  # the vault is left in peace for ten seconds
            llm.messages.create(**ask)
    assert len(fake.requests) == 1


def test_keys_are_for_anthropics_own_api() -> None:
    bedrock = anthropic.AnthropicBedrock(aws_region="eu-central-1", api_key="x")
    with pytest.raises(TypeError, match="keys are for Anthropic's own API, and AnthropicBedrock signs"):
        llmclient.instrument(bedrock, keys=Keys("k"))


def test_a_policy_may_differ_by_prompt_type(ask: dict[str, Any]) -> None:
    policy = replace(ONCE, prompts={"report": {"fallback": [Notice("tomorrow")], "timeout": Timeout(total=300)}})
    with FakeAnthropic(lambda _: fail(500)) as fake:
        with llmclient.context(prompt_type="report"):
            assert plain(fake, ask, policy) == "tomorrow"
        with pytest.raises(anthropic.InternalServerError):
            plain(fake, ask, policy)
