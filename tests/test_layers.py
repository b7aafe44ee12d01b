"""The arrow between packages points one way; the contracts are declared in pyproject.toml."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def test_every_import_contract_is_kept() -> None:
    command = Path(sys.executable).with_name("lint-imports")
    result = subprocess.run([command, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout


def test_the_steps_of_the_product_can_be_read_off_the_docstrings() -> None:
    steps: dict[int, list[str]] = {}
    for path in ROOT.glob("*/*.py"):
        first = path.read_text().split("\n", 1)[0]
        for number in range(1, 9):
            if f"step {number} of 8" in first:
                steps.setdefault(number, []).append(path.parent.name)
    assert sorted(steps) == list(range(1, 9))
    order = ["llmclient", "ingest", "metrics", "alerting", "dashboard"]
    places = [order.index(min(steps[number], key=order.index)) for number in range(1, 9)]
    assert places == sorted(places)
