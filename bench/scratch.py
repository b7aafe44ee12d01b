"""A database of its own for a benchmark, on the server of DATABASE_URL; made on entering, dropped on leaving.

Importing this module sets Django up, so it must be imported before any of the product's models.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote, urlencode

import django
from django.db import connection

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
os.environ.setdefault("SECRET_KEY", "for benchmarks only")
django.setup()


@contextmanager
def database() -> Iterator[str]:
    """Migrates a fresh database, points this process at it, and yields its URL for other processes."""
    original = connection.settings_dict["NAME"]
    connection.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False)
    try:
        yield _url()
    finally:
        connection.creation.destroy_test_db(original, verbosity=0)


def _url() -> str:
    connection.ensure_connection()
    info = connection.connection.info
    login = quote(info.user) + (f":{quote(info.password)}" if info.password else "")
    return f"postgres://{login}@/{info.dbname}?{urlencode({'host': info.host, 'port': info.port})}"
