"""How long breakers were open, by hand: clients and groups side by side, over time, and what cannot be known."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

import pytest

from ingest.models import BreakerTransition, ClientInstance
from ingest.vocabulary import BreakerState
from metrics import queries
from metrics.slices import OTHER, Slice
from metrics.windows import Window
from projects.models import Project
from tests import factories
from tests.factories import NOW

pytestmark = pytest.mark.django_db

MINUTE = timedelta(minutes=1)
HOUR = Window(NOW - 60 * MINUTE, NOW)
CLOSED, OPEN, HALF = BreakerState.CLOSED, BreakerState.OPEN, BreakerState.HALF_OPEN
METRIC = "breaker_open_ms"


def at(minute: float) -> datetime:
    """So many minutes after the hour began."""
    return HOUR.start + minute * MINUTE


def change(
    owner: Project, minute: float, before: BreakerState, after: BreakerState, group: str = "sonnet-5", boot: int = 1
) -> None:
    BreakerTransition.objects.create(
        project=owner, boot_id=UUID(int=boot), group=group, at=at(minute), before=before, after=after
    )
    ClientInstance.objects.get_or_create(
        project=owner, boot_id=UUID(int=boot), defaults={"first_seen_at": at(0), "last_seen_at": NOW}
    )


@pytest.fixture
def owner() -> Project:
    """Sonnet is stopped by one client from 10 to 20, by another from 15 to 25 with a try from 17 to 18; and haiku by
    the first one from 24 to 30, opus from 50 on.
    """
    owner = factories.project()
    change(owner, 10, CLOSED, OPEN)
    change(owner, 20, OPEN, CLOSED)
    for minute, before, after in ((15, CLOSED, OPEN), (17, OPEN, HALF), (18, HALF, OPEN), (25, OPEN, CLOSED)):
        change(owner, minute, before, after, boot=2)
    change(owner, 24, CLOSED, OPEN, "haiku-5")
    change(owner, 30, OPEN, CLOSED, "haiku-5")
    change(owner, 50, CLOSED, OPEN, "opus-5")
    change(factories.project(), 0, CLOSED, OPEN)
    return owner


def minutes(values: Sequence[object]) -> list[float | None]:
    return [None if value is None else int(str(value)) / 60_000 for value in values]


def test_time_in_which_any_was_open_counts_once(owner: Project) -> None:
    found = queries.value(METRIC, HOUR, Slice(owner.pk), now=NOW)
    # 10 to 30 without a gap, and 50 to 60; three groups opened once each.
    assert (found.value, found.sample, found.complete_to) == (30 * 60_000, 3, NOW)
    cut = queries.value(METRIC, Window(at(12), at(28.5)), Slice(owner.pk), now=NOW)
    assert cut.value == 16.5 * 60_000
    assert queries.value(METRIC, Window(at(31), at(49)), Slice(owner.pk), now=NOW).value == 0


def test_a_model_has_the_time_of_its_group(owner: Project) -> None:
    for model, expected in (("claude-sonnet-5", 15), ("sonnet-5", 15), ("claude-haiku-5", 6), ("nobody-knows-me", 0)):
        found = queries.value(METRIC, HOUR, Slice(owner.pk, model=model), now=NOW)
        assert found.value == expected * 60_000


def test_a_try_is_not_open_unless_another_client_is_stopped(owner: Project) -> None:
    alone = factories.project()
    for minute, before, after in ((15, CLOSED, OPEN), (17, OPEN, HALF), (18, HALF, OPEN), (25, OPEN, CLOSED)):
        change(alone, minute, before, after)
    assert queries.value(METRIC, HOUR, Slice(alone.pk), now=NOW).value == 9 * 60_000


def test_over_time_each_bucket_has_its_share_and_what_has_not_begun_none(owner: Project) -> None:
    window = Window(HOUR.start, NOW + 15 * MINUTE)
    (line,) = queries.series(METRIC, window, Slice(owner.pk), bucket=15 * MINUTE, now=NOW)
    assert minutes(line.values) == [5, 15, 0, 10, None]
    assert line.samples == (1, 2, 0, 1, 0)


def test_parts_are_groups_and_the_rest_is_open_while_one_of_it_is(owner: Project) -> None:
    found = queries.breakdown("model", [METRIC], HOUR, Slice(owner.pk), top=1, now=NOW)
    assert [(part.key, part.readings[METRIC].value) for part in found.parts] == [("sonnet-5", 15 * 60_000)]
    assert found.other is not None
    # Groups may be open at once, so the whole is less than its parts.
    assert (found.other.readings[METRIC].value, found.total.readings[METRIC].value) == (16 * 60_000, 30 * 60_000)
    lines = queries.series(METRIC, HOUR, Slice(owner.pk), bucket=30 * MINUTE, by="model", top=2, now=NOW)
    assert [(line.key, minutes(line.values)) for line in lines] == [
        ("sonnet-5", [15, 0]),
        ("opus-5", [0, 10]),
        (OTHER, [6, 0]),
    ]


def test_what_is_not_kept_or_too_much_is_not_guessed(owner: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(queries.WindowTooWideError, match="changes of breakers are kept since 24 August 2026"):
        queries.value(METRIC, Window(NOW - timedelta(days=91), NOW), Slice(owner.pk), now=NOW)
    monkeypatch.setattr("metrics.breaker_time.MOST_CHANGES", 8)
    with pytest.raises(queries.WindowTooWideError, match="breakers changed more than 8 times"):
        queries.value(METRIC, HOUR, Slice(owner.pk), now=NOW)
