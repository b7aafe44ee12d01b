"""What the tests of the pages share: a project with calls, and people who look."""

from datetime import datetime, timedelta

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.utils import timezone

from metrics.rollup import roll_up_hours, roll_up_minutes
from projects.models import Project
from tests import factories


@pytest.fixture
def now() -> datetime:
    """The pages have no clock of their own, so calls are made shortly before the real now."""
    return timezone.now()


@pytest.fixture
def project() -> Project:
    return factories.project("helpdesk", name="Help desk")


def count(now: datetime) -> None:
    """Roll up what was stored, as the worker does."""
    roll_up_minutes(now=now)
    roll_up_hours(now=now)


@pytest.fixture
def calls(project: Project, now: datetime) -> Project:
    """Forty calls in the last half hour: 30 of inbox, 6 of search, 4 overloaded; two users."""
    start = now - timedelta(minutes=30)
    events = [factories.event(start + timedelta(seconds=10 * n), user_id="anna") for n in range(30)]
    events += [
        factories.event(start + timedelta(seconds=400 + n), feature="search", user_id="ben", duration_ms=2400)
        for n in range(6)
    ]
    events += [factories.failed(at=start + timedelta(seconds=500 + n), user_id="ben") for n in range(4)]
    factories.stored(project, *events, now=now)
    count(now)
    return project


def _signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def admin(db: None) -> Client:
    return _signed_in(User.objects.create_superuser("admin", "admin@example.com", "admin"))


@pytest.fixture
def viewer(db: None) -> Client:
    """Somebody who may look at numbers and nothing else."""
    return _signed_in(User.objects.create_user("viewer", "viewer@example.com", "viewer"))


@pytest.fixture
def reader(db: None) -> Client:
    """Somebody who may read prompts as well."""
    user = User.objects.create_user("reader", "reader@example.com", "reader")
    user.user_permissions.add(Permission.objects.get(codename="view_requestbody"))
    return _signed_in(user)
