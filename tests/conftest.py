"""What every test may ask for: a database, the services at hand, and storage left as it was found."""

import os
from collections.abc import Iterator

import pytest
import redis
from django.conf import settings
from django.db import connection
from pytest_django import DjangoDbBlocker

from config import postgres
from ingest import pricebook, pricelist

REDIS_URL = "redis://127.0.0.1:6379/9"
# Tables made by SQL, which Django's flush does not know.
STORAGE = "request_log, request_body, rollup_dirty, facet_minute, facet_hour, cube_hour, cube_day, user_day, user_month"


def missing(service: str) -> None:
    """A service that is not there is told, and in CI it is a failure."""
    if os.environ.get("CI"):
        pytest.fail(f"{service} is not running, and in CI nothing is skipped")
    pytest.skip(f"{service} is not running on this machine")


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings_parallel_suffix: None) -> Iterator[None]:
    """The embedded server runs for the session, unless DATABASE_URL names another."""
    if os.environ.get("DATABASE_URL"):
        yield
        return
    with postgres.running(settings.VITALS_HOME / "postgres"):
        yield


@pytest.fixture
def redis_url() -> str:
    try:
        redis.Redis.from_url(REDIS_URL).flushdb()
    except redis.ConnectionError:
        missing("Redis")
    return REDIS_URL


def _is_transactional(request: pytest.FixtureRequest) -> bool:
    marker = request.node.get_closest_marker("django_db")
    wanted = {"transactional_db", "live_server", "django_db_reset_sequences"}
    return bool(marker and marker.kwargs.get("transaction")) or bool(wanted & set(request.fixturenames))


@pytest.fixture(autouse=True)
def storage(request: pytest.FixtureRequest, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """What a transactional test committed is taken away again, and what the migrations had loaded is put back."""
    yield
    if _is_transactional(request):
        with django_db_blocker.unblock(), connection.cursor() as cursor:
            cursor.execute(f"TRUNCATE {STORAGE}")
            pricelist.load(pricelist.read())
    pricebook.forget()
