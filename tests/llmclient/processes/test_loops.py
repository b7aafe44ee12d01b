"""Event loops that come and go, one after the other and side by side, each with a client of its own."""

import asyncio
import threading
from typing import Any

import llmclient
from llmclient.testing import FakeAnthropic
from tests.llmclient.backend import Backend, configured
from tests.llmclient.conftest import ASK, async_client_of, client_of
from tests.llmclient.processes.conftest import assert_all_accounted_for


async def day(fake: FakeAnthropic, who: str) -> list[str]:
    """What happens in one loop: plain calls side by side, a stream, and one that is cancelled."""
    async with async_client_of(fake) as client:
        with llmclient.context(prompt_type=who):
            plain = await asyncio.gather(*(client.messages.create(**ASK) for _ in range(4)))
            async with client.messages.stream(**ASK) as stream:
                await stream.get_final_text()
            slow = asyncio.create_task(client.messages.create(**ASK, extra_headers={"x-fake-plan": SLOW}))
            await asyncio.sleep(0)
            slow.cancel()
            await asyncio.gather(slow, return_exceptions=True)
    return [message.content[0].text for message in plain]


SLOW = '{"id": "slow", "ttft": 30.0}'
MEASURED = 5  # the cancelled call may end before it began


def in_a_loop_of_its_own(fake: FakeAnthropic, who: str, answers: dict[str, Any]) -> None:
    try:
        answers[who] = asyncio.run(day(fake, who))
    except BaseException as error:  # noqa: BLE001  # a thread's exception would only be printed
        answers[who] = error


def measured(backend: Backend, who: str) -> int:
    return sum(event.get("prompt_type") == who and event["outcome"] == "ok" for event in backend.events)


def test_loops_one_after_the_other_and_side_by_side_share_what_they_must(backend: Backend) -> None:
    configured(backend)
    answers: dict[str, Any] = {}
    with FakeAnthropic(limits=None) as fake:
        for number in range(4):
            in_a_loop_of_its_own(fake, f"in turn {number}", answers)
        threads = [
            threading.Thread(target=in_a_loop_of_its_own, args=(fake, f"side by side {number}", answers))
            for number in range(4)
        ]
        for thread in threads:
            thread.start()
        client_of(fake).messages.create(**ASK)  # and a sync one among them
        for thread in threads:
            thread.join(60)
    assert llmclient.flush(30)
    assert len(answers) == 8
    for who, said in answers.items():
        assert isinstance(said, list), said
        assert len(said) == 4
        assert measured(backend, who) == MEASURED
    assert_all_accounted_for(backend)
