"""A closed loop on a clock of its own: callers, an admission, and the provider's buckets as the fake enforces them."""

import heapq
import itertools
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

from llmclient._admission import Admission, Admitted, Refused, Ticket
from llmclient._estimates import Estimates
from llmclient._policy import Priority
from llmclient.testing._buckets import Limits, Pool

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Prompt:
    """What callers ask, how the answers are, and how long these take. Lengths vary log-normally around the medians."""

    characters: float = 500.0
    output: float = 40.0
    spread: float = 0.4
    seconds: float = 2.0
    max_tokens: int = 1_000
    priority: Priority = "interactive"


@dataclass(slots=True)
class Call:
    prompt: Prompt
    characters: int
    input: int
    output: int
    seconds: float
    came_at: float
    admission: Admission


@dataclass(slots=True)
class Tally:
    """What happened; times are seconds since the start."""

    answered: list[tuple[float, Call]] = field(default_factory=list)
    pushed_back: list[float] = field(default_factory=list)
    refused_at_the_door: list[float] = field(default_factory=list)
    refused_in_line: list[float] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    most_in_flight: int = 0

    def per_minute(self, measure: Callable[[Call], int], start: float, end: float) -> float:
        return sum(measure(call) for at, call in self.answered if start <= at < end) * 60 / (end - start)


class Simulation:
    """Callers come by chance to one of the admissions; one who is refused goes away."""

    def __init__(
        self, admissions: Sequence[Admission], limits: Limits, *, seed: int = 1, patience: float = 60.0
    ) -> None:
        self._admissions = admissions
        self.now = 0.0
        self.tally = Tally()
        self._pool = Pool(limits, now=0.0)
        self._estimates = Estimates()
        self._patience = patience
        self._dice = random.Random(seed)
        self._order = itertools.count()
        self._due: list[tuple[float, int, Callable[[], None]]] = []

    def come(self, prompt: Prompt, *, rate: float, start: float, end: float) -> None:
        """`rate` callers a minute."""
        at = start
        while (at := at + self._dice.expovariate(rate / 60)) < end:
            self._at(at, lambda prompt=prompt: self._enter(prompt))  # type: ignore[misc]

    def take(self, requests: int, *, start: float, end: float) -> None:
        """Somebody else uses the same key for so many requests a minute."""
        for n in range(int((end - start) * requests / 60)):
            self._at(start + n * 60 / requests, self._take)

    def run(self, until: float) -> Tally:
        while self._due and self._due[0][0] < until:
            self.now, _, act = heapq.heappop(self._due)
            act()
        return self.tally

    def _at(self, when: float, act: Callable[[], None]) -> None:
        heapq.heappush(self._due, (when, next(self._order), act))

    def _take(self) -> None:
        self._pool.admit(1, self.now)

    def _enter(self, prompt: Prompt) -> None:
        call = self._call(prompt)
        want = self._estimates.want(None, characters=call.characters, max_tokens=prompt.max_tokens)
        entered = call.admission.enter(want, priority=prompt.priority, patience=self._patience, now=self.now)
        if isinstance(entered, Refused):
            self.tally.refused_at_the_door.append(self.now)
        elif isinstance(entered, Admitted):
            self._send(call, entered)
        else:
            self._wait(call, entered)

    def _wait(self, call: Call, ticket: Ticket) -> None:
        asked = False

        def ask() -> None:
            nonlocal asked
            if asked:
                return
            said = call.admission.poll(ticket, self.now)
            if isinstance(said, float):
                self._at(self.now + said, ask)
                return
            asked = True
            if isinstance(said, Refused):
                self.tally.refused_in_line.append(self.now)
            else:
                self._send(call, said)

        ticket.wake = ask
        ask()

    def _send(self, call: Call, admitted: Admitted) -> None:
        self.tally.waits.append(self.now - call.came_at)
        in_flight = call.admission.snapshot(self.now)["in_flight"]
        self.tally.most_in_flight = max(self.tally.most_in_flight, in_flight)
        wait = self._pool.admit(call.input, self.now)
        if wait is None:
            self._at(self.now + call.seconds, lambda: self._answer(call, admitted))
            return
        self.tally.pushed_back.append(self.now)
        headers = self._headers()
        self._learn(call, headers, admitted)
        call.admission.refused("rate_limit", retry_after=math.ceil(wait * 1000) / 1000, headers=headers, now=self.now)
        self._done(call, admitted, 0, 0, pushed_back=True)

    def _answer(self, call: Call, admitted: Admitted) -> None:
        self._pool.settle(call.output, self.now)
        self.tally.answered.append((self.now, call))
        self._learn(call, self._headers(), admitted)
        self._estimates.learn(None, characters=call.characters, input=call.input, output=call.output)
        self._done(call, admitted, call.input, call.output, pushed_back=False)

    def _learn(self, call: Call, headers: dict[str, str], admitted: Admitted) -> None:
        unix = NOON.timestamp() + self.now
        call.admission.learn(headers, received_at_unix=unix, now=self.now, sent_at=admitted.at)

    def _done(self, call: Call, admitted: Admitted, input_: int, output: int, *, pushed_back: bool) -> None:
        woken = call.admission.done(admitted, input=input_, output=output, pushed_back=pushed_back, now=self.now)
        for ticket in woken:
            if ticket.wake is not None:
                self._at(self.now, ticket.wake)  # type: ignore[arg-type]

    def _headers(self) -> dict[str, str]:
        for bucket in (self._pool.requests, self._pool.input, self._pool.output):
            bucket.refill(self.now)
        wall = NOON + timedelta(seconds=self.now)
        return {"date": format_datetime(wall, usegmt=True), **dict(self._pool.headers(wall))}

    def _call(self, prompt: Prompt) -> Call:
        characters = max(1, round(prompt.characters * self._dice.lognormvariate(0, prompt.spread)))
        output = max(1, round(prompt.output * self._dice.lognormvariate(0, prompt.spread)))
        seconds = prompt.seconds * self._dice.lognormvariate(0, 0.3)
        tokens = max(1, round(characters / 4 * self._dice.uniform(0.9, 1.1)))
        return Call(
            prompt,
            characters,
            tokens,
            min(output, prompt.max_tokens),
            seconds,
            self.now,
            self._dice.choice(self._admissions),
        )
