"""One step, performed by sync and by async code."""

import threading

import anyio
import anyio.lowlevel
import pytest

from llmclient._run import Run


def thread_id() -> int:
    return threading.get_ident()


async def later(value: int) -> int:
    await anyio.lowlevel.checkpoint()
    return value


def test_sync_code_just_calls() -> None:
    assert Run(lambda one, two: one + two, 1, 2).perform() == 3
    assert Run(thread_id, blocking=True).perform() == threading.get_ident()


def test_sync_code_cannot_await_and_says_so() -> None:
    with pytest.raises(TypeError, match="is async; that works with the async clients only"):
        Run(later, 1).perform()


def test_async_code_awaits_and_leaves_what_blocks_to_a_thread() -> None:
    async def ask() -> tuple[int, bool, bool]:
        here = threading.get_ident()
        awaited = await Run(later, 5).perform_async()
        plain = await Run(thread_id).perform_async()
        blocking = await Run(thread_id, blocking=True).perform_async()
        return awaited, plain == here, blocking == here

    assert anyio.run(ask) == (5, True, False)


def test_what_it_raises_is_raised() -> None:
    def fail() -> None:
        raise LookupError("nothing there")

    async def ask() -> None:
        await Run(fail, blocking=True).perform_async()

    with pytest.raises(LookupError, match="nothing there"):
        Run(fail).perform()
    with pytest.raises(LookupError, match="nothing there"):
        anyio.run(ask)
