"""A process that holds the embedded server until a line comes in: `python -m tests.config.holder DATA_DIR`."""

import sys
from pathlib import Path

from config import postgres
from tests.config.asking import postmaster


def main() -> None:
    data_dir = Path(sys.argv[1])
    with postgres.running(data_dir):
        sys.stdout.write(f"{postmaster(data_dir)}\n")
        sys.stdout.flush()
        sys.stdin.readline()


if __name__ == "__main__":
    main()
