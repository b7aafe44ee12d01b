"""What every test may ask for: a database, the services at hand, and storage left as it was found."""

import os
from collections.abc import Iterator
from typing import Literal

import pytest
import redis
from django.conf import settings as django_settings
from django.db import connection
from pytest_django.fixtures import Settings

from config import postgres
from ingest import pricebook, pricelist
from ingest.models import Price

# Emptied by each test that uses it; two halves of the tests that run at once have one each.
REDIS_URL = f"redis://127.0.0.1:6379/{os.environ.get('TEST_REDIS_DB', '9')}"
# Tables made by SQL, which Django's flush does not know.
STORAGE = (
    "request_log, request_body, rollup_dirty, facet_minute, facet_hour, facet_day, cube_hour, cube_day, user_day,"
    " user_month, limit_minute, score_hour, score_cube_hour, score_cube_day, failure_minute, failure_hour, failure_day"
)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The tests that only read a world come last: nobody else sees it, and it is made once."""
    items.sort(key=lambda item: "built" in getattr(item, "fixturenames", ()))


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
    with postgres.running(django_settings.VITALS_HOME / "postgres"):
        yield


@pytest.fixture
def redis_url() -> str:
    try:
        redis.Redis.from_url(REDIS_URL).flushdb()
    except redis.ConnectionError:
        missing("Redis")
    return REDIS_URL


def _database_of(request: pytest.FixtureRequest) -> Literal["none", "rolled back", "committed"]:
    marker = request.node.get_closest_marker("django_db")
    names = set(request.fixturenames)
    if (marker and marker.kwargs.get("transaction")) or names & {"transactional_db", "live_server"}:
        return "committed"
    return "rolled back" if marker or "db" in names else "none"


@pytest.fixture(autouse=True)
def storage(request: pytest.FixtureRequest) -> Iterator[None]:
    """The prices of the migrations at the start, which Django's flush takes away; no calls left at the end."""
    database = _database_of(request)
    pricebook.forget()
    if database != "none":
        request.getfixturevalue("_django_db_helper")
        if not Price.objects.exists():
            pricelist.load(pricelist.read())
    yield
    if database == "committed":
        with connection.cursor() as cursor:
            cursor.execute(f"TRUNCATE {STORAGE}")
    pricebook.forget()


@pytest.fixture(autouse=True)
def plain_static_files(settings: Settings) -> None:
    """Static files go by their own names: a test needs no build."""
    plain = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    settings.STORAGES = {**settings.STORAGES, "staticfiles": plain}
    # WhiteNoise looks for the build at every start of the application, and has nothing to serve here.
    settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if "whitenoise" not in name]


@pytest.fixture(autouse=True)
def quick_passwords(settings: Settings) -> None:
    """Most tests make somebody to look with, and the hash of a password is meant to take long."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
