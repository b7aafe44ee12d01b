"""What the engine wants done is done by sync code, by asyncio and by trio alike."""

import asyncio
import threading
from typing import Any

import anthropic
import anyio
import pytest
import trio

import llmclient
from llmclient._effects import Pause, SetAlarm, Wait
from llmclient.testing import FakeAnthropic, capture, fail, reply, slow
from tests.llmclient.conftest import QUICK, async_client_of


def test_an_alarm_rung_in_another_thread_ends_the_wait() -> None:
    alarm = SetAlarm().perform(None)
    threading.Timer(0.02, alarm.ring).start()
    Wait(alarm, 60).perform(None)


def test_an_alarm_rung_before_the_wait_is_heard() -> None:
    alarm = SetAlarm().perform(None)
    alarm.ring()
    Wait(alarm, 60).perform(None)
    Wait(alarm, 0.001).perform(None)  # and counts once


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_an_async_alarm_may_be_rung_from_anywhere(backend: str) -> None:
    async def run() -> None:
        for early in (True, False):
            alarm: Any = await SetAlarm().perform_async(None)
            if early:
                alarm.ring()
            else:
                threading.Timer(0.02, alarm.ring).start()
            await Wait(alarm, 60).perform_async(None)
        await Wait(alarm, 0.001).perform_async(None)
        await Pause(0.001).perform_async(None)

    anyio.run(run, backend=backend)


def test_an_alarm_of_a_loop_that_is_closed_is_nobodys() -> None:
    async def make() -> Any:
        return await SetAlarm().perform_async(None)

    asyncio.run(make()).ring()


def test_calls_are_made_under_trio(ask: dict[str, Any]) -> None:
    async def run(fake: FakeAnthropic) -> list[str]:
        llm = async_client_of(fake)
        said = [(await llm.messages.create(**ask)).content[0].text]
        async with llm.messages.stream(**ask) as stream:
            said.append(await stream.get_final_text())
        with pytest.raises(llmclient.DeadlineExceeded), llmclient.deadline(0.1):
            await llm.messages.create(**ask)
        return said

    with FakeAnthropic([fail(529), reply("plain"), reply("streamed"), slow(5)]) as fake, capture() as calls:
        assert trio.run(run, fake) == ["plain", "streamed"]
    assert [[attempt.category for attempt in call.attempts] for call in calls] == [
        ["overloaded", None],
        [None],
        ["timeout"],
    ]


def test_a_timeout_of_ours_is_told_as_the_sdk_tells_its_own(ask: dict[str, Any]) -> None:
    async def run(fake: FakeAnthropic) -> None:
        await async_client_of(fake, QUICK).messages.create(**ask, timeout=0.1)

    with FakeAnthropic(lambda _: slow(5)) as fake, pytest.raises(anthropic.APITimeoutError):
        asyncio.run(run(fake))
