"""Whether an attempt may be sent to a model group now, later or not at all. Pure: the caller holds a lock and the time.

Three learning buckets, the ramp guard and the limit of attempts under way decide; who must wait gets a ticket. A wait
that would be too long is refused at the door, and in the line as soon as it is known. Waiters sleep as long as `poll`
says, or until they are woken: `done` and `abandon` return whom to wake, after the lock is released.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from llmclient import _quota
from llmclient._bucket import Bucket
from llmclient._concurrency import Concurrency
from llmclient._errors import Category
from llmclient._policy import PRIORITIES, Limits, Priority
from llmclient._queue import Ahead, Queue, Slowness, Ticket, Want
from llmclient._quota import DIMENSIONS
from llmclient._ramp import Ramp

__all__ = ["Admission", "Admitted", "Refused", "Ticket", "Want"]

NOBODY: Final = Ahead(0, 0.0, 0.0)
SETTLING: Final = (5.0, 5.0, 30.0)  # seconds: an answer is written long after its request was counted
LONGEST_SLEEP: Final = 1.0  # seconds until a waiter asks again in any case
SHORTEST_SLEEP: Final = 0.001
LATE: Final = 0.25  # seconds by which a sleeper may oversleep and still get its turn
BLOCKED: Final = 1.0  # seconds, where a refusal does not say for how long
LONGEST_BLOCK: Final = 300.0  # seconds; after them it is asked again, whatever a header said
JITTER: Final = 0.1  # of a block, so that the processes of one key do not come back together
NEWEST: Final = 60.0  # seconds for which an answer keeps older ones out
LOST: Final = 3_600.0  # seconds after which nobody will end an attempt any more
EWMA: Final = 0.1


@dataclass(slots=True, eq=False)
class Admitted:
    """An attempt that may be sent; `done` or `abandon` must follow. `at`: monotonic seconds."""

    want: Want
    at: float


@dataclass(frozen=True, slots=True)
class Refused:
    """Not let in. `wait`: seconds after which it is worth coming again, as far as can be told."""

    wait: float


class Admission:
    """The limiter of one model group. `chance` gives [0, 1)."""

    def __init__(self, limits: Limits, *, chance: Callable[[], float]) -> None:
        self._max_wait = limits.max_wait
        self._chance = chance
        self._buckets = tuple(Bucket(target=limits.target, share=limits.share, settling=each) for each in SETTLING)
        self._requests, self._input, self._output = self._buckets
        self._share = limits.share
        self._ramp = Ramp()
        self._concurrency = Concurrency(limits.concurrency)
        self._queue = Queue(limits.queue)
        self._slowness = {priority: Slowness() for priority in PRIORITIES}
        self._in_flight: dict[Admitted, None] = {}  # in the order in which they were let in
        self._duration: float | None = None  # seconds from letting in to done, on average
        self._newest = (0.0, -NEWEST)  # date of the newest answer, and when it came

    def enter(self, want: Want, *, priority: Priority, patience: float, now: float) -> Admitted | Ticket | Refused:
        """Lets an attempt in, gives it a place in the line, or refuses it; `patience`: seconds the caller can wait.

        Who gets a ticket sets its `wake`, lets go of the lock, and asks `poll`, at once and then as often as it says.
        """
        if self._queue.passes(priority) and self._has_slot(now) and self._has_room(want, now):
            self._queue.overtake()
            return self._admit(want, now)
        if self._queue.full:
            self._serve(now)
        full = self._queue.full
        patience = min(patience, self._max_wait)
        ticket = Ticket(want, priority, now, now + patience)
        self._queue.push(ticket)
        ticket.predicted = self._predict(ticket, now)
        wait = ticket.predicted * self._slowness[priority].factor(now)
        if wait <= patience and not full:
            return ticket
        self._queue.remove(ticket)
        return Refused(max(wait, LONGEST_SLEEP) if full else wait)

    def poll(self, ticket: Ticket, now: float) -> Admitted | float | Refused:
        """What became of a ticket; while it waits, seconds after which it is worth asking again. Repeats its answer."""
        if ticket.outcome is None:
            self._serve(now)
        if ticket.outcome is not None:
            return ticket.outcome
        wait = self._wait(ticket.want, self._queue.ahead(ticket), now)
        if now >= ticket.leaves_at or now + wait > ticket.leaves_at + LATE:
            return self._turn_away(ticket, wait, now)
        # Without a wait it is a slot that is missing, and `done` wakes who gets it.
        return max(SHORTEST_SLEEP, min(wait or LONGEST_SLEEP, ticket.leaves_at - now, LONGEST_SLEEP))

    def abandon(self, which: Ticket | Admitted, now: float) -> Sequence[Ticket]:
        """Gives back everything: the caller went away before anything was sent. Returns whom to wake.

        For an attempt that was sent it is `done` with what is known of its usage, for the provider counts it.
        """
        if isinstance(which, Ticket):
            if which.outcome is None:
                self._queue.remove(which)
                which.outcome = Refused(0.0)
            outcome = which.outcome
        else:
            outcome = which
        if isinstance(outcome, Admitted) and outcome in self._in_flight:
            self._release(outcome, requests=0.0, input_=0.0, output=0.0, now=now)
            self._ramp.unsent(outcome.at, now)
        return self._serve(now)

    def done(
        self,
        admitted: Admitted,
        *,
        input: int | None,  # noqa: A002  # as Want spells it
        output: int | None,
        pushed_back: bool,
        now: float,
    ) -> Sequence[Ticket]:
        """Settles an attempt with the tokens it used and frees its slot; returns whom to wake. A second time is none.

        None: unknown, the estimate stands. Both 0: the provider refused it and counted nothing, not even the request.
        `input` is without cache reads, as the limit is. `pushed_back`: by a 429, a 529 or a timeout.
        """
        if admitted in self._in_flight:
            self._release(
                admitted,
                requests=0.0 if input == 0 and output == 0 else 1.0,
                input_=admitted.want.input if input is None else input,
                output=admitted.want.output if output is None else output,
                now=now,
            )
            self._concurrency.ended(sent_at=admitted.at, pushed_back=pushed_back, now=now)
            if not pushed_back:
                took = now - admitted.at
                self._duration = took if self._duration is None else self._duration + EWMA * (took - self._duration)
        return self._serve(now)

    def learn(
        self,
        headers: Mapping[str, str],
        *,
        received_at_unix: float,
        now: float,
        sent_at: float | None = None,
        said: Mapping[str, int] | None = None,
    ) -> None:
        """Takes in the limits an answer names, unless a newer answer was there first.

        `sent_at` (monotonic): when its request was sent; without it a refill faster than a minute is not believed.
        `said`: as `_quota.read` takes it.
        """
        reading = _quota.read(headers, received_at=received_at_unix, said=said)
        if reading is None or (reading.dated < self._newest[0] and now - self._newest[1] < NEWEST):
            return
        self._newest = (reading.dated, now)
        age = None if sent_at is None else now - sent_at
        for bucket, quota in zip(self._buckets, reading.quotas, strict=True):
            if quota is not None:
                bucket.learn(quota, now, age=age)
        self._tell_ramp()

    def refused(
        self, category: Category, *, retry_after: float | None, headers: Mapping[str, str] | None = None, now: float
    ) -> None:
        """The provider refused an attempt: rate_limit, ramp_limit or overloaded. `retry_after`: seconds, if it said.

        After a rate_limit the dimensions with least left in `headers` are blocked and then slower, else all of them.
        """
        wait = min(BLOCKED if retry_after is None else max(0.0, retry_after), LONGEST_BLOCK)
        wait *= 1 + JITTER * self._chance()
        if category == "rate_limit":
            reading = _quota.read(headers or {}, received_at=0.0)
            tightest = reading.tightest() if reading is not None else ()
            for name, bucket in zip(DIMENSIONS, self._buckets, strict=True):
                if name in tightest or not tightest:
                    bucket.cut(wait, now)
        elif category == "ramp_limit":
            if now >= self._requests.blocked_until:  # those refused together are one refusal
                self._ramp.tighten(now)
            self._requests.block(wait, now)
        elif retry_after is not None:
            self._requests.block(wait, now)

    def take_share(self, share: float, now: float) -> None:
        """From now on `share` of the quota is this process's; 1 while a shared limiter divides it."""
        self._share = share
        for bucket in self._buckets:
            bucket.take_share(share, now)
        self._tell_ramp()

    def snapshot(self, now: float) -> dict[str, Any]:
        """How things stand, for telemetry. Tokens, requests and seconds; a limit not learned yet is left out."""
        return {
            "in_flight": len(self._in_flight),
            "waiting": len(self._queue),
            "concurrency": self._concurrency.limit,
            "requests_per_minute": round(self._ramp.rate(now), 1),
            "blocked_for": max(0.0, *(bucket.blocked_until - now for bucket in self._buckets)),
            "buckets": {
                name: {"limit": bucket.limit, "level": round(bucket.level(now)), "reserved": round(bucket.reserved)}
                for name, bucket in zip(DIMENSIONS, self._buckets, strict=True)
                if bucket.limit is not None
            },
        }

    def _serve(self, now: float) -> list[Ticket]:
        """Lets in, or refuses, whoever is first in the line, until somebody must wait; returns them."""
        served: list[Ticket] = []
        if self._queue.is_empty:
            return served
        while (head := self._queue.head()) is not None:
            slot = self._has_slot(now)
            wait = self._wait(head.want, NOBODY, now)
            if slot and wait == 0 and now <= head.leaves_at + LATE:
                self._queue.serve(head)
                self._slowness[head.priority].ended(head, 0.0, now)
                head.outcome = self._admit(head.want, now)
            elif now + wait > head.leaves_at + LATE:
                self._turn_away(head, wait, now)
            else:
                break
            served.append(head)
        return served

    def _turn_away(self, ticket: Ticket, wait: float, now: float) -> Refused:
        """Takes somebody out of the line who would wait too long, as is known only now."""
        self._queue.remove(ticket)
        self._slowness[ticket.priority].ended(ticket, wait, now)
        ticket.outcome = Refused(wait)
        return ticket.outcome

    def _predict(self, ticket: Ticket, now: float) -> float:
        """Seconds until a waiting ticket gets its turn, when nobody else comes and attempts take as long as before."""
        ahead = self._queue.ahead(ticket)
        limit = self._concurrency.limit
        missing_slots = ahead.requests + 1 - (limit - len(self._in_flight))
        for_slots = missing_slots * (self._duration or 0.0) / limit
        return max(for_slots, self._wait(ticket.want, ahead, now))

    def _wait(self, want: Want, ahead: Ahead, now: float) -> float:
        """Seconds until the limits allow it, slots aside."""
        return max(
            self._requests.wait(1.0, now, ahead.requests),
            self._input.wait(want.input, now, ahead.input),
            self._output.wait(want.output, now, ahead.output),
            self._ramp.wait(now, ahead.requests),
        )

    def _has_room(self, want: Want, now: float) -> bool:
        """Whether the limits allow it now: what `_wait` is 0 for, in fewer steps, for every call asks it."""
        return (
            self._requests.has(1.0, now)
            and self._input.has(want.input, now)
            and self._output.has(want.output, now)
            and self._ramp.wait(now) == 0
        )

    def _has_slot(self, now: float) -> bool:
        if len(self._in_flight) < self._concurrency.limit:
            return True
        oldest = next(iter(self._in_flight))
        if now - oldest.at > LOST:  # a caller that forgot to say so must not keep its slot for ever
            self._release(oldest, requests=1.0, input_=oldest.want.input, output=oldest.want.output, now=now)
        return len(self._in_flight) < self._concurrency.limit

    def _admit(self, want: Want, now: float) -> Admitted:
        admitted = Admitted(want, now)
        self._requests.reserve(1.0, now)
        self._input.reserve(want.input, now)
        self._output.reserve(want.output, now)
        self._ramp.sent(now)
        self._in_flight[admitted] = None
        return admitted

    def _release(self, admitted: Admitted, *, requests: float, input_: float, output: float, now: float) -> None:
        del self._in_flight[admitted]
        self._requests.settle(1.0, requests, now)
        self._input.settle(admitted.want.input, input_, now)
        self._output.settle(admitted.want.output, output, now)

    def _tell_ramp(self) -> None:
        if self._requests.limit is not None:
            self._ramp.learn(self._requests.limit * self._share)
