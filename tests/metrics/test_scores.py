"""Scores by hand: late ones, those before their call, those told again, and what is dropped with their calls."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from pytest_django import Settings

from ingest import retention as of_calls
from ingest.models import Score
from ingest.partitions import name_of
from ingest.vocabulary import Grain
from metrics import queries, retention
from metrics.rollup import rebuild, roll_up_hours, roll_up_minutes
from metrics.scores import scores
from metrics.slices import Slice
from metrics.steps import alone
from metrics.windows import Window
from projects.models import Project
from tests import factories
from tests.factories import NOW
from tests.metrics import rollups
from tests.metrics.world import DAY, HOUR, MIDNIGHT, settle

pytestmark = [pytest.mark.django_db, pytest.mark.storage]

MINUTE = timedelta(minutes=1)
OLD = MIDNIGHT - 20 * DAY + 7 * HOUR
EVER = Window(MIDNIGHT - 90 * DAY, NOW)


def told(call: dict[str, Any], said: float | str, name: str = "grade", minutes: float = 0) -> dict[str, Any]:
    """A score on the wire, told so many minutes before now."""
    what = "label" if isinstance(said, str) else "value"
    return {"call_id": call["id"], "name": name, "at": (NOW - minutes * MINUTE).isoformat(), what: said}


def mean(owner: Project, window: Window = EVER, name: str = "grade") -> tuple[Any, int]:
    found = queries.value("score_mean", window, Slice(owner.pk, score=name), now=NOW)
    return found.value, found.sample


def counted(table: str) -> list[tuple[Any, ...]]:
    """Bucket, name, word, scores, numbers and their sum, of all environments together."""
    where = "WHERE facet = 0 AND environment_id = 0" if table == "score_hour" else ""
    return rollups.rows(
        f"SELECT bucket, name, label, scores, score_numbers, score_total FROM {table} {where} ORDER BY 1, 2, 3"
    )


def test_numbers_and_words_of_an_hour_are_counted_apart() -> None:
    owner = factories.project()
    calls = [factories.event(OLD + n * MINUTE) for n in range(3)]
    factories.stored(owner, *calls, now=NOW)
    factories.scored(owner, told(calls[0], 0.1), told(calls[1], 0.2), told(calls[2], "good"))
    settle()
    # Exact, where the sum of the floats would be 0.30000000000000004.
    expected = [(OLD, "grade", "", 2, 2, Decimal("0.3")), (OLD, "grade", "good", 1, 0, Decimal(0))]
    assert counted("score_hour") == counted("score_cube_hour") == expected
    midnight = OLD.replace(hour=0)
    assert counted("score_cube_day") == [(midnight, *row[1:]) for row in expected]
    assert mean(owner) == (Decimal("0.15"), 2)
    assert queries.value("scores", EVER, Slice(owner.pk, score="grade"), now=NOW).value == 3


def test_a_score_weeks_after_its_call_marks_its_hour_for_scores_alone() -> None:
    owner = factories.project()
    call = factories.event(OLD + 59 * MINUTE)
    factories.stored(owner, call, now=NOW)
    settle()
    factories.scored(owner, told(call, 4))
    assert rollups.marks() == [(Grain.SCORE_HOUR, OLD, owner.pk)]
    assert queries.value("scores", EVER, Slice(owner.pk), now=NOW).value == 0
    settle()
    assert rollups.marks() == []
    assert mean(owner) == (4, 1)


def test_a_score_before_its_call_is_counted_when_the_call_comes() -> None:
    owner = factories.project()
    call = factories.event(OLD)
    factories.scored(owner, told(call, 4))
    settle()
    assert (rollups.marks(), counted("score_hour")) == ([], [])
    factories.stored(owner, call, now=NOW)
    roll_up_minutes(now=NOW)
    roll_up_hours(now=NOW)
    assert counted("score_hour") == [(OLD, "grade", "", 1, 1, 4)]
    assert mean(owner) == (4, 1)


def test_the_newest_of_a_name_counts_whatever_it_is() -> None:
    owner = factories.project()
    calls = [factories.event(OLD + n * MINUTE) for n in range(2)]
    factories.stored(owner, *calls, now=NOW)
    factories.scored(owner, told(calls[0], 2, minutes=9), told(calls[1], 5, minutes=9))
    settle()
    assert mean(owner) == (Decimal("3.5"), 2)
    factories.scored(owner, told(calls[0], 1, minutes=8))
    factories.scored(owner, told(calls[1], "fine", minutes=8))
    settle()
    assert mean(owner) == (1, 1)
    assert counted("score_cube_hour") == [(OLD, "grade", "", 1, 1, 1), (OLD, "grade", "fine", 1, 0, 0)]
    # Told before what is kept: it changes nothing, and so marks nothing.
    factories.scored(owner, told(calls[0], 9, minutes=30))
    assert rollups.marks() == []


def test_projects_do_not_see_each_other() -> None:
    one, other = factories.project(), factories.project()
    for owner, value in ((one, 1), (other, 3)):
        call = factories.event(OLD)
        factories.stored(owner, call, now=NOW)
        factories.scored(owner, told(call, value))
    settle()
    assert (mean(one), mean(other)) == ((1, 1), (3, 1))


def test_the_ends_of_a_window_are_read_from_the_scores_themselves() -> None:
    owner = factories.project()
    # Half past each hour from six to ten of a day long ago, and ten minutes ago.
    calls = [factories.event(OLD + (n - 1) * HOUR + 30 * MINUTE) for n in range(5)] + [
        factories.event(NOW - 10 * MINUTE)
    ]
    factories.stored(owner, *calls, now=NOW)
    factories.scored(owner, *(told(call, 10**n) for n, call in enumerate(calls)))
    settle()
    window = Window(OLD - 30 * MINUTE, OLD + 3 * HOUR + 30 * MINUTE)
    # Half open: the call at the start is in it, the one at the end is not.
    assert mean(owner, window) == (Decimal(1111) / 4, 4)
    assert mean(owner, Window(window.start, NOW)) == (Decimal(111_111) / 6, 6)
    assert mean(owner, Window(window.start + timedelta(milliseconds=1), window.end)) == (370, 3)
    assert mean(owner, Window.last(11, NOW)) == (100_000, 1)


def test_a_score_that_is_not_counted_yet_holds_back_what_is_complete() -> None:
    owner = factories.project()
    call = factories.event(OLD)
    factories.stored(owner, call, now=NOW - HOUR)
    settle(now=NOW - HOUR)
    factories.scored(owner, told(call, 4), now=NOW - 3 * MINUTE)
    asked = Slice(owner.pk, score="grade")
    found = queries.value("score_mean", EVER, asked, now=NOW)
    assert (found.value, found.complete_to) == (None, NOW - 3 * MINUTE)
    # Calls do not wait for it.
    assert queries.value("requests", EVER, Slice(owner.pk), now=NOW).complete_to == NOW
    settle()
    assert queries.value("score_mean", EVER, asked, now=NOW).complete_to == NOW


def test_the_lowest_of_a_range_are_found_with_their_calls() -> None:
    owner = factories.project()
    calls = [factories.event(OLD + n * 9 * HOUR) for n in range(6)] + [factories.event(NOW - MINUTE)]
    factories.stored(owner, *calls, now=NOW)
    factories.scored(owner, *(told(call, value) for call, value in zip(calls, (3, 1, 5, 1, 4, 9, 2), strict=True)))
    settle()
    found = alone(scores(EVER, None, Slice(owner.pk), now=NOW)).names["grade"]
    # Of equal ones the newest first.
    assert [(value, str(call)) for value, call in found.lowest] == [
        (1, calls[3]["id"]),
        (1, calls[1]["id"]),
        (2, calls[6]["id"]),
    ]
    assert (found.count, found.mean) == (7, Decimal(25) / 7)


def test_with_a_filter_that_no_rollup_knows_the_newest_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    owner = factories.project()
    tries = [{"n": 1, "duration_ms": 10, "status": 200, "key_alias": "main"}]
    calls = [factories.event(OLD + n * MINUTE, user_id="anna" if n < 3 else "ben", attempts=tries) for n in range(4)]
    factories.stored(owner, *calls, now=NOW)
    factories.scored(owner, *(told(call, n) for n, call in enumerate(calls)))
    settle()
    anna = Slice(owner.pk, user_id="anna")
    found = alone(scores(EVER, None, anna, now=NOW))
    assert (found.is_cut, str(found.names["grade"].mean)) == (False, "1")
    monkeypatch.setattr("metrics.scores.MOST", 3)
    found = alone(scores(EVER, None, anna, now=NOW))
    # The three newest of the four are those of calls 1 to 3, and the last of them is not Anna's.
    assert (found.is_cut, found.names["grade"].mean) == (True, Decimal("1.5"))
    assert not alone(scores(EVER, None, Slice(owner.pk), now=NOW)).is_cut
    # By API key the names are known, their versions are not.
    by_key = alone(scores(EVER, None, Slice(owner.pk, key="main"), now=NOW))
    assert (by_key.is_cut, by_key.are_versions_cut, str(by_key.names["grade"].mean)) == (False, True, "1.5")
    assert [told.count for told in by_key.versions.values()] == [3]


def test_rebuilding_repairs_rows_somebody_spoiled() -> None:
    owner = factories.project()
    call = factories.event(OLD)
    factories.stored(owner, call, now=NOW)
    factories.scored(owner, told(call, 4))
    settle()
    tables = ("score_hour", "score_cube_hour", "score_cube_day")
    before = [counted(table) for table in tables]
    for table in tables:
        rollups.rows(f"UPDATE {table} SET scores = 7, score_total = 0 RETURNING 1")
    rebuild(owner.pk, Window(OLD, OLD + HOUR), now=NOW)
    settle()
    assert [counted(table) for table in tables] == before
    # Taken out by hand, it is gone from the rollups as well.
    Score.objects.filter(project=owner).delete()
    rebuild(owner.pk, Window(OLD, OLD + HOUR), now=NOW)
    settle()
    assert [counted(table) for table in tables] == [[], [], []]


def test_sums_stay_when_the_calls_are_gone_and_hours_go_after_theirs(settings: Settings) -> None:
    owner = factories.project()
    call = factories.event(OLD)
    factories.stored(owner, call, now=NOW)
    factories.scored(owner, told(call, 4))
    settings.RETENTION_DAYS = {**settings.RETENTION_DAYS, "request_log": 10, "score_hour": 10}
    day = name_of("request_log", OLD.date())
    # Its scores are not counted yet, so neither the day goes nor they.
    roll_up_minutes(now=NOW)
    assert day not in of_calls.drop_expired(now=NOW)
    assert Score.objects.filter(project=owner).count() == 1
    settle()
    assert day in of_calls.drop_expired(now=NOW)
    assert Score.objects.filter(project=owner).count() == 0
    # One score has a row in each of eight facets, for its environment and for all of them.
    assert retention.drop_expired(now=NOW) == 16
    assert counted("score_hour") == []
    assert mean(owner) == (4, 1)
    # Its call cannot be looked at any more.
    assert alone(scores(EVER, None, Slice(owner.pk), now=NOW)).names["grade"].lowest == []


def test_an_upgrade_counts_the_scores_that_are_there() -> None:
    from importlib import import_module

    owner = factories.project()
    calls = [factories.event(OLD), factories.event(OLD + 2 * HOUR)]
    factories.stored(owner, *calls, now=NOW)
    factories.scored(owner, *(told(call, 4) for call in calls), told(calls[0], "good", "tone"))
    settle()
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM score_hour; DELETE FROM score_cube_hour; DELETE FROM score_cube_day")
        cursor.execute(import_module("metrics.migrations.0007_scores").MARK)
    assert sorted(rollups.marks()) == [(Grain.SCORE_HOUR, at, owner.pk) for at in (OLD, OLD + 2 * HOUR)]
    settle()
    assert mean(owner) == (4, 2)
