"""Which version of the database and of its tables there is."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from django.core.cache import cache
from django.db import connection
from django.db.migrations.loader import MigrationLoader

_KEPT: Final = "applied-migrations"


@dataclass(frozen=True, slots=True)
class Migrations:
    server: str
    """PostgreSQL's own version."""
    applied: int
    missing: Sequence[str]
    """Those this version of the product has and the database has not."""


def migrations() -> Migrations:
    """Return what is applied; asked again after a minute once nothing is missing."""
    kept: Migrations | None = cache.get(_KEPT)
    if kept is not None:
        return kept
    found = _read()
    if not found.missing:
        cache.set(_KEPT, found, 60)
    return found


def _read() -> Migrations:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('server_version'), app, name FROM django_migrations")
        rows = cursor.fetchall()
    applied = [f"{app}.{name}" for _, app, name in rows]
    return Migrations(rows[0][0], len(applied), sorted(_known() - set(applied)))


@lru_cache(maxsize=1)
def _known() -> frozenset[str]:
    """The files do not change under a process."""
    return frozenset(f"{app}.{name}" for app, name in MigrationLoader(None).disk_migrations)
