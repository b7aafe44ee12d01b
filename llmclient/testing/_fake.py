"""A fake of the Claude API on a real socket, for tests, load tests and demonstrations."""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Final, Self

from llmclient.testing._account import Account
from llmclient.testing._answers import Answer, Burst
from llmclient.testing._buckets import Limits
from llmclient.testing._connection import Connection
from llmclient.testing._latency import Latency
from llmclient.testing._lineup import CURRENT_MODELS, Model
from llmclient.testing._playbook import Playbook, Script
from llmclient.testing._requests import Request
from llmclient.testing._response import Response
from llmclient.testing._service import Service

REQUESTS_KEPT: Final = 10_000
START_TIMEOUT: Final = 10.0  # seconds


class FakeAnthropic:
    """Serves the Claude API on a loopback port: messages, token counts, batches, models, limits, usage and cost.

    `script` is a list of answers, used in turn, or a callable that gets each `Request`; where it says nothing (the
    list is used up or holds None, the callable returns None) the header `x-fake-plan` or
    `x-fake-usage: <input>,<output>` decides, and without these a seeded reply. `schedule` holds bursts that go before
    all of these. `limits=None` switches rate limits and their headers off, `keys` names the only keys accepted.
    `latency` is for answers that nobody timed; without it they come at once. Requests inside batches take
    `batch_seconds`. `speed` divides every waiting: at 60 a second-long answer takes 17 ms, and the buckets refill 60
    times as fast. Raises OSError when the port is taken.
    """

    def __init__(
        self,
        script: Script = (),
        *,
        limits: Limits | None = Limits(),  # noqa: B008  frozen
        schedule: Iterable[Burst] = (),
        latency: Latency | None = None,
        keys: Iterable[str] | None = None,
        models: Iterable[Model] = CURRENT_MODELS,
        batch_seconds: float = 60.0,
        seed: int = 0,
        speed: float = 1.0,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        if speed <= 0:
            raise ValueError(f"speed: {speed} is not above 0")
        self.requests: deque[Request] = deque(maxlen=REQUESTS_KEPT)
        self._speed, self._skipped = speed, 0.0
        self._account = Account(
            limits=limits, models=models, keys=keys, seed=seed, speed=speed, clock=self.clock, wall=self._wall
        )
        self._playbook = Playbook(script, seed=seed, clock=self.clock)
        self._schedule = tuple(schedule)
        self._service = Service(self._account, self._playbook, latency=latency, seed=seed, batch_seconds=batch_seconds)
        self._host, self._port = host, port
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._ready = threading.Event()
        self._failed: OSError | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """The base URL for the SDK. The port is known once the fake has been started."""
        return f"http://{self._host}:{self._port}"

    def clock(self) -> float:
        """Seconds of the fake's own time, which runs `speed` times as fast as the real one."""
        return time.monotonic() * self._speed + self._skipped

    def advance(self, seconds: float) -> None:
        """Moves the fake's time on at once: buckets refill, batches end, bursts come and go, the day changes.

        Answers under way keep their times.
        """
        self._skipped += seconds

    def script(self, *answers: Answer | Callable[[Request], Answer | None] | None) -> None:
        """The answers from now on, in turn, or one callable; what is left of the script before is forgotten."""
        first = answers[0] if len(answers) == 1 else None
        if callable(first):
            self._playbook.script(first)
        else:
            self._playbook.script([answer for answer in answers if not callable(answer)])

    def schedule(self, *bursts: Burst) -> None:
        """Bursts to come; their times count from now."""
        self._playbook.schedule(*bursts)

    def accept_keys(self, *keys: str) -> None:
        """From now on these keys are accepted and no others."""
        self._account.keys.accept(*keys)

    def revoke_keys(self, *keys: str) -> None:
        """From now on these keys are answered 401."""
        self._account.keys.revoke(*keys)

    def deprecate(self, model: str, *, retires_at: str | None = None) -> None:
        """The Models API calls it deprecated from now on; it is still served. `retires_at`: RFC 3339."""
        self._account.models.deprecate(model, at=self._wall().isoformat(), retires_at=retires_at)

    def retire(self, model: str) -> None:
        """Messages that name it are answered 404 from now on."""
        self._account.models.retire(model, at=self._wall().isoformat())

    def start(self) -> Self:
        """Listen, in a thread of its own; returns when connections are accepted."""
        self._playbook.schedule(*self._schedule)
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="fake-anthropic", daemon=True)
        self._thread.start()
        if not self._ready.wait(START_TIMEOUT):
            raise TimeoutError("the fake did not start within 10 seconds")
        if self._failed is not None:
            raise self._failed
        return self

    def stop(self) -> None:
        """End all connections and the thread. Safe to call twice."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        if self._loop is not None and self._stop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._stop.set)
        thread.join(START_TIMEOUT)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _wall(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self._skipped)

    def _respond(self, request: Request) -> Response:
        numbered, response = self._service.respond(request)
        self.requests.append(numbered)
        return response

    async def _sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds / self._speed)

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        connections: set[asyncio.Task[None]] = set()

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            connections.add(task)
            try:
                await Connection(reader, writer, self._respond, self._sleep).serve()
            except asyncio.CancelledError:
                writer.transport.abort()  # the fake is being stopped
            finally:
                connections.discard(task)

        try:
            server = await asyncio.start_server(connected, self._host, self._port, backlog=1024)
        except OSError as taken:
            self._failed = taken
            self._ready.set()
            return
        self._port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()
        for task in connections:
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)


__all__ = ["Answer", "FakeAnthropic"]
