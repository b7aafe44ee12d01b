"""Runs the tests in two processes at once, those of the client and those of the server: they have nothing in common.

    python -m tests.side_by_side [options of pytest]

The client's are shown when the server's are through. Each process measures its own coverage; here it is put together.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

CLIENT: Final = "tests/llmclient"


def command(*selection: str) -> list[str]:
    return [sys.executable, "-m", "pytest", *selection, *sys.argv[1:]]


def main() -> int:
    """The exit status: that of the half that failed, the server's first."""
    with tempfile.TemporaryFile() as written:
        environment = {**os.environ, "COVERAGE_FILE": ".coverage.client", "TEST_REDIS_DB": "8"}
        client = subprocess.Popen(command(CLIENT), env=environment, stdout=written, stderr=subprocess.STDOUT)
        try:
            server = subprocess.run(command("tests", f"--ignore={CLIENT}"), check=False).returncode
            status = client.wait()
        finally:
            client.kill()
            client.wait()
        written.seek(0)
        sys.stdout.write(written.read().decode("utf-8", "replace"))
    if Path(".coverage.client").exists():
        subprocess.run([sys.executable, "-m", "coverage", "combine", "--append", ".coverage.client"], check=True)
        subprocess.run([sys.executable, "-m", "coverage", "report"], check=True)
    return server or status


if __name__ == "__main__":
    sys.exit(main())
