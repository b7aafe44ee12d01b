"""The server the storage tests run on a second time is looked for once, by `make test`."""

from pathlib import Path

import pytest

from config import postgres
from tests import system_postgres
from tests.config.conftest import home  # the fixture

__all__ = ["home"]


@pytest.mark.processes
def test_a_server_one_may_make_databases_on_is_found(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = postgres.url(home / "postgres")
    monkeypatch.setenv("SYSTEM_DATABASE_URL", url)
    with postgres.running(home / "postgres"):
        assert system_postgres.find() == url


def test_where_there_is_none_nothing_is_found(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system_postgres, "CANDIDATES", ())
    monkeypatch.setenv("SYSTEM_DATABASE_URL", f"postgres://postgres@/postgres?host={home}")
    assert system_postgres.find() == ""
