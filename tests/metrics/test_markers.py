"""Markers: exactly the changes of a project in a window, whoever told of them."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

import pytest

from ingest.models import BreakerTransition, Price
from ingest.vocabulary import BreakerState
from metrics import markers as asked
from metrics.markers import Marker
from metrics.steps import alone
from metrics.windows import Window
from projects import audit
from projects.models import Annotation, AuditEvent, Project
from tests import factories
from tests.factories import NOW

pytestmark = [pytest.mark.django_db, pytest.mark.storage]
HOUR = timedelta(hours=1)
DAY = Window(NOW - 24 * HOUR, NOW)


@pytest.fixture
def owner() -> Project:
    return factories.project()


def markers(project_id: int, window: Window, environment: str = "") -> Sequence[Marker]:
    return alone(asked.markers(project_id, window, environment))


def test_without_changes_there_are_no_markers(owner: Project) -> None:
    assert markers(owner.pk, DAY) == []


def test_what_was_told_is_there_by_environment(owner: Project) -> None:
    def told(at: datetime, environment: str, project: Project = owner) -> None:
        Annotation.objects.create(
            project=project, at=at, title=f"<b>{environment}", environment=environment, link="https://a", detail="d"
        )

    told(NOW - 2 * HOUR, "production")
    told(NOW - HOUR, "")
    told(NOW - 24 * HOUR, "staging")
    told(NOW, "production")  # The window is half open.
    told(NOW - HOUR, "production", factories.project())

    def found(environment: str) -> list[str]:
        return [one.environment for one in markers(owner.pk, DAY, environment)]

    assert markers(owner.pk, DAY)[0] == Marker(NOW - 24 * HOUR, "deploy", "<b>staging", "d", "https://a", "staging")
    assert found("") == ["staging", "production", ""]
    assert found("production") == ["production", ""]
    assert found("elsewhere") == [""]


def test_releases_and_prompt_versions_are_marked_with_their_first_call(owner: Project) -> None:
    factories.stored(owner, at=NOW - 30 * HOUR, release="1.0", prompt_version="1")
    factories.stored(owner, at=NOW - 3 * HOUR, release="1.1", prompt_version="1")
    factories.stored(owner, at=NOW - 2 * HOUR, release="1.1", prompt_version="2", feature="new")
    factories.stored(factories.project(), at=NOW - 2 * HOUR, release="9", prompt_version="9")
    assert markers(owner.pk, DAY) == [
        Marker(NOW - 3 * HOUR, "release", "1.1"),
        Marker(NOW - 2 * HOUR, "version", "2"),
    ]


def test_a_price_that_changes_is_marked_where_its_model_was_called(owner: Project) -> None:
    old = Price.objects.filter(model="claude-sonnet-4-5").order_by("effective_from").first()
    assert old is not None
    old.pk, old.effective_from, old.source = None, NOW - 5 * HOUR, "the list of November"
    old.save(force_insert=True)
    old.pk, old.model = None, "claude-brand-new"  # Has no price to change from.
    old.save(force_insert=True)
    assert markers(owner.pk, DAY) == []
    factories.stored(owner, at=NOW - 30 * HOUR)
    assert markers(owner.pk, DAY) == [Marker(NOW - 5 * HOUR, "price", "claude-sonnet-4-5", "the list of November")]


def test_what_was_done_to_budgets_is_marked_and_nothing_else_of_the_trail(owner: Project) -> None:
    for action, at in (("change.budget", NOW - HOUR), ("read.body", NOW - HOUR), ("pause.budget", NOW - 25 * HOUR)):
        event = audit.record(None, action, owner, "Month")
        AuditEvent.objects.filter(pk=event.pk).update(at=at)
    assert markers(owner.pk, DAY) == [Marker(NOW - HOUR, "budget", "Month", "change")]


def test_breakers_that_open_within_a_minute_are_one_change(owner: Project) -> None:
    def opened(boot: int, at: datetime, group: str = "opus", after: BreakerState = BreakerState.OPEN) -> None:
        BreakerTransition.objects.create(
            project=owner,
            boot_id=UUID(int=boot),
            group=group,
            at=at,
            instance="web",
            before=BreakerState.CLOSED,
            after=after,
            reason="overloaded",
        )

    start = NOW - HOUR
    opened(1, start + timedelta(seconds=3))
    opened(2, start + timedelta(seconds=59))
    opened(2, start + timedelta(seconds=20))
    opened(3, start + timedelta(seconds=60))
    opened(3, start + timedelta(seconds=5), group="haiku")
    opened(4, start, after=BreakerState.HALF_OPEN)
    assert markers(owner.pk, DAY) == [
        Marker(start + timedelta(seconds=3), "breaker", "opus", "overloaded", times=2),
        Marker(start + timedelta(seconds=5), "breaker", "haiku", "overloaded"),
        Marker(start + timedelta(seconds=60), "breaker", "opus", "overloaded"),
    ]


def test_of_very_many_changes_the_newest_are_read(owner: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("metrics.markers.MOST_OF_A_KIND", 2)
    for number in range(4):
        Annotation.objects.create(project=owner, at=NOW - HOUR + timedelta(minutes=number), title=str(number))
    assert [one.title for one in markers(owner.pk, DAY)] == ["2", "3"]
