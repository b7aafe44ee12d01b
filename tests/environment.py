"""The test run's own home, set before Django reads its settings (loaded by `-p` in pyproject.toml)."""

import os
from pathlib import Path

os.environ.setdefault("VITALS_HOME", str(Path(__file__).resolve().parent.parent / "var" / "test"))
os.environ.setdefault("SECRET_KEY", "for tests only")
# A loaded machine may take its time to drop a test database.
os.environ.setdefault("STATEMENT_TIMEOUT_MS", "60000")
