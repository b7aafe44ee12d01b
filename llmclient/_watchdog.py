"""Ends a blocked read when its time is up: a socket's own timeout starts afresh with every byte, and pings are bytes.

One daemon thread for all streams of the process, and only for sync ones: async code can be cancelled.
"""

import heapq
import itertools
import os
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from llmclient._quietly import quietly

IDLE_SECONDS: Final = 30.0  # without anything to watch, after which the thread ends


class Watch:
    """One read under watch. `bitten` when its time was up."""

    __slots__ = ("bite", "bitten")

    def __init__(self, bite: Callable[[], None]) -> None:
        self.bite: Callable[[], None] | None = bite
        self.bitten = False


class Watchdog:
    """Times are monotonic seconds."""

    def __init__(self) -> None:
        self._reset()

    def _reset(self) -> None:
        self._pid = os.getpid()
        self._changed = threading.Condition()
        self._due: list[tuple[float, int, Watch]] = []
        self._numbers = itertools.count()
        self._thread: threading.Thread | None = None

    def watch(self, at: float, bite: Callable[[], None]) -> Watch:
        """Has `bite()` called at that time, unless `release` comes first."""
        if self._pid != os.getpid():  # the parent's thread does not exist here
            self._reset()
        watch = Watch(bite)
        with self._changed:
            heapq.heappush(self._due, (at, next(self._numbers), watch))
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="llmclient-watchdog", daemon=True)
                self._thread.start()
            elif self._due[0][2] is watch:
                self._changed.notify()
        return watch

    @staticmethod
    def release(watch: Watch) -> None:
        """The read came to its end."""
        watch.bite = None

    def _run(self) -> None:
        while True:
            with self._changed:
                while self._due and (self._due[0][2].bite is None or self._due[0][0] <= time.monotonic()):
                    self._bite(heapq.heappop(self._due)[2])
                wait = self._due[0][0] - time.monotonic() if self._due else IDLE_SECONDS
                if not self._changed.wait(max(wait, 0.0)) and not self._due:
                    self._thread = None
                    return

    @staticmethod
    def _bite(watch: Watch) -> None:
        bite, watch.bite = watch.bite, None
        if bite is not None:
            watch.bitten = True
            quietly(bite)


WATCHDOG: Final = Watchdog()


def hang_up(response: Any) -> Callable[[], None] | None:
    """What ends the connection of an answer from another thread; None when its socket cannot be had."""
    stream = response.extensions.get("network_stream")
    if stream is None or response.http_version == "HTTP/2":  # there other calls share the connection
        return None
    found = stream.get_extra_info("socket")
    if not isinstance(found, socket.socket):
        return None

    def shut_down() -> None:
        with suppress(OSError):  # it has ended by itself
            # Of the socket itself, below any TLS: a farewell would have to wait for the reader.
            socket.socket.shutdown(found, socket.SHUT_RDWR)

    return shut_down
