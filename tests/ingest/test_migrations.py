"""Migrations of the calls keep the rows and rewrite none of them, however many there are."""

from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection

from tests import factories
from tests.factories import NOW

pytestmark = [pytest.mark.django_db, pytest.mark.storage]


def rows(sql: str) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return list(cursor.fetchall())


def test_a_process_of_the_version_before_goes_on_writing() -> None:
    owner = factories.project()
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO client_instance"
            " (project_id, instance, boot_id, sdk, first_seen_at, last_seen_at, emitted, dropped)"
            " VALUES (%s, 'web', gen_random_uuid(), '', now(), now(), 0, '{}')",
            [owner.pk],
        )
    assert rows("SELECT guards::text, hashes FROM client_instance LEFT JOIN request_log ON false") == [("{}", None)]


def test_the_columns_of_calls_come_without_rewriting_a_day() -> None:
    owner = factories.project()
    factories.stored(owner)
    with connection.cursor() as cursor:
        # The test is one transaction, and what its foreign keys have yet to check keeps `dim` from being altered.
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    day = f"request_log_{NOW:%Y%m%d}"
    call_command("migrate", "ingest", "0003", verbosity=0)
    before = rows(f"SELECT * FROM {day}")
    assert len(before) == 1
    file = rows(f"SELECT pg_relation_filenode('{day}')")
    call_command("migrate", "ingest", verbosity=0)
    assert rows(f"SELECT * FROM {day}") == [(*before[0], *[None] * 8)]
    assert rows(f"SELECT pg_relation_filenode('{day}')") == file
    # A day that is attached from now on has them, too.
    factories.stored(owner, at=NOW.replace(day=1), hashes={"input": "a" * 64}, quality={"valid": True, "repairs": 1})
    called = f"SELECT valid, repairs, encode(hashes, 'hex'), name FROM request_log_{NOW:%Y%m}01"
    stored = rows(f"{called} JOIN dim ON dim.id = release_id")
    assert stored == [(1, 1, "a" * 32 + "0" * 32, "1.4.2")]
