"""Runs the tests in two processes at once: two cores are busy, where many tests only wait for a process of their own.

    python -m tests.side_by_side [options of pytest]

The halves have nothing in common: each has a home, with a database server, and a Redis database of its own. The second
is shown when the first is through. Each measures its own coverage; here it is put together.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
# The client, and most of what starts whole products. Together as long as all the rest.
SECOND: Final = ("tests/llmclient", "tests/config/replay", "tests/config/demo", "tests/test_trace.py")
APART: Final = {
    "COVERAGE_FILE": ".coverage.second",
    "TEST_REDIS_DB": "8",
    "VITALS_HOME": str(ROOT / "var" / "test-second"),
}


def command(*selection: str) -> list[str]:
    return [sys.executable, "-m", "pytest", *selection, *sys.argv[1:]]


def main() -> int:
    """The exit status: that of the half that failed, the first one's first."""
    with tempfile.TemporaryFile() as written:
        second = subprocess.Popen(command(*SECOND), env=os.environ | APART, stdout=written, stderr=subprocess.STDOUT)
        try:
            first = subprocess.run(command("tests", *(f"--ignore={path}" for path in SECOND)), check=False).returncode
            status = second.wait()
        finally:
            second.kill()
            second.wait()
        written.seek(0)
        sys.stdout.write(written.read().decode("utf-8", "replace"))
    if Path(APART["COVERAGE_FILE"]).exists():
        subprocess.run([sys.executable, "-m", "coverage", "combine", "--append", APART["COVERAGE_FILE"]], check=True)
        subprocess.run([sys.executable, "-m", "coverage", "report"], check=True)
    return first or status


if __name__ == "__main__":
    sys.exit(main())
