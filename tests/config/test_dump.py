"""`backup` and `restore`: what is saved is there again, on the embedded server and on one's own."""

import stat
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from config import postgres
from tests.config.test_manage import manage
from tests.conftest import missing
from tests.system_postgres import find

pytestmark = pytest.mark.processes

FILL = "CREATE TABLE kept (id int PRIMARY KEY, word text); INSERT INTO kept VALUES (1, 'one'), (2, 'zwei')"
READ = "SELECT id, word FROM kept ORDER BY id"


@pytest.fixture
def saved(home: Path) -> Path:
    """A backup of a home with two rows."""
    with postgres.running(home / "first" / "postgres"), psycopg.connect(postgres.url(home / "first" / "postgres")) as c:
        c.execute(FILL)
    file = home / "vitals.dump"
    answer = manage(home / "first", "backup", str(file))
    assert (answer.returncode, answer.stderr) == (0, "")
    assert answer.stdout == f"Saved to {file} ({file.stat().st_size:,} bytes).\n"
    return file


def test_a_backup_is_read_back_into_a_new_home(home: Path, saved: Path) -> None:
    answer = manage(home / "second", "restore", str(saved))
    assert (answer.returncode, answer.stderr) == (0, "")
    place = home / "second" / "postgres"
    with postgres.running(place), psycopg.connect(postgres.url(place)) as connection:
        assert connection.execute(READ).fetchall() == [(1, "one"), (2, "zwei")]


def test_only_its_owner_may_read_a_backup(saved: Path) -> None:
    assert stat.S_IMODE(saved.stat().st_mode) == 0o600


def test_a_file_that_is_there_is_not_overwritten(home: Path, saved: Path) -> None:
    before = saved.read_bytes()
    answer = manage(home / "first", "backup", str(saved))
    assert (answer.returncode, answer.stderr) == (1, f"{saved}: File exists\n")
    assert saved.read_bytes() == before


def test_a_database_with_something_in_it_is_not_touched(home: Path, saved: Path) -> None:
    answer = manage(home / "first", "restore", str(saved))
    assert answer.returncode == 1
    assert answer.stderr == (
        "This database is not empty. Set VITALS_HOME to a new directory, or DATABASE_URL to an empty one.\n"
    )


def test_a_file_that_is_no_backup_changes_nothing(home: Path) -> None:
    (home / "letter.txt").write_text("Dear Sir")
    answer = manage(home / "second", "restore", str(home / "letter.txt"))
    assert answer.returncode == 1
    assert "input file does not appear to be a valid archive" in answer.stderr
    assert len(answer.stderr.splitlines()) == 1


@pytest.fixture
def own_url() -> Iterator[str]:
    """An empty database on the system's PostgreSQL."""
    server = find()
    if not server:
        missing("PostgreSQL 15 or newer")
    base = server.rpartition("/")[0]
    with psycopg.connect(f"{base}/postgres", autocommit=True) as connection:
        connection.execute("CREATE DATABASE vitals_test_dump")
    yield f"{base}/vitals_test_dump"
    with psycopg.connect(f"{base}/postgres", autocommit=True) as connection:
        connection.execute("DROP DATABASE vitals_test_dump WITH (FORCE)")


def test_ones_own_server_is_saved_with_the_programs_on_the_path(home: Path, own_url: str) -> None:
    with psycopg.connect(own_url) as connection:
        connection.execute(FILL)
    file = home / "own.dump"
    answer = manage(home, "backup", str(file), DATABASE_URL=own_url)
    assert (answer.returncode, answer.stderr) == (0, "")
    with psycopg.connect(own_url) as connection:
        connection.execute("DROP TABLE kept")
    assert manage(home, "restore", str(file), DATABASE_URL=own_url).returncode == 0
    with psycopg.connect(own_url) as connection:
        assert connection.execute(READ).fetchall() == [(1, "one"), (2, "zwei")]


def test_missing_programs_are_named_and_no_file_is_left(home: Path, own_url: str) -> None:
    answer = manage(home, "backup", str(home / "own.dump"), DATABASE_URL=own_url, PATH=str(home))
    assert answer.returncode == 1
    assert answer.stderr == "pg_dump is not on the PATH. Install the client programs of your PostgreSQL.\n"
    assert not (home / "own.dump").exists()
