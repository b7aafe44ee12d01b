"""Labels follow the flow of control."""

import asyncio
import threading
from typing import Any

import pytest

import llmclient
from llmclient import _context
from llmclient.testing import FakeAnthropic
from tests.llmclient.conftest import client_of


def labels() -> dict[str, Any]:
    return dict(_context.current().labels)


def test_nested_contexts_merge_and_the_inner_one_wins() -> None:
    with llmclient.context(feature="inbox", user_id=4711, tags={"plan": "pro", "ab": "a"}):
        with llmclient.context(feature="triage", prompt_type="sort", tags={"ab": "b"}):
            assert labels() == {
                "feature": "triage",
                "user_id": "4711",
                "prompt_type": "sort",
                "tags": {"plan": "pro", "ab": "b"},
            }
        assert labels() == {"feature": "inbox", "user_id": "4711", "tags": {"plan": "pro", "ab": "a"}}
    assert labels() == {}


def test_labels_fit_the_wire() -> None:
    with llmclient.context(feature="x" * 300, tags={f"t{n}": n for n in range(30)}):
        assert labels()["feature"] == "x" * 200
        assert next(iter(labels()["tags"].items())) == ("t10", "10")
        assert len(labels()["tags"]) == 20


def test_an_exception_leaves_the_context() -> None:
    with pytest.raises(KeyError), llmclient.context(feature="inbox"):
        raise KeyError("x")
    assert labels() == {}


def test_a_decorated_function_runs_in_its_context() -> None:
    @llmclient.prompt("summary", version=7)
    def inside(depth: int) -> list[dict[str, Any]]:
        return [labels()] if depth == 0 else [labels(), *inside(depth - 1)]

    assert inside(1) == [{"prompt_type": "summary", "prompt_version": "7"}] * 2
    assert labels() == {}


def test_a_decorated_coroutine_function_stays_one_and_runs_in_its_context() -> None:
    @llmclient.context(feature="inbox")
    async def inside() -> dict[str, Any]:
        await asyncio.sleep(0)
        return labels()

    async def both() -> list[dict[str, Any]]:
        return [*await asyncio.gather(inside(), inside())]

    assert asyncio.iscoroutinefunction(inside)
    assert asyncio.run(both()) == [{"feature": "inbox"}] * 2


def test_tasks_do_not_see_each_others_labels() -> None:
    async def one(name: str) -> dict[str, Any]:
        with llmclient.context(feature=name):
            await asyncio.sleep(0)
            return labels()

    async def both() -> list[dict[str, Any]]:
        return [*await asyncio.gather(one("a"), one("b"))]

    assert asyncio.run(both()) == [{"feature": "a"}, {"feature": "b"}]


def test_a_new_thread_starts_without_labels() -> None:
    seen: list[dict[str, Any]] = []
    with llmclient.context(feature="inbox"):
        thread = threading.Thread(target=lambda: seen.append(labels()))
        thread.start()
        thread.join()
    assert seen == [{}]


def test_a_generator_cannot_be_decorated_and_is_told_what_to_do() -> None:
    with pytest.raises(TypeError, match=r"Write `with llmclient\.context"):

        @llmclient.prompt("chat")
        def chunks() -> Any:
            yield 1


def test_a_context_is_entered_once() -> None:
    one = llmclient.context(feature="inbox")
    with one, pytest.raises(RuntimeError, match="already entered"):
        one.__enter__()


def test_the_handles_of_all_contexts_around_a_call_know_it(ask: dict[str, Any]) -> None:
    with FakeAnthropic() as fake, llmclient.context() as outer:
        client = client_of(fake)
        with llmclient.context() as inner:
            client.messages.create(**ask)
        client.messages.create(**ask)
    assert len(outer.calls) == 2
    assert inner.calls == outer.calls[:1]
    assert inner.id == outer.calls[0].id
    assert outer.id == outer.calls[1].id


def test_a_handle_without_calls_has_no_values() -> None:
    with llmclient.context() as call:
        assert (call.id, call.attempts, call.ttft, call.source, call.calls) == (None, (), None, None, ())


def test_a_handle_keeps_the_last_hundred_calls(ask: dict[str, Any]) -> None:
    with FakeAnthropic(limits=None) as fake, llmclient.context() as call:
        client = client_of(fake)
        for _ in range(103):
            client.messages.create(**ask)
    assert len(call.calls) == 100
