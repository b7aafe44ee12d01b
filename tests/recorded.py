"""What a fixture stored, kept as rows: the second test that wants it has it in a fraction of the time."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Final

from django.apps import apps
from django.db import connection, transaction
from psycopg import sql

from ingest import pricebook
from ingest.models import RequestLog
from ingest.partitions import ensure_days
from tests.conftest import STORAGE

# Whose tables a fixture may fill. People and what Django itself keeps are made anew for each test.
FILLED: Final = ("projects", "ingest", "budgets", "alerting")


@dataclass(frozen=True)
class Recording:
    """Rows by table, and the days on which calls were made."""

    rows: dict[str, bytes]
    days: frozenset[date]


_kept: Final[dict[str, Recording]] = {}


def once(name: str, make: Callable[[], object]) -> None:
    """Let `make` fill the tables the first time; fill them with the same rows, numbers included, every other time."""
    if name in _kept:
        _write(_kept[name])
        return
    make()
    days = RequestLog.objects.values_list("started_at__date", flat=True).distinct()
    _kept[name] = Recording({table: _read(table) for table in _tables()}, frozenset(days))


def _tables() -> list[str]:
    models = (model for app in FILLED for model in apps.get_app_config(app).get_models(include_auto_created=True))
    return [*dict.fromkeys([*(model._meta.db_table for model in models), *STORAGE.split(", ")])]


def _read(table: str) -> bytes:
    connection.ensure_connection()
    statement = sql.SQL("COPY (SELECT * FROM {}) TO STDOUT").format(sql.Identifier(table))
    with connection.connection.cursor() as cursor, cursor.copy(statement) as rows:
        return b"".join(bytes(part) for part in rows)


def _write(recording: Recording) -> None:
    ensure_days(recording.days)
    # What refers to what is checked at the end only.
    with transaction.atomic(), connection.cursor() as django_cursor:
        for table in reversed(recording.rows):
            django_cursor.execute(f"DELETE FROM {table}")
        with connection.connection.cursor() as cursor:
            for table, rows in recording.rows.items():
                if rows:
                    with cursor.copy(sql.SQL("COPY {} FROM STDIN").format(sql.Identifier(table))) as copy:
                        copy.write(rows)
    pricebook.forget()
