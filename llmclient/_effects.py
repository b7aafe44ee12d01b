"""What the engine wants done: each thing can be done by sync and by async code, and that is all they differ in.

The engine is a generator that yields these and never does any I/O itself, so there is one engine for both kinds of
client.
"""

import asyncio
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import anyio
import sniffio
from anthropic import APIRequest

from llmclient._run import Run


class Send:
    """One HTTP attempt, for at most `seconds` where that can be held."""

    __slots__ = ("request", "seconds")

    def __init__(self, request: APIRequest, seconds: float) -> None:
        self.request = request
        self.seconds = seconds

    def perform(self, call_next: Any) -> Any:
        # A blocking socket can only be given its own timeouts; they are in the request.
        return call_next(self.request)

    async def perform_async(self, call_next: Any) -> Any:
        if self.seconds == float("inf"):
            return await call_next(self.request)
        with anyio.fail_after(self.seconds):
            return await call_next(self.request)


class Pause:
    __slots__ = ("seconds",)

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def perform(self, _: Any) -> None:
        time.sleep(self.seconds)

    async def perform_async(self, _: Any) -> None:
        await anyio.sleep(self.seconds)


class SetAlarm:
    """Gives an alarm that another thread may ring: an object with `ring()`, for `Wait`."""

    __slots__ = ()

    def perform(self, _: Any) -> "Alarm":
        return Alarm()

    async def perform_async(self, _: Any) -> "AsyncAlarm":
        return AsyncAlarm()


class Wait:
    """Until the alarm rings, for at most `seconds`."""

    __slots__ = ("alarm", "seconds")

    def __init__(self, alarm: "Alarm | AsyncAlarm", seconds: float) -> None:
        self.alarm = alarm
        self.seconds = seconds

    def perform(self, _: Any) -> None:
        assert isinstance(self.alarm, Alarm)
        self.alarm.wait(self.seconds)

    async def perform_async(self, _: Any) -> None:
        assert isinstance(self.alarm, AsyncAlarm)
        await self.alarm.wait(self.seconds)


class Read:
    """The whole body of an answer, as bytes."""

    __slots__ = ("response",)

    def __init__(self, response: Any) -> None:
        self.response = response

    def perform(self, _: Any) -> bytes:
        body: bytes = self.response.read()
        return body

    async def perform_async(self, _: Any) -> bytes:
        body: bytes = await self.response.aread()
        return body


class Close:
    __slots__ = ("response",)

    def __init__(self, response: Any) -> None:
        self.response = response

    def perform(self, _: Any) -> None:
        self.response.close()

    async def perform_async(self, _: Any) -> None:
        await self.response.aclose()


class Peek:
    """Reads a watched stream until its first content, or to its end when `whole`."""

    __slots__ = ("body", "whole")

    def __init__(self, body: Any, *, whole: bool = False) -> None:
        self.body = body
        self.whole = whole

    def perform(self, _: Any) -> None:
        self.body.peek(whole=self.whole)

    async def perform_async(self, _: Any) -> None:
        await self.body.peek(whole=self.whole)


Effect = Send | Pause | SetAlarm | Wait | Read | Close | Peek | Run


class Alarm:
    def __init__(self) -> None:
        self._rung = threading.Event()

    def ring(self) -> None:
        self._rung.set()

    def wait(self, seconds: float) -> None:
        self._rung.wait(seconds)
        self._rung.clear()


class AsyncAlarm:
    """Belongs to the loop it is made in; `ring` may be called from anywhere."""

    def __init__(self) -> None:
        self._rung = anyio.Event()
        self._call_soon = _call_soon()

    def ring(self) -> None:
        try:
            self._call_soon(lambda: self._rung.set())  # noqa: PLW0108  # looked up then: `wait` puts in a fresh one
        except RuntimeError:  # its loop is closed: nobody waits any more
            return

    async def wait(self, seconds: float) -> None:
        with anyio.move_on_after(seconds):
            await self._rung.wait()
        self._rung = anyio.Event()


def _call_soon() -> Callable[[Callable[[], None]], object]:
    if sniffio.current_async_library() == "trio":
        token = sys.modules["trio"].lowlevel.current_trio_token()
        soon: Callable[[Callable[[], None]], object] = token.run_sync_soon
        return soon
    return asyncio.get_running_loop().call_soon_threadsafe
