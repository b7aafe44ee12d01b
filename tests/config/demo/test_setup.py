"""The demonstration's project and its key."""

from datetime import timedelta

import pytest
from django.utils import timezone

from config.demo import setup
from projects import keys
from projects.models import Project

pytestmark = pytest.mark.django_db


def test_the_project_has_people_and_budgets_and_is_made_once() -> None:
    project = setup.project()
    assert setup.project() == project
    assert Project.objects.count() == 1
    assert [recipient.email for recipient in project.recipients.all()] == ["budget@demo.example", "oncall@demo.example"]
    assert [(budget.name, budget.amount_nanousd, budget.thresholds.count()) for budget in project.budgets.all()] == [
        ("All of it, per month", 900_000_000_000, 2),
        ("Document summaries, per day", 12_000_000_000, 2),
    ]


def test_a_new_run_has_a_new_key_and_the_old_one_is_revoked() -> None:
    project = setup.project()
    first, second = setup.live_key(project), setup.live_key(project)
    later = timezone.now() + timedelta(seconds=1)
    assert keys.verify(first, later) is None
    assert keys.verify(second, later) is not None
