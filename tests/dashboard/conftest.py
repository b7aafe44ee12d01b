"""What the tests of the pages share: a project with calls, people who look, and a browser to look with."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.utils import timezone
from playwright.sync_api import Browser, sync_playwright
from pytest_django.fixtures import Settings
from pytest_django.live_server_helper import LiveServer

from alerting import starter_rules
from alerting.models import Alert
from budgets.models import Budget, Threshold
from metrics.rollup import roll_up_hours, roll_up_minutes
from projects import keys
from projects.models import Project, Recipient
from tests import browser as chromium
from tests import factories, recorded
from tests.conftest import missing
from tests.dashboard.visitor import Visitor


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


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    executable = chromium.executable()
    if executable is None:
        missing("Chromium")
    # Playwright keeps an event loop in this thread, in which Django would otherwise refuse to touch the database.
    with pytest.MonkeyPatch.context() as patch, sync_playwright() as playwright:
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
        started = playwright.chromium.launch(executable_path=executable, args=list(chromium.ARGUMENTS))
        yield started
        started.close()


@pytest.fixture
def busy(db: None) -> Project:
    """A day of calls of six features and five kinds of errors, a budget, rules, a key, and an alert."""
    recorded.once("busy", lambda: _busy(factories.project("helpdesk", name="Help desk"), timezone.now()))
    return Project.objects.get()


def _busy(project: Project, now: datetime) -> None:
    kinds = ("overloaded", "rate_limit", "timeout", "server_error", "invalid_output")
    events = []
    for n in range(480):
        at = now - timedelta(seconds=170 * n + 30)
        names = {"feature": f"feature-{n % 6}", "user_id": "anna" if n % 4 == 0 else "ben"}
        if n % 11 == 0:
            events.append(factories.failed(kinds[n // 11 % 5], None, at, **names))
        else:
            events.append(factories.event(at, duration_ms=300 + n * 7919 % 9000, **names))
    factories.stored(project, *events, now=now)
    count(now)
    starter_rules.install(project)
    Recipient.objects.create(project=project, name="Anna", email="anna@example.com")
    budget = Budget.objects.create(project=project, name="Month", amount_nanousd=10**9)
    Threshold.objects.create(budget=budget, percent=80)
    keys.mint(project, "production")
    Alert.objects.create(
        project=project,
        subject="rule:1",
        title="Error rate above 5 % in a feature with a very long name indeed",
        severity="warning",
        state="firing",
        since=now,
        opened_at=now - timedelta(minutes=9),
        fired_at=now - timedelta(minutes=7),
    )


@pytest.fixture
def visitor(browser: Browser, live_server: LiveServer, settings: Settings, tmp_path: Path) -> Iterator[Visitor]:
    """A signed-out visitor; when the test is over, nothing may have gone wrong on any page they saw."""
    settings.EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
    settings.EMAIL_FILE_PATH = str(tmp_path / "mails")
    User.objects.create_superuser("admin", "admin@example.com", "admin")
    context = browser.new_context(viewport={"width": 1440, "height": 900}, color_scheme="light")
    context.set_default_timeout(20_000)
    seen = Visitor(context, live_server.url)
    yield seen
    context.close()
    assert seen.wrong == []
