"""What went wrong around the product (disk, rights, network, database), each in one plain line with what to do."""

import errno
import os

import psycopg
from django.core.exceptions import ImproperlyConfigured
from django.db import Error as DatabaseError

from config.postgres.files import PostgresError

_MEANINGS = {
    errno.ENOSPC: "the disk is full; free some space",
    errno.EDQUOT: "the disk quota is used up; free some space",
    errno.EACCES: "permission denied; give this user the right to write there, or set VITALS_HOME elsewhere",
    errno.EPERM: "not permitted; give this user the right to write there, or set VITALS_HOME elsewhere",
    errno.EROFS: "the file system is read-only; set VITALS_HOME elsewhere",
}


def one_line(error: BaseException) -> str | None:
    """The line to show instead of a traceback; None when the error is not of this kind but a fault in the product."""
    if isinstance(error, PostgresError | ImproperlyConfigured):
        return " ".join(str(error).split())
    if isinstance(error, DatabaseError | psycopg.Error):
        return _about_database(error)
    if isinstance(error, OSError) and error.errno is not None:
        where = f"{os.fspath(error.filename)}: " if error.filename else ""
        line = where + _MEANINGS.get(error.errno, os.strerror(error.errno))
        return line[0].upper() + line[1:]
    return None


def _about_database(error: BaseException) -> str | None:
    cause = error if isinstance(error, psycopg.Error) else error.__cause__
    match cause:
        case psycopg.errors.DiskFull():
            return "The disk of the database is full; free some space."
        case psycopg.errors.InsufficientPrivilege():
            return f"The database refuses: {cause.diag.message_primary}. Grant this to the user in DATABASE_URL."
        case psycopg.OperationalError() if cause.sqlstate is None:
            return f"The database cannot be reached: {_short(cause)} Check DATABASE_URL and that the server runs."
        case psycopg.OperationalError():
            return f"The database cannot go on ({cause.sqlstate}): {cause.diag.message_primary}."
    return None


def _short(error: psycopg.Error) -> str:
    """The last reason of libpq, which repeats itself once per address tried."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    reason = lines[0].rpartition("failed: ")[2] if lines else "no reason given"
    return reason.replace("FATAL:  ", "").rstrip(".") + "."
