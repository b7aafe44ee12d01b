"""What may answer when Claude does not, element by element."""

import logging
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import UUID

import anthropic
import anyio
import pytest

from llmclient import _message
from llmclient._cached import Steps
from llmclient._errors import CATEGORIES, Category
from llmclient._exceptions import Deferred
from llmclient._run import Run
from llmclient.cache import MemoryCache
from llmclient.fallback import (
    Answered,
    Asked,
    Cached,
    Defer,
    Fallback,
    Job,
    Model,
    Notice,
    Rule,
    answers,
    ask,
    check,
    fresh,
    remember,
)
from tests.llmclient.driving import both, drive, drive_async

CALL_ID = UUID("01939e6a-5c00-7000-8000-000000000001")
BODY: dict[str, Any] = {
    "model": "claude-opus-5-5",
    "max_tokens": 9,
    "thinking": {"type": "adaptive"},
    "messages": [{"role": "user", "content": "My invoice is wrong"}],
}
ASKED = Asked(BODY, {"user_id": "4711", "feature": "inbox"}, "overloaded", call_id=CALL_ID)
NOW = 1_000_000.0
DOWN: set[Category] = {
    "timeout",
    "connection",
    "rate_limit",
    "ramp_limit",
    "overloaded",
    "server_error",
    "stream_interrupted",
    "circuit_open",
    "local_rate_limited",
}
UNPAID: set[Category] = {"spend_limit", "billing"}


def handled(element: Fallback) -> set[str]:
    return {category for category in CATEGORIES if element.handles(category)}


def said(source: str, text: str) -> Answered:
    return Answered(source, body=_message.of(text, model="claude-opus-5-5", call_id=CALL_ID))  # type: ignore[arg-type]


def queue(job: Job) -> str:
    return f"ticket for {job.call_id}"


def test_each_element_is_for_some_failures_only() -> None:
    late, dear = {"deadline_exceeded"}, {"budget_exceeded"}
    assert handled(Model("claude-haiku-5-5")) == DOWN | {"not_found"} | dear
    assert handled(Rule(lambda asked: None)) == DOWN | UNPAID | late | dear
    assert handled(Notice("Soon.")) == DOWN | UNPAID | late | dear
    assert handled(Defer(queue)) == DOWN | UNPAID | late
    assert handled(Cached(max_stale="1d")) == DOWN | UNPAID | late | dear


def test_a_refusal_is_answered_only_where_that_was_said() -> None:
    elements: list[Fallback] = [
        Model("claude-haiku-5-5", on_refusal=True),
        Rule(str, on_refusal=True),
        Notice("No.", on_refusal=True),
    ]
    assert [element.handles("refusal") for element in elements] == [True, True, True]


def test_only_those_that_are_for_a_failure_are_asked_in_their_order() -> None:
    chain: list[Fallback] = [Cached(fresh="5m"), Model("claude-haiku-5-5"), Defer(queue), Notice("Soon.")]
    assert answers(chain, "overloaded") == chain[1:]
    assert answers(chain, "budget_exceeded") == [chain[1], chain[3]]
    assert answers(chain, "spend_limit") == chain[2:]
    assert answers(chain, "not_found") == [chain[1]]
    assert answers(chain, "invalid_request") == []


def test_a_model_is_asked_the_same_with_what_it_does_not_know_left_out() -> None:
    plain, changed = Model("claude-haiku-5-5"), Model("claude-haiku-5-5", changes={"thinking": None, "max_tokens": 5})
    expected = Answered("model_fallback", next_body={**BODY, "model": "claude-haiku-5-5"})
    assert both(plain.steps, ASKED, NOW) == [expected, expected]
    assert expected.next_model == "claude-haiku-5-5"
    answered = drive(changed.steps(ASKED, NOW))
    assert answered is not None
    assert answered.next_body == {"model": "claude-haiku-5-5", "max_tokens": 5, "messages": BODY["messages"]}
    assert BODY["max_tokens"] == 9


def test_what_was_not_given_in_the_request_stays_as_it_is() -> None:
    answered = drive(Model("claude-haiku-5-5").steps(Asked({**BODY, "system": None}), NOW))
    assert answered is not None
    assert answered.next_body == {**BODY, "system": None, "model": "claude-haiku-5-5"}


def test_the_model_that_did_not_answer_is_not_asked_again() -> None:
    assert drive(Model("claude-opus-5-5").steps(ASKED, NOW)) is None
    assert drive(Model("claude-opus-5-5", changes={"thinking": None}).steps(ASKED, NOW)) is not None


def keyword_triage(asked: Asked) -> str | None:
    return "billing" if "invoice" in asked.text else None


async def slow_triage(asked: Asked) -> Mapping[str, Any]:
    return {"content": [{"type": "text", "text": f"{asked.category} {asked.labels['feature']}"}]}


def test_a_rule_gives_a_text_or_says_that_it_is_not_its() -> None:
    assert both(Rule(keyword_triage).steps, ASKED, NOW) == [said("rule", "billing"), said("rule", "billing")]
    other = Asked({**BODY, "messages": [{"role": "user", "content": "It crashes"}]})
    assert both(Rule(keyword_triage, blocking=True).steps, other, NOW) == [None, None]


def test_a_rule_may_be_async_where_the_client_is(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "llmclient"):
        assert both(ask, Rule(slow_triage), ASKED, NOW) == [None, said("rule", "overloaded inbox")]
    assert "that works with the async clients only" in caplog.text
    check([Rule(slow_triage)], asynchronous=True)
    with pytest.raises(TypeError, match=r"slow_triage.* is async; that works with the async clients only"):
        check([Rule(keyword_triage), Rule(slow_triage)], asynchronous=False)


