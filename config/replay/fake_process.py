"""The fake Claude API as a process of its own, so that it does not share Python's lock with those who call it."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from llmclient.testing import Limits

ROOT: Final = Path(__file__).resolve().parents[2]
PATIENCE: Final = 5.0  # seconds it gets to end by itself


class FakeNotRunningError(RuntimeError):
    """The fake could not be started; its own words are on stderr."""


@contextmanager
def fake_process(*, speed: float = 1.0, limits: Limits | None = None) -> Iterator[str]:
    """Its address, while it runs. It ends with us, however we end. Raises FakeNotRunningError."""
    command = [sys.executable, "-m", "llmclient.testing", "--until-stdin-closes", "--speed", str(speed)]
    if limits is None:
        command.append("--no-limits")
    else:
        command += ["--requests-per-minute", str(limits.requests)]
        command += ["--input-tokens-per-minute", str(limits.input_tokens)]
        command += ["--output-tokens-per-minute", str(limits.output_tokens)]
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
