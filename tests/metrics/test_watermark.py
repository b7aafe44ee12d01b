"""How complete an answer is."""

from datetime import datetime, timedelta

import pytest

from ingest.vocabulary import Grain
from metrics import queries
from metrics.rollup import roll_up_hours, roll_up_minutes
from metrics.slices import Slice
from metrics.watermark import GRAINS, by_grain
from metrics.windows import Window
from projects.models import Project
from tests import factories
from tests.factories import NOW
from tests.metrics.world import DAY, HOUR

pytestmark = [pytest.mark.django_db, pytest.mark.storage]
MINUTE = timedelta(minutes=1)
LATER = NOW + timedelta(seconds=40)


def complete_to(owner: Project, window: Window, metric: str = "requests", **slice_: str) -> datetime | None:
    return queries.value(metric, window, Slice(owner.pk, **slice_), now=LATER).complete_to


def test_without_marks_everything_up_to_now_is_there() -> None:
    assert queries.complete_to(factories.project().pk, now=NOW) == NOW


def test_a_call_that_waits_holds_the_watermark_at_the_time_it_was_received() -> None:
    owner = factories.project()
    for seconds in (7, 3, 11):
        factories.stored(owner, at=NOW, now=NOW + timedelta(seconds=seconds))
    assert queries.complete_to(owner.pk, now=LATER) == NOW + timedelta(seconds=3)
    roll_up_minutes(now=LATER)
    assert queries.complete_to(owner.pk, now=LATER) == LATER


def test_another_projects_calls_hold_nothing_up() -> None:
    owner = factories.project()
    factories.stored(factories.project())
    assert queries.complete_to(owner.pk, now=LATER) == LATER


def test_hours_are_complete_only_when_minutes_and_hours_are_done() -> None:
    owner = factories.project()
    factories.stored(owner, at=NOW - 5 * HOUR, now=NOW)
    assert queries.complete_to(owner.pk, now=LATER, grain=Grain.HOUR) == NOW
    roll_up_minutes(now=LATER)
    assert queries.complete_to(owner.pk, now=LATER, grain=Grain.MINUTE) == LATER
    assert queries.complete_to(owner.pk, now=LATER, grain=Grain.HOUR) == NOW
    roll_up_hours(now=LATER)
    assert queries.complete_to(owner.pk, now=LATER, grain=Grain.HOUR) == LATER


def test_hours_that_are_not_read_yet_hold_nothing_up() -> None:
    owner = factories.project()
    factories.stored(owner, at=NOW)
    roll_up_minutes(now=LATER)
    assert queries.complete_to(owner.pk, now=LATER, grain=Grain.HOUR) == LATER


def test_an_answer_read_from_minutes_waits_for_minutes_only() -> None:
    owner = factories.project()
    factories.stored(owner, at=NOW - 5 * HOUR, now=NOW)
    roll_up_minutes(now=LATER)
    assert complete_to(owner, Window(NOW - 5 * HOUR, NOW - 4 * HOUR)) == NOW
    assert complete_to(owner, Window(NOW - 5 * HOUR, NOW - 5 * HOUR + 30 * MINUTE)) == LATER


def test_a_late_call_outside_the_window_does_not_make_the_answer_incomplete() -> None:
    owner = factories.project()
    factories.stored(owner, at=NOW - 20 * DAY, now=NOW)
    assert complete_to(owner, Window.last(HOUR, NOW)) == LATER
    assert complete_to(owner, Window.last(21 * DAY, NOW)) == NOW


def test_the_calls_themselves_are_always_complete() -> None:
    owner = factories.project()
    factories.stored(owner, at=NOW - 10 * MINUTE, now=NOW)
    window = Window.last(30, NOW)
    reading = queries.value("requests", window, Slice(owner.pk, feature="inbox", prompt_type="triage"), now=LATER)
    assert (reading.value, reading.complete_to) == (1, LATER)


def test_a_users_days_wait_for_the_days() -> None:
    owner = factories.project()
    factories.stored(owner, at=NOW - 2 * DAY, now=NOW)
    window = Window.last(4 * DAY, NOW)
    roll_up_minutes(now=LATER)
    assert complete_to(owner, window, user_id="user-1") == NOW
    roll_up_hours(now=LATER)
    assert complete_to(owner, window, user_id="user-1") == LATER


def test_a_day_that_has_just_ended_waits_for_its_last_hour() -> None:
    owner, midnight = factories.project(), NOW.replace(hour=0)
    yesterday, now = Window(midnight - DAY, midnight), midnight + MINUTE
    factories.stored(owner, at=midnight - MINUTE)
    roll_up_minutes(now=midnight)
    # Users have no hours, so theirs is read from the day. All others are read from what is up to date already.
    of_user = queries.value("requests", yesterday, Slice(owner.pk, user_id="user-1"), now=now)
    assert of_user.complete_to == midnight - MINUTE
    for slice_ in (Slice(owner.pk, feature="inbox"), Slice(owner.pk, feature="inbox", prompt_type="triage")):
        reading = queries.value("requests", yesterday, slice_, now=now)
        assert (reading.value, reading.complete_to) == (1, now)
    roll_up_hours(now=now)
    for slice_ in (Slice(owner.pk, user_id="user-1"), Slice(owner.pk, feature="inbox", prompt_type="triage")):
        reading = queries.value("requests", yesterday, slice_, now=now)
        assert (reading.value, reading.complete_to) == (1, now)


def test_the_watermark_is_never_later_than_now() -> None:
    owner = factories.project()
    factories.stored(owner, at=NOW, now=NOW)
    assert queries.complete_to(owner.pk, now=NOW - MINUTE) == NOW - MINUTE


@pytest.mark.parametrize("now", [LATER, (NOW + DAY).replace(hour=0, minute=20)])
def test_all_grains_at_once_say_what_each_says_alone(now: datetime) -> None:
    owner = factories.project()

    def alone() -> dict[Grain, datetime]:
        return {grain: queries.complete_to(owner.pk, now=now, grain=grain) for grain in GRAINS}

    assert by_grain(owner.pk, now=now) == alone() == dict.fromkeys(GRAINS, now)
    factories.stored(owner, at=NOW - 2 * DAY, now=NOW)
    assert by_grain(owner.pk, now=now)[Grain.MINUTE] == NOW
    assert by_grain(owner.pk, now=now) == alone()
    roll_up_minutes(now=NOW + MINUTE / 2)
    behind = dict.fromkeys((Grain.HOUR, Grain.DAY, Grain.SCORE_DAY), NOW)
    assert by_grain(owner.pk, now=now) == alone() == {Grain.MINUTE: now, **behind}
    factories.stored(owner, at=NOW, now=NOW + MINUTE / 3)
    assert by_grain(owner.pk, now=now) == alone()
    roll_up_minutes(now=NOW + MINUTE / 2)
    assert by_grain(owner.pk, now=now) == alone()
