"""Loss is a number: what clients gave up and what was put aside."""

from datetime import datetime, timedelta
from uuid import UUID

import pytest

from ingest.models import ClientInstance
from metrics.losses import Losses, losses
from metrics.steps import alone
from metrics.windows import Window
from projects.models import Project
from tests import factories
from tests.factories import NOW
from tests.metrics.world import DAY, HOUR

pytestmark = pytest.mark.django_db
WINDOW = Window(NOW - HOUR, NOW)


def reported(owner: Project, number: int, first: datetime, last: datetime, **dropped: int) -> None:
    ClientInstance.objects.create(
        project=owner,
        instance=f"web-{number}",
        boot_id=UUID(int=number),
        first_seen_at=first,
        last_seen_at=last,
        emitted=1_000,
        dropped=dropped,
    )


def test_without_reports_nothing_is_lost() -> None:
    assert alone(losses(factories.project().pk, WINDOW)) == Losses({}, 0)


def test_reasons_are_added_up_over_the_processes_that_reported_in_the_window() -> None:
    owner, other = factories.project(), factories.project()
    reported(owner, 1, NOW - DAY, NOW - timedelta(minutes=1), overflow=9, rejected=1)
    reported(owner, 2, NOW - timedelta(minutes=2), NOW + HOUR, rejected=10, expired=0)
    # Ended before the window, started after it, is of another project.
    reported(owner, 3, NOW - DAY, NOW - HOUR - timedelta(seconds=1), overflow=100)
    reported(owner, 4, NOW, NOW + HOUR, overflow=100)
    reported(other, 5, NOW - HOUR, NOW, overflow=100)
    found = alone(losses(owner.pk, WINDOW))
    assert list(found.given_up.items()) == [("rejected", 11), ("overflow", 9)]


def test_no_report_is_too_large_to_be_added_up() -> None:
    owner = factories.project()
    for number in (1, 2):
        reported(owner, number, NOW - HOUR, NOW, overflow=2**63 - 1)
    assert alone(losses(owner.pk, WINDOW)).given_up == {"overflow": 2**64 - 2}


def test_events_of_another_time_count_where_they_were_received() -> None:
    owner = factories.project()
    old = NOW - timedelta(days=400)
    factories.stored(owner, factories.event(old), now=NOW - timedelta(minutes=5))
    factories.stored(owner, factories.event(old), now=NOW - 2 * HOUR)
    assert alone(losses(owner.pk, WINDOW)) == Losses({}, 1)


def test_two_clients_that_claim_the_largest_number_there_is_do_not_break_the_sum() -> None:
    owner = factories.project()
    for number in (1, 2):
        reported(owner, number, NOW - HOUR, NOW, overflow=2**63 - 1)
    assert alone(losses(owner.pk, WINDOW)) == Losses({"overflow": 2**64 - 2}, 0)
