"""A fault in measuring is never a fault of the host's call: every hook is made to raise, one after the other."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

import llmclient
from llmclient import (
    _buffer,
    _conduct,
    _config,
    _delivery,
    _engine,
    _event,
    _exits,
    _shipper,
    _sse,
    _trace,
    _tries,
    _watch,
)
from llmclient._context import Calls
from llmclient._groups import Group, Guards
from llmclient._ids import Minter
from llmclient._recording import Recording
from llmclient.testing import Answer, FakeAnthropic, broken, fail, reply
from tests.llmclient.backend import Backend
from tests.llmclient.conftest import async_client_of, client_of

HOOKS: list[tuple[Any, str]] = [
    *((Recording, name) for name in vars(Recording) if callable(getattr(Recording, name))),
    *((_watch.StreamWatch, name) for name in vars(_watch.StreamWatch) if callable(getattr(_watch.StreamWatch, name))),
    *((_watch.BodyWatch, name) for name in vars(_watch.BodyWatch) if callable(getattr(_watch.BodyWatch, name))),
    (_watch, "decoder"),
    *((Group, name) for name in ("admit", "enter", "poll", "over", "learn", "refused", "succeeded")),
    (Guards, "want"),
    (Guards, "learn"),
    (_tries, "decoder"),
    (_conduct, "params_of"),
    (_conduct, "characters_of"),
    (_conduct.Conduct, "_begin"),
    (_engine, "operation_of"),
    (_trace, "current_ids"),
    (_trace, "suppress"),
    (Minter, "mint"),
    (Calls, "add"),
    (_sse.StreamReader, "feed"),
    (_sse.StreamReader, "settled_usage"),
    (_sse.StreamReader, "text"),
    (_config.Settings, "emit"),
    (_shipper.Shipper, "emit"),
    (_shipper.Shipper, "_start"),
    (_buffer.Buffer, "put"),
    (_buffer.Buffer, "take"),
    (_buffer.Buffer, "settle"),
    (_delivery.Delivery, "step"),
    (_delivery.Delivery, "header"),
    (_delivery.Delivery, "wait"),
    (_delivery.Delivery, "leave"),
    (_event, "as_dict"),
    (_exits, "call_at_exit"),
]


class BrokenHookError(RuntimeError):
    """What the hook raises; no caller may ever see it."""


def raiser(*_: Any, **__: Any) -> Any:
    raise BrokenHookError("a fault in measuring")


@pytest.fixture(params=HOOKS, ids=lambda hook: f"{getattr(hook[0], '__name__', hook[0])}.{hook[1]}")
def broken_hook(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, backend: Backend) -> None:
    llmclient.configure(backend.dsn, capture="full")
    owner, name = request.param
    monkeypatch.setattr(owner, name, raiser)


SOON = {"retry-after-ms": "1"}


@pytest.mark.usefixtures("broken_hook")
def test_calls_succeed_whatever_fails_in_measuring_them(ask: dict[str, Any]) -> None:
    async def async_calls(fake: FakeAnthropic) -> None:
        client = async_client_of(fake)
        assert (await client.messages.create(**ask)).content[0].text == "four"
        async with client.messages.stream(**ask) as stream:
            assert await stream.get_final_text() == "five"

    script: list[Answer] = [
        fail(529, headers=SOON),
        reply("one"),
        reply("two"),
        reply("three"),
        reply("four"),
        reply("five"),
    ]
    with FakeAnthropic(script) as fake, llmclient.context(feature="inbox"):
        client = client_of(fake)
        assert client.messages.create(**ask).content[0].text == "one"
        with client.messages.stream(**ask) as stream:
            assert stream.get_final_text() == "two"
        with client.messages.with_streaming_response.create(**ask) as response:
            assert json.loads(response.read())["content"][0]["text"] == "three"
        asyncio.run(async_calls(fake))
    llmclient.flush(0.05)


@pytest.mark.usefixtures("broken_hook")
def test_a_call_that_fails_fails_with_its_own_error(ask: dict[str, Any]) -> None:
    def caught(call: Callable[[], object]) -> BaseException | None:
        try:
            call()
        except Exception as error:  # noqa: BLE001  # whatever it is, it is looked at
            return error
        return None

    with FakeAnthropic([fail(400), broken("reset"), broken("error")]) as fake:
        client = client_of(fake)
        failures = [caught(lambda: client.messages.create(**ask))]
        for _ in range(2):
            failures.append(caught(lambda: list(client.messages.create(**ask, stream=True))))  # noqa: PERF401
    assert all(failure is not None and not isinstance(failure, BrokenHookError) for failure in failures), failures


def test_a_fault_is_told_once_a_minute(
    ask: dict[str, Any], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(_conduct.Conduct, "_begin", raiser)
    with FakeAnthropic() as fake:
        client = client_of(fake)
        for _ in range(3):
            client.messages.create(**ask)
    told = [record.message for record in caplog.records if record.name == "llmclient"]
    assert told == [
        "measuring a call failed in raiser: BrokenHookError('a fault in measuring'); the call itself is not affected"
    ]


def test_a_keyboard_interrupt_is_not_swallowed(ask: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(_conduct.Conduct, "_begin", interrupt)
    with FakeAnthropic() as fake, pytest.raises(KeyboardInterrupt):
        client_of(fake).messages.create(**ask)
