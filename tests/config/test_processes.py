"""A dead process is started again, ever less often; a stopped tree leaves nothing."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from config import processes
from config.processes import Child, Tree
from tests.config.asking import alive, eventually

pytestmark = pytest.mark.processes

SLEEPER = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(600)"]
STUBBORN = [sys.executable, "-c", "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(600)"]
PARENT = [
    sys.executable,
    "-c",
    "import subprocess, sys; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']).wait()",
]
BRIEF = [sys.executable, "-c", ""]


def child(command: list[str], patience: float = 30.0) -> Child:
    return Child("probe", command, dict(os.environ), stop_patience=patience, silent=True)


def looked(child: Child) -> bool:
    """One look of the supervisor; whether the process runs after it."""
    child.look()
    return child.process is not None


def pid_of(child: Child) -> int:
    assert child.process is not None
    return child.process.pid


def test_a_process_that_was_killed_is_started_again_at_once() -> None:
    tree, probe = Tree(), child(SLEEPER)
    tree.add(probe)
    try:
        first = pid_of(probe)
        os.kill(first, signal.SIGKILL)
        eventually(lambda: looked(probe) and pid_of(probe) != first)
    finally:
        tree.stop()
    assert probe.deaths == 1


def test_a_process_that_keeps_dying_is_started_ever_less_often(caplog: pytest.LogCaptureFixture) -> None:
    probe = child(BRIEF)
    for _ in range(9):
        probe.start()
        assert probe.process is not None
        probe.process.wait()
        probe.look()
        assert probe.process is None
    words = [record.getMessage() for record in caplog.records]
    assert words[0] == "probe ended (code 0); starting it again"
    assert [line.rpartition("again")[2] for line in words[1:]] == [
        *(" in 0.5 s", " in 1 s", " in 2 s", " in 4 s", " in 8 s", " in 16 s", " in 30 s", " in 30 s")
    ]


def test_a_process_is_not_started_before_its_pause_is_over() -> None:
    probe = child(BRIEF)
    probe.not_before = float("inf")
    probe.look()
    assert probe.process is None


def test_what_a_dead_process_left_behind_is_ended_before_the_next_start() -> None:
    probe = child(PARENT)
    probe.start()
    try:
        eventually(lambda: psutil.Process(pid_of(probe)).children())
        left = psutil.Process(pid_of(probe)).children()[0].pid
        os.kill(pid_of(probe), signal.SIGKILL)
        eventually(lambda: looked(probe) and not alive(left))
    finally:
        Tree([probe]).stop()


def test_a_process_that_does_not_listen_is_killed_after_its_patience() -> None:
    tree, probe = Tree(), child(STUBBORN, patience=0.2)
    tree.add(probe)
    pid = pid_of(probe)
    tree.stop()
    assert not alive(pid)
    assert probe.process is None


def test_a_process_ends_with_its_parent_however_that_dies(tmp_path: Path) -> None:
    told = tmp_path / "pid"
    code = (
        "import os, sys, pathlib; from config.processes import spawn\n"
        f"child = spawn({SLEEPER!r}, dict(os.environ))\n"
        "pathlib.Path(sys.argv[1]).write_text(str(child.pid)); child.wait()"
    )
    parent = subprocess.Popen([sys.executable, "-c", code, str(told)], stdout=subprocess.DEVNULL)
    eventually(lambda: told.exists() and told.read_text())
    pid = int(told.read_text())
    assert alive(pid)
    parent.kill()
    parent.wait()
    eventually(lambda: not alive(pid))


def test_how_a_process_ended_is_told_in_words() -> None:
    assert processes.how_it_ended(1) == "code 1"
    assert processes.how_it_ended(-9) == "SIGKILL"
