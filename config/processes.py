"""The product's processes as one tree: started, started again when they die, and stopped together."""

import ctypes
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from types import FrameType

log = logging.getLogger(__name__)

LONGEST_PAUSE = 30.0  # seconds between two starts of a process that keeps dying
STEADY_AFTER = 10.0  # seconds a process must live for its earlier deaths to be forgotten
TICK = 0.2  # seconds between two looks at the processes

KILL = signal.SIGKILL
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


@dataclass
class Child:
    """One process of the tree, in a process group of its own, so that what it started ends with it."""

    name: str
    command: Sequence[str]
    environment: dict[str, str]
    stop_patience: float = 4.0
    """Seconds it has to end by itself when asked to."""
    silent: bool = False
    """Its standard output goes nowhere; what is worth reading it writes to its log."""
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)
    started: float = field(default=0.0, init=False)
    not_before: float = field(default=0.0, init=False)
    deaths: int = field(default=0, init=False)

    def start(self) -> None:
        self.started = time.monotonic()
        self.process = spawn(self.command, self.environment, stdout=subprocess.DEVNULL if self.silent else None)

    def look(self) -> None:
        """Start it again when it died, at once the first time and then ever less often."""
        if self.process is None:
            if time.monotonic() >= self.not_before:
                self.start()
            return
        code = self.process.poll()
        if code is None:
            return
        end_group(self.process, signal.SIGKILL)  # What it left would still hold its port or its work.
        self.process = None
        steady = time.monotonic() - self.started > STEADY_AFTER
        self.deaths = 1 if steady else self.deaths + 1
        pause = 0.0 if self.deaths == 1 else min(LONGEST_PAUSE, 0.5 * 2 ** min(self.deaths - 2, 10))
        self.not_before = time.monotonic() + pause
        log.warning(
            "%s ended (%s); starting it again%s", self.name, how_it_ended(code), f" in {pause:g} s" if pause else ""
        )

    def ask_to_stop(self) -> None:
        if self.process is not None:
            end_group(self.process, signal.SIGTERM, leader_only=True)

    def wait_for_stop(self, deadline: float) -> None:
        if self.process is None:
            return
        try:
            self.process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            log.warning("%s did not end in time and was killed; its work continues at the next start", self.name)
        finally:
            end_group(self.process, signal.SIGKILL)
            self.process.wait()
            self.process = None


@dataclass
class Tree:
    """The running children, in the order of their start."""

    children: list[Child] = field(default_factory=list)

    def add(self, child: Child) -> None:
        self.children.append(child)
        child.start()

    def look(self) -> None:
        for child in self.children:
            child.look()

    def stop(self) -> None:
        """Who makes work stops first, who does it last; a second Ctrl-C kills what is left."""
        try:
            for child in reversed(self.children):
                child.ask_to_stop()
            asked = time.monotonic()
            for child in reversed(self.children):
                child.wait_for_stop(asked + child.stop_patience)
        finally:
            for child in self.children:
                if child.process is not None:
                    end_group(child.process, signal.SIGKILL)
                    child.process.wait()


def spawn(command: Sequence[str], environment: dict[str, str], *, stdout: int | None = None) -> subprocess.Popen[bytes]:
    """A process in its own group, which is told to end when we die in whatever way (Linux)."""
    return subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        process_group=0,
        preexec_fn=_end_with(os.getpid()) if _libc else None,  # noqa: PLW1509  we have no threads when we get here
        stdout=stdout,
    )


def _end_with(parent: int) -> Callable[[], None]:
    def ask_the_kernel() -> None:
        assert _libc is not None
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # Too late: the parent is gone already.
            os._exit(1)

    return ask_the_kernel


def end_group(process: subprocess.Popen[bytes], how: signal.Signals, *, leader_only: bool = False) -> None:
    """Signal what is left of a child's process group, or its first process alone."""
    with suppress(ProcessLookupError, PermissionError):  # macOS answers "not permitted" for a group of zombies.
        if leader_only:
            process.send_signal(how)
        else:
            os.killpg(process.pid, how)


def how_it_ended(code: int) -> str:
    return f"code {code}" if code >= 0 else signal.Signals(-code).name


class StopRequest:
    """Ctrl-C and SIGTERM: noted, and an exception only where a wait without end would not see the note."""

    def __init__(self) -> None:
        self.count = 0
        self._interrupting = False
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._note)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self.count += 1
        if self._interrupting or (self.count > 1 and number == signal.SIGINT):
            raise KeyboardInterrupt

    def __bool__(self) -> bool:
        return self.count > 0

    @contextmanager
    def interrupting(self) -> Iterator[None]:
        """Within the block the first request raises KeyboardInterrupt."""
        if self.count:
            raise KeyboardInterrupt
        self._interrupting = True
        try:
            yield
        finally:
            self._interrupting = False
