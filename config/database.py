"""Having the database for as long as a command runs: ours is started, the user's own is looked at."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from config import postgres
from config.postgres.files import PostgresError

OLDEST = 15


def given_url() -> str:
    """The user's own DATABASE_URL; empty when the embedded server is used."""
    return os.environ.get("DATABASE_URL", "")


@contextmanager
def ready(data_dir: Path) -> Iterator[None]:
    """The database answers for the length of the block. Raises PostgresError or psycopg.OperationalError."""
    if given_url():
        check(given_url())
        yield
    else:
        with postgres.running(data_dir):
            yield


def check(url: str) -> None:
    """That the user's server can be reached and is new enough."""
    try:
        with psycopg.connect(url, connect_timeout=10) as connection:
            version = connection.info.server_version
    except psycopg.ProgrammingError:
        raise PostgresError("DATABASE_URL is not an address like postgres://user:password@host:5432/name.") from None
    if version < OLDEST * 10_000:
        raise PostgresError(
            f"The server in DATABASE_URL is PostgreSQL {version // 10_000}; LLM Vitals needs {OLDEST} or newer."
        )
