"""All benchmarks, one after another, into bench/RESULTS.md: `make bench`.

Each runs in a process of its own. Figures depend on the machine; the ratios are taken within one run.
"""

import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from tests import system_postgres

ROOT = Path(__file__).resolve().parent.parent
BENCHES = {
    "Taking calls in": "ingest",
    "Dashboard questions": "dashboard",
    "Pages": "pages",
    "The client": "client",
    "Removing personal data": "redaction",
    "Pages in the browser": "browser",
    "Memory": "memory",
    "Start to first page": "startup",
}
# Where others are installed beside the SDK to be compared with, see bench/client/__main__.py.
CLIENT_PYTHON = os.environ.get("BENCH_CLIENT_PYTHON", sys.executable)
READING = (
    "Load generator, server and database share the machine. Trust the ratios: both sides were measured in the same run."
)


def machine() -> str:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{os.cpu_count()} cores, {memory:.0f} GiB, {platform.system()}, Python {platform.python_version()}"


def main() -> None:
    parts = [
        "# Benchmarks",
        f"Made by `make bench` on {datetime.now(UTC):%Y-%m-%d} · {machine()}. {READING}",
    ]
    environment = {**os.environ, "DATABASE_URL": os.environ.get("DATABASE_URL") or system_postgres.find()}
    for title, name in BENCHES.items():
        print(f"— {title}", file=sys.stderr, flush=True)
        result = subprocess.run(
            [CLIENT_PYTHON if name == "client" else sys.executable, "-m", f"bench.{name}"],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
        if result.returncode != 0:
            raise SystemExit(f"bench.{name} failed")
        text = result.stdout.strip()
        parts += [f"## {title}", text if "|" in text else f"```\n{text}\n```"]
    (ROOT / "bench" / "RESULTS.md").write_text("\n\n".join(parts) + "\n")


if __name__ == "__main__":
    main()
