"""Every example of docs/testing.md is run: Python as tests, in a pytest of their own, the others as commands."""

import argparse
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import llmclient.testing
from llmclient.load._flags import parser as load_parser
from llmclient.testing import FakeAnthropic
from llmclient.testing._flags import parser as fake_parser

ROOT = Path(__file__).resolve().parents[3]
TEXT = (ROOT / "docs" / "testing.md").read_text()
PROGRAMS = re.findall(r"^```python\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)
SESSIONS = re.findall(r"^```console\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)
COMMANDS = [line.removeprefix("$ ") for session in SESSIONS for line in session.splitlines() if line.startswith("$ ")]
# A run of a minute says no more than one of a quarter of a second.
SHORTER = {"--for 60": "--for 0.25s", "10:1000:300s": "10:1000:0.25s", "--port 8082": "--port 0"}


def words(command: str) -> list[str]:
    for long, short in SHORTER.items():
        command = command.replace(long, short)
    return [sys.executable, *shlex.split(command)[1:]]


def test_every_python_example_is_a_test_that_passes(tmp_path: Path) -> None:
    (tmp_path / "test_page.py").write_text("\n\n".join(PROGRAMS))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "llmclient.testing.plugin", "-p", "no:django"]
    environment = {"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"]}
    ran = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
    wanted = len(re.findall(r"^def test_", "".join(PROGRAMS), re.MULTILINE))
    assert f"{wanted} passed" in ran.stdout, ran.stdout + ran.stderr
    assert (wanted, len(PROGRAMS)) == (10, 8)


@pytest.mark.parametrize("command", [each for each in COMMANDS if "llmclient.load" in each and "--real" not in each])
def test_every_load_example_runs(command: str) -> None:
    ran = subprocess.run(words(command), capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stderr
    assert "sent" in ran.stdout


def test_the_fake_of_the_example_listens() -> None:
    [command] = [each for each in COMMANDS if "llmclient.testing" in each]
    with subprocess.Popen(words(command), stdout=subprocess.PIPE, text=True) as fake:
        assert fake.stdout is not None
        assert fake.stdout.readline().startswith("http://127.0.0.1:")
        fake.terminate()


def test_what_a_real_endpoint_would_cost_is_what_the_page_says() -> None:
    [session] = [each for each in SESSIONS if "--real" in each]
    command, _, shown = session.removeprefix("$ ").partition("\n")
    environment = {**os.environ, "ANTHROPIC_API_KEY": "x"}
    environment.pop("ANTHROPIC_BASE_URL", None)
    arguments = [sys.executable, *shlex.split(command)[1:]]
    ran = subprocess.run(arguments, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert (ran.returncode, ran.stderr) == (2, shown)


def test_every_answer_is_in_the_table() -> None:
    made = [name for name in llmclient.testing.__all__ if name.islower() and name != "capture"]
    assert [name for name in made if f"| `{name}(" not in TEXT] == []


def options_of(parsing: argparse.ArgumentParser) -> Iterator[str]:
    for action in parsing._actions:
        yield from (option for option in action.option_strings if option.startswith("--") and option != "--help")


def test_every_option_is_in_a_table_and_every_option_named_is_one() -> None:
    known = {*options_of(load_parser()), *options_of(fake_parser())}
    assert [option for option in sorted(known) if f"`{option}" not in TEXT] == []
    assert set(re.findall(r"--[a-z][a-z-]+", TEXT)) - known - {"--help"} == set()


def test_everything_the_fake_can_be_told_exists() -> None:
    named = set(re.findall(r"\bfake(?:_anthropic)?\.(\w+)", TEXT)) - {"url"}
    assert {name for name in named if not hasattr(FakeAnthropic, name)} - {"requests"} == set()