@pytest.mark.parametrize("nothing", [lambda asked: 1 / 0, lambda asked: 5, lambda asked: {"content": None}])
def test_a_rule_that_fails_is_told_and_passed_over(nothing: Any, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "llmclient"):
        assert both(ask, Rule(nothing), ASKED, NOW) == [None, None]
    assert "the fallback Rule failed and is passed over" in caplog.text


def test_a_cancelled_rule_is_no_failed_rule() -> None:
    steps = ask(Rule(keyword_triage), ASKED, NOW)
    steps.send(None)
    with pytest.raises(KeyboardInterrupt):
        steps.throw(KeyboardInterrupt())


class Queue:
    def __init__(self) -> None:
        self.jobs: list[Job] = []

    def defer(self, job: Job) -> int:
        self.jobs.append(job)
        return len(self.jobs)


async def async_queue(job: Job) -> str:
    return "from an async queue"


def test_a_deferred_call_ends_with_its_ticket() -> None:
    jobs = Queue()
    with pytest.raises(Deferred) as deferred:
        drive(ask(Defer(jobs), ASKED, NOW))
    assert deferred.value.ticket == 1
    assert jobs.jobs == [Job(BODY, ASKED.labels, "overloaded", "", CALL_ID)]
    assert isinstance(deferred.value, anthropic.AnthropicError)
    assert jobs.jobs[0].as_dict() == {
        "body": BODY,
        "labels": {"user_id": "4711", "feature": "inbox"},
        "category": "overloaded",
        "variant": "",
        "call_id": "01939e6a-5c00-7000-8000-000000000001",
    }


@pytest.mark.parametrize("blocking", [True, False])
def test_a_queue_may_be_a_function_async_ones_included(blocking: bool) -> None:
    with pytest.raises(Deferred, match="ticket for 01939e6a"):
        both(ask, Defer(queue, blocking=blocking), ASKED, NOW)
    assert Defer(async_queue).needs_async
    with pytest.raises(TypeError, match="async clients only"):
        check([Defer(async_queue)], asynchronous=False)


def test_an_async_queue_is_awaited() -> None:
    with pytest.raises(Deferred) as deferred:
        anyio.run(drive_async, ask(Defer(async_queue), ASKED, NOW))
    assert deferred.value.ticket == "from an async queue"


def test_a_queue_that_takes_nothing_is_passed_over(caplog: pytest.LogCaptureFixture) -> None:
    def full(job: Job) -> str:
        raise ConnectionError("no broker")

    with caplog.at_level(logging.WARNING, "llmclient"):
        assert both(ask, Defer(full), ASKED, NOW) == [None, None]
    assert "the fallback Defer failed and is passed over" in caplog.text


def test_what_is_no_queue_is_told_when_the_policy_is_made() -> None:
    with pytest.raises(TypeError, match="Defer: 5 is neither a function, nor a queue with a method defer, nor a name"):
        Defer(5)


class Own:
    """An element of an application's own."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def handles(self, category: Category) -> bool:
        raise NotImplementedError

    def steps(self, asked: Asked, now: float) -> Steps:
        yield Run(dict)
        raise self.error


def test_an_element_of_ones_own_may_defer_and_else_fail_without_harm(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(Deferred, match="its ticket is 7"):
        both(ask, Own(Deferred(7)), ASKED, NOW)
    with caplog.at_level(logging.WARNING, "llmclient"):
        assert both(ask, Own(OSError("gone")), ASKED, NOW) == [None, None]
    assert caplog.messages == ["the fallback Own failed and is passed over: OSError('gone')"]


@pytest.mark.parametrize("none", ["claude-haiku-5-5", Notice, None])
def test_what_is_no_fallback_is_told(none: Any) -> None:
    with pytest.raises(TypeError, match=r"is none; give Cached\(…\), Model\(…\)"):
        check([Notice("Soon."), none], asynchronous=True)


def test_the_first_fresh_answer_is_given() -> None:
    chain: list[Fallback] = [Notice("Soon."), Cached(max_stale="1d"), Cached(fresh="5m", cache=MemoryCache())]
    assert both(fresh, chain, ASKED, NOW) == [None, None]
    message = _message.of("kept", model="claude-opus-5-5")
    store = MemoryCache(clock=lambda: NOW)
    chain.append(Cached(fresh="5m", cache=store))
    drive(remember(chain[-1:], ASKED, message, NOW))
    found = drive(fresh(chain, ASKED, NOW))
    assert found is not None
    assert (found.source, found.body and found.body["content"]) == ("cache", [{"type": "text", "text": "kept"}])


def test_a_notice_is_a_message() -> None:
    assert both(Notice("Back soon.").steps, ASKED, NOW) == [said("notice", "Back soon."), said("notice", "Back soon.")]
    with pytest.raises(ValueError, match="it is empty"):
        Notice("")


def test_a_notice_is_no_answer_to_who_wants_json() -> None:
    wants = {**BODY, "output_config": {"format": {"type": "json_schema", "schema": {}}}}
    assert drive(Notice("Back soon.").steps(Asked(wants), NOW)) is None


def test_what_is_asked_can_be_looked_at() -> None:
    assert (ASKED.text, ASKED.model, ASKED.category) == ("My invoice is wrong", "claude-opus-5-5", "overloaded")
    assert Asked({"messages": []}).text == ""


def test_importing_fallbacks_loads_no_sdk() -> None:
    heavy = ("anthropic", "httpx2", "pydantic", "anyio", "redis", "celery", "django")
    program = f"import sys, llmclient.fallback, llmclient.cache; print([m for m in {heavy} if m in sys.modules])"
    root = Path(__file__).resolve().parents[2]
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=root, check=True)
    assert ran.stdout.strip() == "[]"
