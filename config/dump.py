"""Saving the database to a file and reading it back, with PostgreSQL's own programs."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

import psycopg
from psycopg.conninfo import conninfo_to_dict

from config import database
from config.postgres import files

# In the environment and not on the command line, where every user of the machine could read the password.
_VARIABLES: Final = {
    "host": "PGHOST",
    "port": "PGPORT",
    "user": "PGUSER",
    "password": "PGPASSWORD",
    "dbname": "PGDATABASE",
    "sslmode": "PGSSLMODE",
    "sslrootcert": "PGSSLROOTCERT",
}


class DumpError(files.PostgresError):
    """The database could not be saved or read back; the message is one plain line."""


def backup(url: str, file: Path) -> None:
    """Save the whole database as it is at this moment. Raises DumpError, and FileExistsError rather than overwrite."""
    program = _program("pg_dump")
    # Made first, so that nobody else can read it for even a moment.
    os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    try:
        _run([program, "--format=custom", "--file", str(file)], url)
    except BaseException:
        file.unlink()  # Half a backup, also after Ctrl-C, must not be taken for one.
        raise


def restore(url: str, file: Path) -> None:
    """Read a backup into an empty database, all of it or nothing. Raises DumpError."""
    with psycopg.connect(url) as connection:
        found = connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone()
        name = connection.info.dbname
    if found != (0,):
        raise DumpError(
            "This database is not empty. Set VITALS_HOME to a new directory, or DATABASE_URL to an empty one."
        )
    options = ["--single-transaction", "--exit-on-error", "--no-owner", "--dbname", name]
    _run([_program("pg_restore"), *options, str(file)], url)


def _program(name: str) -> str:
    if not database.given_url():
        return str(files.programs() / name)
    found = shutil.which(name)
    if found is None:
        raise DumpError(f"{name} is not on the PATH. Install the client programs of your PostgreSQL.")
    return found


def _run(command: list[str], url: str) -> None:
    given = {_VARIABLES[key]: str(value) for key, value in conninfo_to_dict(url).items() if key in _VARIABLES}
    answer = subprocess.run(command, env=os.environ | given, check=False, capture_output=True, text=True)
    if answer.returncode != 0:
        raise DumpError(" ".join(answer.stderr.split()) or f"{command[0]} ended with code {answer.returncode}.")
