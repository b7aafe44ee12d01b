"""One of the processes of a replay: every n-th row of the trace, by several threads."""

import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Event as StopEvent
from pathlib import Path
from typing import Final

import llmclient
from config.replay.perform import connect, perform, shipper_in_use, wait_for_room
from config.replay.virtual import Stopwatch
from llmclient.testing.trace import Arrival, Columns, read
from llmclient.testing.traffic import Faults, Traffic

REPORT_EVERY: Final = 0.2  # seconds


@dataclass(frozen=True, slots=True)
class Work:
    """What all processes of a replay share."""

    path: Path
    columns: Columns
    limit: int | None
    shift: timedelta
    seed: int
    model: str
    faults: Faults
    users: int
    fake_url: str
    dsn: str
    speed: float
    """Seconds of the trace per second; 0 is as fast as possible."""
    begins: float
    """Unix time of the first row, with a speed."""
    processes: int
    threads: int


@dataclass(slots=True)
class Report:
    """How far a process is. All counts are calls."""

    done: int = 0
    waiting: int = 0
    delivered: int = 0
    unexpected: int = 0
    """Calls that ended otherwise than the traffic model had it."""
    input_tokens: int = 0
    output_tokens: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    finished: bool = False


def run(work: Work, index: int, reports: Connection, stop: StopEvent) -> None:
    """The whole life of one process. Ends when everything is delivered, or when told to stop."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle; it tells us
    llmclient.configure(work.dsn, app="replay", capture="full")
    share = Share(work, index)
    halt = threading.Event()
    threads = [threading.Thread(target=share.work, args=(halt,), daemon=True) for _ in range(work.threads)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        _tell(reports, share)
        if stop.wait(REPORT_EVERY):
            halt.set()
    while not llmclient.flush(1.0) and not stop.is_set():
        _tell(reports, share)
    llmclient.close()
    _tell(reports, share, finished=True)


class Share:
    """The rows of one process. Its threads take them one by one."""

    def __init__(self, work: Work, index: int) -> None:
        rows = read(work.path, work.columns, limit=work.limit)
        self._first = rows[0].at + work.shift
        self._rows: Iterator[Arrival] = iter(rows[index :: work.processes])
        self._work = work
        self._traffic = Traffic(self._first, seed=work.seed, users=work.users, model=work.model, faults=work.faults)
        self._llm = connect(work.fake_url, is_virtual=not work.speed)
        self._lock = threading.Lock()
        self.shipper = shipper_in_use()
        self.report = Report()

    def work(self, halt: threading.Event) -> None:
        """What each thread does until there are no rows left."""
        while not halt.is_set():
            with self._lock:
                row = next(self._rows, None)
            if row is None:
                return
            self._replay(row, halt)

    def _replay(self, row: Arrival, halt: threading.Event) -> None:
        at = row.at + self._work.shift
        call = self._traffic.assign(Arrival(row.row, at, row.input_tokens, row.output_tokens))
        wait_for_room(halt)
        if self._work.speed:
            due = self._work.begins + (at - self._first).total_seconds() / self._work.speed
            halt.wait(max(0.0, due - time.time()))
        if halt.is_set():
            return
        as_wanted = perform(self._llm, call, Stopwatch(call) if not self._work.speed else self._faster_clock)
        with self._lock:
            self.report.done += 1
            self.report.unexpected += not as_wanted
            self.report.input_tokens += call.input_tokens
            self.report.output_tokens += call.output_tokens

    def _faster_clock(self) -> float:
        return time.monotonic() * self._work.speed


def _tell(reports: Connection, share: Share, *, finished: bool = False) -> None:
    report, shipper = share.report, share.shipper
    report.waiting = len(shipper.buffer)
    report.dropped = shipper.delivery.dropped()
    # "Settled" are stored and lost; what overflowed was never taken.
    lost = sum(report.dropped.values()) - shipper.buffer.overflowed
    report.delivered = shipper.delivery.settled - lost
    report.finished = finished
    reports.send(report)
