"""Carries policy and leases between this process and the server, in a daemon thread that starts with the first call.

A call never waits for the server, unless `wait` says for how many seconds at most one that finds no lease may. A forked
child gets a thread, leases and a holder's name of its own; what the parent leased is the parent's.
"""

import os
import random
import threading
import time
import uuid
import weakref
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from llmclient import _exits, _prices, _server_policy, _trace
from llmclient._lease_holds import LeaseHold, Short
from llmclient._leases import LeaseBook
from llmclient._pace import Pace
from llmclient._quietly import quietly, warn
from llmclient._server_policy import ServerPolicy

if TYPE_CHECKING:
    from llmclient._lease_line import Line, Reply

THREAD_NAME: Final = "llmclient-leases"
NO_ENTRY_PAUSE: Final = 300.0  # seconds
EXIT_SECONDS: Final = 1.0
REST: Final = 0.05  # between two exchanges, so that calls arriving together are served together
TICK: Final = 1.0  # between two looks at what is leased
FAULT_PAUSE: Final = 5.0
NO_ENTRY: Final = (401, 403, 404)
REFUSED: Final = (400, 413, 415, 422)


class LeaseLink:
    """`connect` is called in the thread, once per process: `import llmclient` loads no HTTP client."""

    def __init__(
        self,
        connect: "Callable[[], Line]",
        *,
        wait: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.blocking: Final = wait > 0
        self._connect = connect
        self._wait = wait
        self._clock = clock
        self._chance = chance
        self._policy = ServerPolicy()
        self._reset()
        me = weakref.ref(self)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=lambda: _reset_if_alive(me))

    def _reset(self) -> None:
        self._inherited = getattr(self, "_line", None)  # kept, so that no shared connection is closed
        self._pid = os.getpid()
        self._line: Line | None = None
        self.book = LeaseBook(str(uuid.uuid4()), lambda: str(uuid.uuid4()))
        self.book.learn(self._policy)
        self._tag: str | None = None
        self._looked = False
        self._failures = 0
        self._not_before = self._last_look = self._next_look = -float("inf")
        self._wake = threading.Event()
        self._news = threading.Condition()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._closing = False

    @property
    def policy(self) -> ServerPolicy:
        """The last policy heard of; an empty one before there is any."""
        return self._policy

    @property
    def away(self) -> bool:
        """The server did not answer when it was last asked."""
        return self._failures > 0

    # --- in the host's threads ------------------------------------------------------------------------------------

    def reserve(self, labels: Mapping[str, Any], model: str | None, tokens: int, nanousd: int) -> LeaseHold | Short:
        """Holds what the server's budgets ask of a call, or says which one has no room for it."""
        if self._pid != os.getpid():  # forked behind Python's back
            self._reset()
        if self._thread is None:
            quietly(self._start)
        until = self._clock() + self._wait
        while True:
            now = self._clock()
            answer = self.book.reserve(self.policy.demands(labels, model, tokens, nanousd), now)
            if self.book.hungry:
                self._wake.set()
            unknown = answer.unknown if isinstance(answer, Short) else not self._looked
            if not unknown or now >= until or self.away or self._thread is None:
                return answer
            if isinstance(answer, LeaseHold):
                self.book.void(answer, now)
            with self._news:
                self._news.wait(min(until - now, REST))

    def settle(self, hold: LeaseHold, tokens: int | None, nanousd: int | None) -> None:
        """Turns what was held into what was used; None: unknown, the estimate stands."""
        self.book.settle(hold, tokens, nanousd, self._clock())

    def void(self, hold: LeaseHold) -> None:
        """Frees what was held."""
        self.book.void(hold, self._clock())

    def close(self, timeout: float = EXIT_SECONDS) -> None:
        """Gives back what is leased, for at most `timeout` seconds."""
        if self._pid != os.getpid() or self._closing:
            return
        self._closing = True
        self._wake.set()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout)

    def _start(self) -> None:
        with self._starting:
            if self._thread is not None or self._closing:
                return
            thread = threading.Thread(target=self._run, name=THREAD_NAME, daemon=True)
            _exits.call_at_exit(self)
            try:
                thread.start()
            except RuntimeError:  # the interpreter is shutting down
                return
            self._thread = thread

    # --- in its own thread ----------------------------------------------------------------------------------------

    def _run(self) -> None:
        quietly(_trace.suppress)
        while True:
            closing = self._closing
            if closing:
                self.book.retire(self._clock())
            pause = quietly(self.step)
            with self._news:
                self._news.notify_all()
            # Nothing more can be said: what calls under way hold is left to the server's deadline.
            if closing and (pause is None or pause > REST or self.away):
                return
            # None: the step itself failed, and would fail again at once.
            self._wake.wait(FAULT_PAUSE if pause is None else pause)
            self._wake.clear()

    def step(self) -> float:
        """Asks what is due; returns after how many seconds to come again."""
        now = self._clock()
        if now < self._not_before:
            return self._not_before - now
        if self._line is None:
            self._line = self._connect()
        due = now >= self._next_look or (self.book.stale and now >= self._last_look + TICK)
        if due and not self._closing and not self._look(self._line, now):
            return max(self._not_before - now, REST)
        exchange = self.book.exchange(now)
        if exchange is not None:
            self._talk(self._line, exchange.body)
            return REST
        idle = not (self.book.owing or self.book.stale or self._closing)
        return max(self._next_look - now, REST) if idle else TICK

    def _look(self, line: "Line", now: float) -> bool:
        """Asks for the policy; False when there was no answer to be had."""
        self._last_look = now
        reply = line.policy(self._tag, _prices.current().version)
        if reply.status not in (200, 304):
            return self._fail(reply)
        if reply.status == 200:
            try:
                self._obey(_server_policy.read(reply.body, self._clock()), reply.tag)
            except ValueError as error:
                return self._fail(reply._replace(status=None, reason=str(error)))
        self._looked = True
        self._failures = 0
        self._next_look = now + self._policy.poll * (0.9 + 0.2 * self._chance())
        ends = [budget.ends_at for budget in self._policy.budgets if budget.ends_at > now]
        if ends:  # a new period is heard of soon after it began, though not by everybody at once
            self._next_look = min(self._next_look, max(min(ends) + self._chance(), now + TICK))
        return True

    def _obey(self, policy: ServerPolicy, tag: str | None) -> None:
        if policy.prices is not None:
            quietly(_prices.replace, policy.prices)
        self._policy, self._tag = policy, tag
        self.book.learn(policy)

    def _talk(self, line: "Line", body: Mapping[str, Any]) -> None:
        sent_at = self._clock()
        reply = line.leases(body)
        if reply.status == 200:
            try:
                self.book.answered(reply.body, sent_at, self._clock())
                self._failures = 0
            except ValueError as error:
                self._fail(reply._replace(status=None, reason=str(error)))
        elif reply.status in REFUSED:
            warn("leases", "the server would not take a report on budgets: %s", reply.reason)
            self.book.refused()
        else:
            if reply.status == 409 and isinstance(reply.body.get("fence"), int):
                self.book.fenced(reply.body["fence"])
            self._fail(reply)

    def _fail(self, reply: "Reply") -> bool:
        self._failures += 1
        self._looked = True
        no_entry = reply.status in NO_ENTRY
        pause = NO_ENTRY_PAUSE if no_entry else Pace().backoff(self._failures, reply.retry_after, self._chance)
        self._not_before = self._clock() + pause
        if reply.status != 404 or self._policy.budgets:  # an older server knows no policy, and that is no problem
            warn("policy", "the server's budgets cannot be asked (%s); until they can, allowances hold", reply.reason)
        return False


def _reset_if_alive(link: "weakref.ref[LeaseLink]") -> None:
    alive = link()
    if alive is not None:
        quietly(alive._reset)  # a lambda holding the method would keep the link for ever
