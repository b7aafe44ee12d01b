"""Runs the tests in parts, two at a time: two cores are busy, where many tests only wait for a process of their own.

    python -m tests.side_by_side [options of pytest]

Parts have nothing in common: each lane has a home, with a database server, and a Redis database of its own. What a part
wrote is shown when it is through. With --cov each measures its own coverage; here it is put together.
"""

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
# The longest first, so that the lanes end at about the same time. The part without a list has what is in no other.
PARTS: Final[Mapping[str, Sequence[str]]] = {
    "the rest": (),
    "client": ("tests/llmclient", "tests/test_trace.py"),
    "pages": ("tests/dashboard",),
    "measuring": ("tests/metrics", "tests/alerting", "tests/budgets"),
}
LANES: Final = 2
# No test was selected, which is well for a part and a mistake for all of them.
NOTHING_SELECTED: Final = 5


def main() -> int:
    """The exit status: that of the first part that failed, in the order of the list."""
    waiting: SimpleQueue[str] = SimpleQueue()
    for part in PARTS:
        waiting.put(part)
    ended: dict[str, int] = {}
    with ThreadPoolExecutor(LANES) as lanes:
        for lane in [lanes.submit(run, number, waiting, ended) for number in range(LANES)]:
            lane.result()
    files = [str(path) for part in PARTS if (path := Path(coverage_file(part))).exists()]
    if files:
        subprocess.run([sys.executable, "-m", "coverage", "combine", *files], check=True)
        subprocess.run([sys.executable, "-m", "coverage", "report"], check=True)
    if set(ended.values()) == {NOTHING_SELECTED}:
        return NOTHING_SELECTED
    return next((ended[part] for part in PARTS if ended[part] not in (0, NOTHING_SELECTED)), 0)


def run(lane: int, waiting: "SimpleQueue[str]", ended: dict[str, int]) -> None:
    """One part after the other, as long as there is one."""
    while True:
        try:
            part = waiting.get_nowait()
        except Empty:
            return
        sys.stdout.write(f"— {part} …\n")
        sys.stdout.flush()
        started = time.monotonic()
        own = {
            "COVERAGE_FILE": coverage_file(part),
            "TEST_REDIS_DB": str(7 + lane),
            "VITALS_HOME": str(ROOT / "var" / f"test-{lane}"),
        }
        done = subprocess.run(
            command(part), env=os.environ | own, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
        )
        ended[part] = done.returncode
        written = done.stdout.decode("utf-8", "replace")
        ending = f"— {part}: {'failed' if done.returncode else 'passed'}, {time.monotonic() - started:.0f} s"
        sys.stdout.write(f"{written}{ending}\n")
        sys.stdout.flush()


def command(part: str) -> list[str]:
    selection = PARTS[part] or ("tests", *(f"--ignore={path}" for paths in PARTS.values() for path in paths))
    return [sys.executable, "-m", "pytest", *selection, *sys.argv[1:]]


def coverage_file(part: str) -> str:
    return f".coverage.{part.replace(' ', '-')}"


if __name__ == "__main__":
    sys.exit(main())
