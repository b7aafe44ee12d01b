"""Carries finished calls from the host's threads to the sender's, and sees to it that neither hurts the other.

`emit` appends to a buffer and returns: no I/O, no encoding, no lock. One daemon thread per process does the rest. It
starts with the first call, because a thread started before a fork does not exist in the child.
"""

import os
import threading
import time
import weakref
from collections.abc import Callable
from typing import Final

from llmclient import _exits, _trace
from llmclient._buffer import Buffer
from llmclient._call import Call
from llmclient._delivery import Delivery
from llmclient._quietly import quietly, warn
from llmclient._score import Score

THREAD_NAME: Final = "llmclient-sender"
EXIT_SECONDS: Final = 1.5
JOIN_SHARE: Final = 2 / 3  # of the time for closing; the rest is for writing to disk
POLL: Final = 0.5  # seconds: calls that come while nothing is to be sent are encoded before there are many
FAULT_PAUSE: Final = 5.0  # seconds
BRIEFLY: Final = 0.5

MakeDelivery = Callable[[Buffer], Delivery]


class Shipper:
    """Ships calls in the background. `make_delivery` is called once per process."""

    def __init__(self, make_delivery: MakeDelivery, *, make_buffer: Callable[[], Buffer] = Buffer) -> None:
        self._make_delivery = make_delivery
        self._make_buffer = make_buffer
        self._reset()
        me = weakref.ref(self)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=lambda: _reset_if_alive(me))

    def _reset(self) -> None:
        """Everything a process may not share with its parent: what waits is the parent's to send."""
        self._inherited = getattr(self, "_delivery", None)  # kept, so that no shared connection is closed
        self._pid = os.getpid()
        self._buffer = self._make_buffer()
        self._delivery = self._make_delivery(self._buffer)
        self._wake = threading.Event()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._sender: int | None = None
        self._closing = False
        self._flushes: list[tuple[int, threading.Event]] = []

    @property
    def buffer(self) -> Buffer:
        return self._buffer

    @property
    def delivery(self) -> Delivery:
        return self._delivery

    def emit(self, call: Call | Score) -> None:
        """Takes a finished call, or a score of one. Constant time; never raises, never waits."""
        if self._pid != os.getpid():  # forked behind Python's back
            self._reset()
        if threading.get_ident() == self._sender:  # a call made while sending must not feed on itself
            return
        self._buffer.put(call)
        if self._thread is None:
            quietly(self._start)

    def flush(self, timeout: float | None = None) -> bool:
        """Waits until every call emitted so far is delivered, spooled or lost; False when `timeout` seconds pass."""
        if self._thread is None or self._pid != os.getpid():
            return not self._buffer
        waiting = (self._buffer.emitted, threading.Event())
        self._flushes.append(waiting)
        self._hurry()
        delivered = waiting[1].wait(timeout)
        if waiting in self._flushes:
            self._flushes.remove(waiting)
        return delivered

    def flush_briefly(self) -> None:
        """For a process that may be killed at any time: sends what waits, unless the server is away."""
        if self._pid == os.getpid() and not self._closing and not self._delivery.idle and self._delivery.failures == 0:
            self.flush(BRIEFLY)

    def close(self, timeout: float = EXIT_SECONDS) -> None:
        """Delivers what waits, for at most `timeout` seconds; then spools it, or drops it and says so."""
        if self._pid != os.getpid() or self._closing:
            return
        ends = time.monotonic() + timeout
        self._closing = True
        self._hurry()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout * JOIN_SHARE)
        lost = quietly(self._delivery.leave, lambda: ends - time.monotonic())
        if lost:
            warn("exit", "%d telemetry events could not be delivered before the end of the process", lost)

    def _hurry(self) -> None:
        self._delivery.encoding.hurry = True
        self._wake.set()

    def _start(self) -> None:
        with self._starting:
            if self._thread is not None or self._closing:
                return
            thread = threading.Thread(target=self._run, name=THREAD_NAME, daemon=True)
            _exits.call_at_exit(self)
            try:
                thread.start()
            except RuntimeError:  # the interpreter is shutting down: what waits is left to close()
                return
            self._thread = thread

    def _run(self) -> None:
        self._sender = threading.get_ident()
        quietly(_trace.suppress)
        delivery, wake = self._delivery, self._wake
        delivery.start(time.monotonic())
        while True:
            delivery.encoding.hurry = (
                False  # before it is looked whether somebody waits: whoever comes now sets it again
            )
            closing = self._closing
            failures = delivery.failures
            more = quietly(delivery.step, time.monotonic(), urgent=closing or bool(self._flushes))
            self._answer_flushes()
            if closing and (more is None or delivery.idle or delivery.failures > failures):
                return
            if not more:
                # None: the step itself failed, and would fail again at once.
                pause = None if more is None else quietly(delivery.wait, time.monotonic())
                # While somebody waits for a server that is away, every look would be a request: its pause is kept.
                wake.wait(FAULT_PAUSE if pause is None else pause if self._flushes else min(pause, POLL))
                wake.clear()

    def _answer_flushes(self) -> None:
        for waiting in list(self._flushes):
            target, done = waiting
            if self._delivery.settled + self._buffer.overflowed >= target:
                done.set()


def _reset_if_alive(shipper: "weakref.ref[Shipper]") -> None:
    alive = shipper()
    if alive is not None:
        quietly(alive._reset)  # a lambda holding the method would keep the shipper for ever
