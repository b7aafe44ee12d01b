"""How the tables are made: jobs are run in processes of their own, and what they found is written as Markdown."""

import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is measured."""

    calls: int
    grown: int
    outage: float
    """Seconds a backend is away, in real time; 0 leaves that part out."""
    quick: bool


def job(what: str, /, **arguments: Any) -> tuple[dict[str, Any], float]:
    """What a job found, and when its process had ended."""
    command = [sys.executable, "-m", "bench.client.jobs", what, json.dumps(arguments)]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
    ended = time.time()
    if ran.returncode:
        raise SystemExit(f"{what} {arguments} failed:\n{ran.stderr.decode()[-2000:]}")
    found: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    return found, ended


def us(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds * 1e6:,.0f}"


def ms(seconds: float) -> str:
    return f"{seconds * 1e3:.2f}"


def head(*names: str) -> None:
    print(f"\n| {' | '.join(names)} |\n|{'---|' * len(names)}", flush=True)


def row(*values: object) -> None:
    print(f"| {' | '.join(map(str, values))} |", flush=True)
