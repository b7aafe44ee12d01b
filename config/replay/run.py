"""A whole replay: its processes, their progress, and the sum at the end."""

import multiprocessing
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection, wait
from typing import Final

from config.replay import worker
from config.replay.fake_process import fake_process
from config.replay.worker import Report, Work

# Forked children would inherit database connections and half the locks of this process.
SPAWN: Final = multiprocessing.get_context("spawn")
PATIENCE: Final = 10.0  # seconds a process gets to end after Ctrl-C


@dataclass(slots=True)
class Total:
    """What became of a replay. Calls and tokens; `dropped` by the client's reason."""

    sent: int = 0
    accepted: int = 0
    waiting: int = 0
    unexpected: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    interrupted: bool = False
    died: int = 0
    """Processes that ended without a last word."""

    @property
    def complete(self) -> bool:
        whole = self.sent == self.accepted and not self.unexpected
        return whole and not self.interrupted and not self.died

    @classmethod
    def of(cls, reports: Sequence[Report]) -> "Total":
        total = cls(
            sent=sum(report.done for report in reports),
            accepted=sum(report.delivered for report in reports),
            waiting=sum(report.waiting for report in reports),
            unexpected=sum(report.unexpected for report in reports),
            input_tokens=sum(report.input_tokens for report in reports),
            output_tokens=sum(report.output_tokens for report in reports),
        )
        for report in reports:
            total.dropped.update(report.dropped)
        return total


def replay(work: Work, progress: Callable[[Total], None]) -> Total:
    """Drive the trace through the client until everything is delivered. Raises FakeNotRunningError.

    Ctrl-C stops it: what is under way is finished and what is measured is delivered as far as 2 s allow.
    """
    with fake_process(speed=work.speed or 1.0) as url:
        work = replace(work, fake_url=url)
        stop = SPAWN.Event()
        pipes = [SPAWN.Pipe(duplex=False) for _ in range(work.processes)]
        processes = [
            SPAWN.Process(target=worker.run, args=(work, index, sender, stop), name=f"replay-{index}", daemon=True)
            for index, (_, sender) in enumerate(pipes)
        ]
        interrupted = False
        for process in processes:
            process.start()
        for _, sender in pipes:
            sender.close()  # the child has its own; so a dead child is an end of file
        reports = {receiver: Report() for receiver, _ in pipes}
        try:
            _follow(reports, progress)
        except KeyboardInterrupt:
            interrupted = True
            stop.set()
            _follow(reports, progress)
        for process in processes:
            process.join(PATIENCE)
        total = Total.of(list(reports.values()))
        total.interrupted = interrupted
        total.died = sum(not report.finished for report in reports.values())
        return total


def _follow(reports: dict[Connection, Report], progress: Callable[[Total], None]) -> None:
    """Take the processes' reports until each has said its last."""
    open_ends = [receiver for receiver, report in reports.items() if not report.finished]
    while open_ends:
        for receiver in wait(open_ends):
            assert isinstance(receiver, Connection)
            try:
                reports[receiver] = receiver.recv()
            except EOFError:
                open_ends.remove(receiver)
                continue
            if reports[receiver].finished:
                open_ends.remove(receiver)
        progress(Total.of(list(reports.values())))
