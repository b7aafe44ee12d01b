"""The fake Claude API as a process of its own, so that it does not share Python's lock with those who call it."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
PATIENCE: Final = 5.0  # seconds it gets to end by itself


class FakeNotRunningError(RuntimeError):
    """The fake could not be started; its own words are on stderr."""


@contextmanager
def fake_process(*, speed: float = 1.0, limits: bool = False) -> Iterator[str]:
    """Its address, while it runs. It ends with us, however we end. Raises FakeNotRunningError."""
    command = [sys.executable, "-m", "llmclient.testing", "--until-stdin-closes", "--speed", str(speed)]
    if not limits:
        command.append("--no-limits")
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        address = process.stdout.readline().strip()
        if not address:
            raise FakeNotRunningError("The fake Claude API did not start.")
        yield address
    finally:
        process.stdin.close()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()
