"""Runs all checks in parts, three at a time: two cores are busy, where many tests only wait for a process of their own.

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
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Final

from tests import system_postgres

ROOT: Final = Path(__file__).resolve().parent.parent
LANES: Final = 3
# No test was selected, which is well for a part and a mistake for all of them.
NOTHING_SELECTED: Final = 5
PYTEST: Final = (sys.executable, "-m", "pytest")


@dataclass(frozen=True)
class Part:
    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def coverage_file(self) -> str:
        return f".coverage.{self.name.replace(' ', '-')}"


def parts(options: Sequence[str]) -> list[Part]:
    """Return the longest first, so that the lanes end at about the same time."""
    client = ("tests/llmclient", "tests/test_trace.py")
    pages = ("tests/dashboard",)
    measuring = ("tests/metrics", "tests/alerting", "tests/budgets")
    rest = ("tests", *(f"--ignore={path}" for path in (*client, *pages, *measuring)))
    made = [
        Part("the rest", (*PYTEST, *rest, *options)),
        Part("client", (*PYTEST, *client, *options)),
        Part("pages", (*PYTEST, *pages, *options)),
        Part("measuring", (*PYTEST, *measuring, *options)),
        Part("lint", ("make", "--no-print-directory", "lint")),
    ]
    # The storage tests run twice: on the embedded PostgreSQL and, where one is at hand, on the system's.
    url = system_postgres.find()
    if not url and os.environ.get("CI"):
        raise SystemExit("No PostgreSQL of the system is running, and in CI nothing is skipped")
    if url:
        of_storage = Part("storage on the system's PostgreSQL", (*PYTEST, *options, "-m", "storage and not long"))
        made.insert(4, Part(of_storage.name, of_storage.command, {"DATABASE_URL": url}))
    return made


def main() -> int:
    """The exit status: that of the first part that failed, in the order of the list."""
    listed = parts(sys.argv[1:])
    waiting: SimpleQueue[Part] = SimpleQueue()
    for part in listed:
        waiting.put(part)
    ended: dict[str, int] = {}
    with ThreadPoolExecutor(LANES) as lanes:
        for lane in [lanes.submit(run, number, waiting, ended) for number in range(LANES)]:
            lane.result()
    files = [part.coverage_file for part in listed if (ROOT / part.coverage_file).exists()]
    if files:
        subprocess.run([sys.executable, "-m", "coverage", "combine", *files], check=True)
        subprocess.run([sys.executable, "-m", "coverage", "report"], check=True)
    of_tests = {ended[part.name] for part in listed if part.command[: len(PYTEST)] == PYTEST}
    if of_tests == {NOTHING_SELECTED}:
        return NOTHING_SELECTED
    return next((ended[part.name] for part in listed if ended[part.name] not in (0, NOTHING_SELECTED)), 0)


def run(lane: int, waiting: "SimpleQueue[Part]", ended: dict[str, int]) -> None:
    """One part after the other, as long as there is one."""
    while True:
        try:
            part = waiting.get_nowait()
        except Empty:
            return
        sys.stdout.write(f"— {part.name} …\n")
        sys.stdout.flush()
        started = time.monotonic()
        own = {
            "COVERAGE_FILE": part.coverage_file,
            "TEST_REDIS_DB": str(7 + lane),
            "VITALS_HOME": str(ROOT / "var" / f"test-{lane}"),
        }
        done = subprocess.run(
            part.command,
            env={**os.environ, **own, **part.environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        ended[part.name] = done.returncode
        written = done.stdout.decode("utf-8", "replace")
        ending = f"— {part.name}: {'failed' if done.returncode else 'passed'}, {time.monotonic() - started:.0f} s"
        sys.stdout.write(f"{written}{ending}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
