"""Work nobody waits for, such as telling Redis what a call has cost: one daemon thread per process does it in order."""

import os
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from llmclient import _exits
from llmclient._quietly import quietly, warn

MOST_WAITING: Final = 10_000
EXIT_SECONDS: Final = 1.0
IDLE_SECONDS: Final = 30.0  # after which the thread ends; the next piece of work starts one


class Later:
    """A bounded list of things to do. `do` is constant time, takes no lock the thread holds, and never raises."""

    def __init__(self) -> None:
        self._reset()

    def _reset(self) -> None:
        self._pid = os.getpid()
        self._waiting: deque[tuple[Callable[..., object], tuple[Any, ...]]] = deque()
        self._wake = threading.Event()
        self._idle = threading.Event()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None

    def do(self, function: Callable[..., object], *arguments: Any) -> None:
        """Has it done soon. What is more than 10,000 is dropped, oldest first, and told."""
        if self._pid != os.getpid():  # what waited is the parent's to do
            self._reset()
        if len(self._waiting) >= MOST_WAITING:
            quietly(self._waiting.popleft)
            warn(
                "later", "more than %d things wait to be told to the shared store; the oldest are dropped", MOST_WAITING
            )
        self._waiting.append((function, arguments))
        self._idle.clear()
        self._wake.set()
        if self._thread is None or not self._thread.is_alive():
            quietly(self._start)

    def close(self, timeout: float = EXIT_SECONDS) -> None:
        """Waits until all is done, for at most `timeout` seconds."""
        deadline = time.monotonic() + timeout
        while self._waiting and time.monotonic() < deadline and self._thread is not None:
            self._idle.wait(0.05)

    def _start(self) -> None:
        with self._starting:
            if self._thread is not None and self._thread.is_alive():
                return
            if self._thread is None:
                _exits.call_at_exit(self)
            self._thread = threading.Thread(target=self._run, name="llmclient-later", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        while True:
            while self._waiting:
                function, arguments = self._waiting[0]
                quietly(function, *arguments)
                quietly(self._waiting.popleft)
            self._idle.set()
            if not self._wake.wait(IDLE_SECONDS) and not self._waiting:
                return
            self._wake.clear()


LATER: Final = Later()
