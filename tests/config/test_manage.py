"""The command line has its database while it runs, and nothing is started for commands that need none."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from config import postgres
from tests.config.asking import ROOT, free_port, postmaster

pytestmark = pytest.mark.processes


def manage(home: Path, *words: str, **more: str) -> "subprocess.CompletedProcess[str]":
    kept = {key: value for key, value in os.environ.items() if key not in {"DATABASE_URL", "STATEMENT_TIMEOUT_MS"}}
    environment = {**kept, "VITALS_HOME": str(home), **more}
    command = [sys.executable, str(ROOT / "manage.py"), *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize("words", [["help"], ["migrate", "--help"], ["version"], ["check"]])
def test_a_command_that_needs_no_database_starts_none(home: Path, words: list[str]) -> None:
    assert manage(home, *words).returncode == 0
    assert not (home / "postgres").exists()


def test_a_command_that_needs_the_database_has_it_and_stops_it_afterwards(home: Path) -> None:
    code = "from django.db import connection as c; k = c.cursor(); k.execute('SELECT 6 * 7'); print(k.fetchone()[0])"
    answer = manage(home, "shell", "--no-imports", "-c", code)
    assert (answer.returncode, answer.stdout, answer.stderr) == (0, "42\n", "")
    assert postmaster(home / "postgres") is None
    assert not postgres.socket_dir(home / "postgres").exists()


def test_a_person_waiting_for_a_command_is_not_cut_off_by_the_time_limit_of_pages(home: Path) -> None:
    code = "from django.db import connection as c; k = c.cursor(); k.execute('SHOW statement_timeout'); print(*k)"
    assert manage(home, "shell", "--no-imports", "-c", code).stdout == "('0',)\n"
    assert manage(home, "shell", "--no-imports", "-c", code, STATEMENT_TIMEOUT_MS="700").stdout == "('700ms',)\n"


def test_an_unreachable_database_is_one_line_and_code_1(home: Path) -> None:
    answer = manage(home, "migrate", DATABASE_URL=f"postgres://vitals@127.0.0.1:{free_port()}/vitals")
    assert (answer.returncode, answer.stdout) == (1, "")
    assert answer.stderr == (
        "The database cannot be reached: Connection refused. Check DATABASE_URL and that the server runs.\n"
    )


def test_a_traceback_is_shown_when_it_is_asked_for(home: Path) -> None:
    answer = manage(home, "migrate", "--traceback", DATABASE_URL=f"postgres://v@127.0.0.1:{free_port()}/v")
    assert answer.returncode == 1
    assert "Traceback (most recent call last)" in answer.stderr


def test_a_home_that_is_a_file_is_told_in_one_line(home: Path) -> None:
    (home / "file").touch()
    answer = manage(home / "file" / "inside", "migrate")
    assert answer.returncode == 1
    assert len(answer.stderr.splitlines()) == 1
    assert answer.stderr.endswith(": Not a directory\n")
