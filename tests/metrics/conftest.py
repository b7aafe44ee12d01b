"""The world of calls, stored and rolled up once for all tests that only read."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from django.db import transaction
from pytest_django import DjangoDbBlocker

from ingest import pricebook, pricelist
from ingest.models import Price
from projects.models import Project
from tests.metrics import world
from tests.metrics.oracle import Call


@dataclass(frozen=True)
class World:
    """The calls that were made, and whose they are."""

    calls: list[Call]
    reading: Project
    writing: Project


@pytest.fixture(scope="session")
def built(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[World]:
    """Taken back in the end: everything happens in one transaction of its own."""
    with django_db_blocker.unblock(), transaction.atomic():
        pricebook.forget()
        if not Price.objects.exists():
            pricelist.load(pricelist.read())
        owners = world.projects()
        calls = world.calls(owners)
        world.live_through(calls)
        yield World(calls, *owners)
        transaction.set_rollback(True)


@pytest.fixture
def lived(built: World) -> World:
    """The world, for a test that only asks."""
    return built
