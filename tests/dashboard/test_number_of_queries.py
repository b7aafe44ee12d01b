"""How often a page asks the database: at most twelve times, whatever it has to say."""

from datetime import datetime, timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from budgets.models import Budget
from projects.models import Project
from tests import factories
from tests.dashboard.conftest import count

pytestmark = pytest.mark.django_db

MOST = 12


def asked(client: Client, address: str) -> tuple[int, int]:
    """What the page asks, and what finding out who is there asks; the savepoints are those of the test."""
    client.get(address)
    with CaptureQueriesContext(connection) as captured:
        assert client.get(address).status_code == 200
    statements = [each["sql"] for each in captured if "SAVEPOINT" not in each["sql"]]
    who = [sql for sql in statements if '"django_session"' in sql or 'FROM "auth_user"' in sql]
    return len(statements) - len(who), len(who)


@pytest.mark.parametrize(
    ("address", "number"),
    [
        ("/", 8),
        ("/?from=now-1h", 8),
        ("/?from=now-7d", 8),
        ("/?from=now-30d&cmp=off", 8),
        ("/?feature=inbox", 9),
        ("/?env=production&feature=inbox&model=claude-sonnet-4-5-20250929", 9),
        ("/?key=main", 9),
    ],
)
def test_the_overview_asks_few_questions(
    viewer: Client, project: Project, now: datetime, address: str, number: int
) -> None:
    attempts = [{"n": 1, "status": 200, "key_alias": "main"}]
    events = [factories.event(now - timedelta(seconds=n + 1), attempts=attempts) for n in range(40)]
    factories.stored(project, *events, now=now)
    count(now)
    assert asked(viewer, address) == (number, 2)
    assert number <= MOST


def test_reasons_and_a_budget_are_within_the_limit(viewer: Client, project: Project, now: datetime) -> None:
    bad = [factories.failed(at=now - timedelta(seconds=n + 1), feature=f"feature {n}") for n in range(60)]
    factories.stored(project, *bad, now=now)
    count(now)
    Budget.objects.create(project=project, name="All", amount_nanousd=10**9, period=Budget.Period.MONTH)
    assert "<title>Down" in viewer.get("/").content.decode()
    found = [asked(viewer, address)[0] for address in ("/", "/?env=production")]
    assert found == [12, 12]
    assert max(found) <= MOST
