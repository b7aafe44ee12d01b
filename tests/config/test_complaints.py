"""What a person can mend is told in one plain line."""

import errno

import psycopg
import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import OperationalError, ProgrammingError

from config.complaints import one_line
from config.postgres.files import PostgresError


def caused(outer: Exception, cause: Exception) -> Exception:
    outer.__cause__ = cause
    return outer


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (OSError(errno.ENOSPC, "", "/data/x"), "/data/x: the disk is full; free some space"),
        (OSError(errno.ENOSPC, ""), "The disk is full; free some space"),
        (
            PermissionError(errno.EACCES, "", "/data/x"),
            "/data/x: permission denied; give this user the right to write there, or set VITALS_HOME elsewhere",
        ),
        (NotADirectoryError(errno.ENOTDIR, "", "/data/x"), "/data/x: Not a directory"),
        (PostgresError("Said\n already."), "Said already."),
        (ImproperlyConfigured("Set the X."), "Set the X."),
        (
            caused(OperationalError(), psycopg.OperationalError("connection failed: Connection refused")),
            "The database cannot be reached: Connection refused. Check DATABASE_URL and that the server runs.",
        ),
        (
            caused(OperationalError(), psycopg.errors.DiskFull("row 17")),
            "The disk of the database is full; free some space.",
        ),
        (
            caused(ProgrammingError(), psycopg.errors.InsufficientPrivilege("x")),
            "The database refuses: None. Grant this to the user in DATABASE_URL.",
        ),
    ],
)
def test_the_line_says_what_is_wrong_and_what_to_do(error: Exception, line: str) -> None:
    assert one_line(error) == line


def test_a_fault_in_the_product_keeps_its_traceback() -> None:
    assert one_line(ValueError("a bug")) is None
    assert one_line(caused(ProgrammingError(), psycopg.errors.UndefinedTable("x"))) is None
