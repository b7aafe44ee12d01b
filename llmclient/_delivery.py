"""Delivery: what to send next, when, and what becomes of it. No thread and no clock of its own.

Everything lost is counted by reason, and the counts travel with every batch: the server can state how complete its
numbers are.
"""

import random
from collections import Counter, deque
from collections.abc import Callable
from typing import Any, Final

from llmclient import _batch, _telling
from llmclient._answer import Answer
from llmclient._batch import MAX_BYTES, MAX_EVENTS, Batch, Encode
from llmclient._buffer import Buffer
from llmclient._encoding import Encoding
from llmclient._pace import Pace
from llmclient._quietly import quietly, warn
from llmclient._spool import Spool
from llmclient._waiting import Waiting
from llmclient._wire import instant

NO_ENTRY_PAUSE: Final = 300.0  # seconds
SPILL_AFTER: Final = 3  # failures in a row before waiting events go to disk
SPILL_EVERY: Final = 10.0  # seconds: every segment on disk is a request of its own later
SOON: Final = 0.05
POISON_AFTER: Final = 10  # times a batch may make the server fail with 500 before it is given up


class Delivery:
    def __init__(
        self,
        buffer: Buffer,
        post: Callable[[bytes], Answer],
        encode: Encode,
        identity: dict[str, Any],
        *,
        spool: Spool | None,
        unix_time: Callable[[], float],
        pace: Pace = Pace(),  # noqa: B008  # frozen
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._buffer = buffer
        self._post = post
        self._waiting = Waiting()
        self.encoding = Encoding(buffer, self._waiting, encode, self._lose)
        self._identity = identity
        self._spool = spool
        self._unix_time = unix_time
        self._pace = pace
        self._chance = chance
        self._losses: Counter[str] = Counter()
        self.in_hand: deque[Batch] = deque()
        self.settled = 0
        """Calls taken from the buffer that are stored, spooled or lost."""
        self.failures = 0
        self._poison = 0
        self._not_before = 0.0
        self._next_flush = 0.0
        self._next_spill = 0.0
        self._next_heartbeat = 0.0

    def start(self, now: float) -> None:
        """Sets the first dates; `now` here and below is a steady clock, in seconds."""
        self._next_flush = now + self._pace.flush_in(self._chance)
        self._next_heartbeat = now + self._pace.heartbeat

    def dropped(self) -> dict[str, int]:
        """Events lost since the process started, by reason."""
        losses = self._losses + (self._spool.losses if self._spool else Counter())
        losses["overflow"] += self._buffer.overflowed
        return {reason: count for reason, count in sorted(losses.items()) if count}

    def header(self) -> dict[str, Any]:
        waiting = self._not_in_hand + sum(len(batch.events) for batch in self.in_hand)
        return {
            **self._identity,
            "emitted": self._buffer.emitted,
            "dropped": self.dropped(),
            "queue_depth": waiting,
        }

    @property
    def idle(self) -> bool:
        """Nothing is waiting."""
        return not self._not_in_hand and not self.in_hand

    @property
    def _not_in_hand(self) -> int:
        return len(self._buffer) + len(self._waiting)

    def wait(self, now: float) -> float:
        """Seconds until there may be something to do."""
        if self._not_before > now:
            return min(self._not_before - now, self._pace.interval) if self._spool else self._not_before - now
        if self.idle:
            return self._pace.flush_in(self._chance)
        if self._buffer:  # more calls came while others were encoded
            return SOON
        # A quarter of a second: a burst is noticed without a call ever having to wake the sender.
        return max(min(self._next_flush - now, self._pace.interval / 8), 0.001)

    def step(self, now: float, *, urgent: bool = False) -> bool:
        """Does one thing that is due, if any; True when there may be more. `urgent` does not wait for a full batch."""
        self._buffer.settle()
        self.encoding.some(MAX_EVENTS, restful=not urgent)
        if now < self._not_before and not (urgent and self.failures > 0):
            return self._spill(now)
        if not self.in_hand and not self._load(now, urgent=urgent):
            return False
        batch = self.in_hand[0]
        header = self.header() | (quietly(_telling.report) or {})  # of now: not for batches that wait on disk
        answer = self._post(batch.body(header, instant(int(self._unix_time() * 1000))))
        self._next_heartbeat = now + self._pace.heartbeat
        return self._read(answer, now) or self._spill(now)

    def leave(self, time_left: Callable[[], float]) -> int:
        """Puts everything not delivered on disk, or counts it as lost; returns how many events were lost."""
        lost = self.encoding.rest_of_all(time_left)
        while self.in_hand or self._waiting:
            batch = self.in_hand.popleft() if self.in_hand else self._next_batch()
            if batch.segment is not None:
                batch.segment.release()
            elif batch.events and not self._store(batch):
                lost += len(batch.events)
        self._losses["exit"] += lost
        return lost

    # --- what to send ---------------------------------------------------------------------------------------------

    def _load(self, now: float, *, urgent: bool) -> bool:
        if self._waiting and (urgent or self._is_enough or now >= self._next_flush):
            self._next_flush = now + self._pace.flush_in(self._chance)
            self.in_hand.append(self._next_batch())
            return True
        if not self._not_in_hand and self._spool is not None and self._claim():
            return True
        if now >= self._next_heartbeat:
            self.in_hand.append(Batch())
            return True
        return False

    @property
    def _is_enough(self) -> bool:
        return len(self._waiting) >= self._pace.enough_events or self._waiting.bytes >= self._pace.enough_bytes

    def _next_batch(self) -> Batch:
        return Batch(self._waiting.take(MAX_EVENTS, MAX_BYTES))

    def _claim(self) -> bool:
        assert self._spool is not None
        try:
            claimed = self._spool.claim(now=self._unix_time())
        except OSError as error:
            warn("spool", "cannot read the spool of unsent telemetry: %s", error)
            return False
        if claimed is None:
            return False
        segment, header, events = claimed
        self.in_hand.append(Batch(events, header, segment))
        return True

    # --- what became of it ----------------------------------------------------------------------------------------

    def _read(self, answer: Answer, now: float) -> bool:
        if answer.verdict == "stored":
            self.failures = self._poison = 0
            if answer.rejected:
                self._losses["rejected"] += answer.rejected
                warn("rejected", "the server rejected %d events, the first: %s", answer.rejected, answer.reason)
            self._settle(self.in_hand.popleft())
            return True
        if answer.verdict == "refused":
            self._give_up("rejected", answer)
            return True
        if answer.verdict == "too_large":
            self._shrink()
            return True
        self.failures += 1
        if answer.verdict == "no_entry":
            self.failures = max(self.failures, SPILL_AFTER)
            self._not_before = now + NO_ENTRY_PAUSE
            message = "telemetry is held back for 5 minutes, the server answered %d: check the key in the DSN. %s"
            warn("no_entry", message, answer.status, answer.reason)
            return False
        self._poison += answer.status == 500
        if self._poison >= POISON_AFTER:
            self._poison = 0
            self._give_up("rejected", answer)
            return True
        self._not_before = now + self._pace.backoff(self.failures, answer.retry_after, self._chance)
        message = "telemetry cannot be delivered for now (%s); it is kept and sent again, calls are not affected"
        warn("later", message, answer.status or answer.reason)
        return False

    def _settle(self, batch: Batch) -> None:
        if batch.segment is None:
            self.settled += len(batch.events)
        else:
            batch.segment.done()

    def _give_up(self, reason: str, answer: Answer) -> None:
        batch = self.in_hand.popleft()
        self._losses[reason] += len(batch.events)
        message = "%d events were dropped: the server answered %s %s"
        warn(reason, message, len(batch.events), answer.status, answer.reason)
        self._settle(batch)

    def _shrink(self) -> None:
        batch = self.in_hand.popleft()
        if len(batch.events) > 1:
            self.in_hand.extendleft(reversed(batch.halves()))
            return
        slim = _batch.without_content(batch.events[0]) if batch.events else None
        if slim is not None:
            batch.events = [slim]
            self.in_hand.appendleft(batch)
            return
        self._losses["too_large"] += len(batch.events)
        self._settle(batch)

    def _spill(self, now: float) -> bool:
        """While the server is away, moves what waits to disk, where it survives this process; not in small pieces."""
        if self._spool is None or self.failures < SPILL_AFTER or not self._waiting:
            return False
        if now < self._next_spill and not self._is_enough:
            return False
        self._next_spill = now + SPILL_EVERY
        batch = self._next_batch()
        if not self._store(batch):
            self._lose("overflow", len(batch.events))
        return bool(self._waiting)

    def _store(self, batch: Batch) -> bool:
        if self._spool is None:
            return False
        try:
            self._spool.write(self.header(), batch.events, now=self._unix_time())
        except OSError as error:
            warn("spool", "cannot write unsent telemetry to disk: %s", error)
            return False
        self.settled += len(batch.events)
        return True

    def _lose(self, reason: str, count: int) -> None:
        self._losses[reason] += count
        self.settled += count
