"""A page is no more complete than the numbers on it."""

from datetime import datetime, timedelta

import pytest
from django.test import Client

from dashboard.pages.overview import OVERVIEW
from dashboard.query import DashboardQuery
from metrics.rollup import roll_up_minutes
from projects.models import Project
from tests import factories
from tests.dashboard.conftest import count

pytestmark = pytest.mark.django_db


def test_hours_that_are_not_counted_yet_hold_the_page_back(viewer: Client, project: Project, now: datetime) -> None:
    """The minutes are there, so charts by the minute are whole; the tiles read hours, and those are not."""
    told = now - timedelta(minutes=1)
    factories.stored(project, factories.event(now - timedelta(hours=9)), now=told)
    roll_up_minutes(now=told)
    query = DashboardQuery(project, now, now - timedelta(hours=24), now)
    look = OVERVIEW.look(query)
    assert look.readings["requests"].value == 0
    assert look.complete_to <= told
    count(now)
    look = OVERVIEW.look(query)
    assert look.readings["requests"].value == 1
    assert look.complete_to > told
