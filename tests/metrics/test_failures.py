"""Failures by group, worked out by hand: exact over every boundary of the rollups, bounded where they must be."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from ingest.models import FailureGroup
from ingest.ungrouped import group_ungrouped
from metrics import failures as measured
from metrics.failures import Failures, Group, failures
from metrics.slices import NONE, Slice
from metrics.steps import alone
from metrics.windows import Window
from projects.models import Project
from tests import factories
from tests.factories import NOW
from tests.metrics import oracle, rollups
from tests.metrics.conftest import World
from tests.metrics.world import DAY, HOUR, MIDNIGHT, settle

pytestmark = pytest.mark.django_db

MINUTE = timedelta(minutes=1)
WEEK = Window(NOW - 7 * DAY, NOW)


def failed(at: datetime, message: str = "Overloaded", **fields: Any) -> dict[str, Any]:
    return factories.failed(at=at, error={"category": "overloaded", "message": message}, **fields)


def ask(
    owner: Project, window: Window, bucket: timedelta = HOUR, *, filters: Mapping[str, str] | None = None
) -> Failures:
    return alone(failures(window, Slice(owner.pk, **(filters or {})), bucket=bucket, now=NOW))


def told(found: Failures) -> list[tuple[str, int, str]]:
    return [(group.template, group.count, group.state) for group in found.groups]


@pytest.fixture
def owner() -> Project:
    return factories.project()


def test_every_boundary_of_the_rollups_is_counted_once(owner: Project) -> None:
    """The first and the last milliseconds of days, hours and minutes, and one call beyond each end of the range."""
    ms = timedelta(milliseconds=1)
    edges = [MIDNIGHT - 3 * DAY, MIDNIGHT, NOW - 5 * HOUR, NOW - 2 * HOUR, NOW - HOUR, NOW - 7 * MINUTE]
    events = [failed(edge + shift) for edge in edges for shift in (-ms, timedelta())]
    window = Window(MIDNIGHT - 3 * DAY, NOW - 7 * MINUTE)
    factories.stored(owner, *events, now=NOW)
    settle()
    # All but the one before the start and the one that begins as the range ends.
    (group,) = ask(owner, window, MINUTE).groups
    assert (group.count, group.state) == (10, "ongoing")
    assert group.first == MIDNIGHT - 3 * DAY - ms
    assert group.last == NOW - 7 * MINUTE - ms
    assert group.newest == UUID(events[-2]["id"])
    starts = window.buckets(MINUTE)
    at = {start: count for start, count in zip(starts, group.counts, strict=True) if count}
    inside = [edge + shift for edge in edges for shift in (-MINUTE, timedelta())][1:-1]
    assert at == dict.fromkeys(inside, 1)
    # The same from hours and days.
    (by_hour,) = ask(owner, window, HOUR).groups
    assert sum(by_hour.counts) == by_hour.count == 10
    (by_day,) = ask(owner, Window(MIDNIGHT - 4 * DAY, MIDNIGHT + DAY), DAY).groups
    assert by_day.counts == (1, 1, 0, 1, 9)


def test_late_and_repeated_calls_are_counted_once(owner: Project) -> None:
    first, late = failed(NOW - 3 * HOUR), failed(NOW - 3 * HOUR - MINUTE)
    factories.stored(owner, first, first, now=NOW)
    settle()
    factories.stored(owner, late, first, now=NOW)
    settle()
    (group,) = ask(owner, WEEK).groups
    assert (group.count, group.first, group.newest) == (2, NOW - 3 * HOUR - MINUTE, UUID(first["id"]))


def test_projects_are_told_apart(owner: Project) -> None:
    other = factories.project()
    factories.stored(owner, failed(NOW - HOUR, "mine"), now=NOW)
    factories.stored(other, failed(NOW - HOUR, "theirs"), failed(NOW - 9 * DAY, "mine"), now=NOW)
    settle()
    assert told(ask(owner, WEEK)) == [("mine", 1, "new")]
    assert told(ask(other, WEEK)) == [("theirs", 1, "new")]


def test_new_ongoing_and_quiet_are_told_from_the_week_before(owner: Project) -> None:
    day = Window(NOW - DAY, NOW)
    events = [
        failed(NOW - 9 * DAY, "older than a week"),
        failed(NOW - DAY - 7 * DAY, "old"),
        failed(NOW - DAY - MINUTE, "quiet"),
        # The last quarter begins six hours ago.
        failed(NOW - 6 * HOUR - MINUTE, "quiet"),
        failed(NOW - 6 * HOUR, "old"),
        *(failed(NOW - 7 * HOUR, "older than a week") for _ in range(3)),
    ]
    factories.stored(owner, *events, now=NOW)
    settle()
    found = ask(owner, day)
    assert told(found) == [("older than a week", 3, "new"), ("old", 1, "ongoing"), ("quiet", 1, "quiet")]
    assert [group.first for group in found.groups] == [NOW - 7 * HOUR, NOW - 8 * DAY, NOW - DAY - MINUTE]
    assert found.latest_before is None


def test_without_a_failure_the_last_one_of_the_week_before_is_told(owner: Project) -> None:
    event = failed(NOW - 2 * DAY)
    factories.stored(owner, failed(NOW - 3 * DAY), event, now=NOW)
    settle()
    day, latest = Window(NOW - DAY, NOW), (UUID(event["id"]), "overloaded")
    assert ask(owner, day) == Failures((), False, latest)
    assert ask(owner, day, filters={"prompt_type": "triage"}).latest_before == latest
    assert ask(owner, day, filters={"error": "timeout"}) == Failures((), False, None)
    assert ask(owner, day, filters={"feature": "never used"}) == Failures((), False, None)


def test_filters_count_the_same_whether_the_rollups_know_them_or_not(owner: Project) -> None:
    def made(environment: str, **fields: Any) -> None:
        factories.stored(owner, failed(NOW - 3 * HOUR, **fields), environment=environment, now=NOW)

    made("production", user_id="ada")
    made("production", user_id="bea")
    made("staging", user_id="cid", feature="search")
    made("production", prompt_type="reply", prompt_version=None)
    factories.stored(owner, factories.failed("timeout", None, NOW - 3 * HOUR), now=NOW)
    settle()

    def counted(**filters: str) -> list[tuple[str, str, int, int | None]]:
        return [
            (group.error, group.prompt_type, group.count, group.users)
            for group in sorted(ask(owner, WEEK, filters=filters).groups, key=lambda one: (-one.count, one.error))
        ]

    triage, reply = ("overloaded", "triage", 3, 3), ("overloaded", "reply", 1, 1)
    timeout = ("timeout", "triage", 1, 1)
    assert counted() == [triage, reply, timeout]
    assert counted(environment="production") == [("overloaded", "triage", 2, 2), reply, timeout]
    assert counted(environment="staging") == [("overloaded", "triage", 1, 1)]
    assert counted(error="timeout") == [timeout]
    assert counted(prompt_type="reply") == counted(prompt_version=NONE) == [reply]
    assert counted(environment="staging", error="timeout") == []
    # From here on call by call.
    assert counted(feature="search") == [("overloaded", "triage", 1, 1)]
    assert counted(feature="inbox") == [("overloaded", "triage", 2, 2), reply, timeout]
    assert counted(feature="inbox", error="overloaded", environment="production") == [
        ("overloaded", "triage", 2, 2),
        reply,
    ]
    assert counted(user_id="bea") == [("overloaded", "triage", 1, 1)]
    assert counted(release="1.4.2") == counted()
    assert ask(owner, WEEK, filters={"release": "1.4.2"}).groups[0].counts == ask(owner, WEEK).groups[0].counts


def test_users_are_those_of_the_newest_calls_of_the_largest_groups(
    owner: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measured, "MOST_USED", 3)
    monkeypatch.setattr(measured, "TOLD", 2)
    factories.stored(
        owner,
        *(failed(NOW - (n + 1) * MINUTE, "many", user_id=f"user-{n // 2}") for n in range(5)),
        *(failed(NOW - HOUR, "few", user_id=user) for user in ("ada", None)),
        failed(NOW - HOUR, "one"),
        now=NOW,
    )
    settle()
    many, few, one = ask(owner, WEEK).groups
    # The newest three of five calls are of two users.
    assert (many.count, many.users, many.has_more_users) == (5, 2, True)
    assert (few.count, few.users, few.has_more_users) == (2, 1, False)
    assert (one.count, one.users, one.has_more_users, one.counts) == (1, None, True, ())
    assert sum(many.counts) == 5


def test_the_largest_groups_are_listed(owner: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measured, "MOST_GROUPS", 2)
    events = [failed(NOW - HOUR, f"trouble {letter}") for letter in "abbbcc"]
    factories.stored(owner, *events, now=NOW)
    settle()
    assert told(ask(owner, WEEK)) == [("trouble b", 3, "new"), ("trouble c", 2, "new")]


def test_what_filters_need_of_single_calls_is_bounded_and_said(owner: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("metrics.failure_rows", "metrics.failures"):
        monkeypatch.setattr(f"{module}.MOST_CALLS", 3)
    factories.stored(owner, *(failed(NOW - (n + 1) * HOUR, f"{'ab'[n % 2]}") for n in range(4)), now=NOW)
    settle()
    found = ask(owner, WEEK, filters={"feature": "inbox"})
    assert (told(found), found.is_cut) == ([("a", 2, "new"), ("b", 1, "new")], True)
    everything = ask(owner, WEEK)
    assert (sorted(told(everything)), everything.is_cut) == ([("a", 2, "new"), ("b", 2, "new")], False)


def test_old_failures_are_counted_once_they_have_a_group(owner: Project) -> None:
    events = [failed(NOW - days * DAY - MINUTE, "old") for days in (0, 2, 6, 12)]
    factories.stored(owner, *events, now=NOW)
    settle()
    before = ask(owner, WEEK)
    rollups.rows("UPDATE request_log SET failure_group_id = NULL WHERE project_id = %s RETURNING 1", owner.pk)
    for table in ("failure_minute", "failure_hour", "failure_day"):
        rollups.rows(f"DELETE FROM {table} WHERE project_id = %s RETURNING 1", owner.pk)
    assert ask(owner, WEEK).groups == ()
    assert group_ungrouped(now=NOW) == 4
    settle()
    assert ask(owner, WEEK) == before
    assert told(before) == [("old", 3, "ongoing")]


def test_a_range_before_the_minutes_that_are_kept_is_read_from_the_calls(owner: Project) -> None:
    start = NOW - 20 * DAY
    factories.stored(owner, *(failed(start + n * 20 * MINUTE) for n in range(4)), now=NOW)
    settle()
    (group,) = ask(owner, Window(start, start + HOUR), 5 * MINUTE).groups
    assert group.counts == (1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0)


WINDOWS = {
    "a day to now": (Window.last(DAY, NOW), 15 * MINUTE),
    "a month": (Window(MIDNIGHT - 30 * DAY, MIDNIGHT + DAY), 12 * HOUR),
    "everything": (Window(MIDNIGHT - 60 * DAY, MIDNIGHT + DAY), DAY),
    "days without minutes": (Window(NOW - 5 * DAY, NOW - 4 * DAY), 15 * MINUTE),
    "before anything": (Window(MIDNIGHT - 80 * DAY, MIDNIGHT - 70 * DAY), HOUR),
}


@pytest.mark.parametrize(("window", "bucket"), WINDOWS.values(), ids=WINDOWS)
@pytest.mark.parametrize("filters", [{}, {"environment": "staging"}, {"feature": "search"}], ids=str)
def test_every_failure_is_in_its_group(
    lived: World, window: Window, bucket: timedelta, filters: dict[str, str]
) -> None:
    slice_ = Slice(lived.reading.pk, **filters)
    expected: dict[tuple[str, str, str], list[oracle.Call]] = defaultdict(list)
    for call in oracle.pick(lived.calls, window, slice_):
        if call.outcome in {"error", "rejected"}:
            expected[call.error, call.prompt_type, call.prompt_version].append(call)
    found = alone(failures(window, slice_, bucket=bucket, now=NOW)).groups
    assert {(group.error, group.prompt_type, group.prompt_version): _of(group) for group in found} == {
        key: _of_calls(calls) for key, calls in expected.items()
    }
    assert [group.count for group in found] == sorted((group.count for group in found), reverse=True)
    assert all(sum(group.counts) == group.count for group in found[: measured.TOLD])


def _of(group: Group) -> tuple[int, UUID]:
    return group.count, group.newest


def _of_calls(calls: Sequence[oracle.Call]) -> tuple[int, UUID]:
    return len(calls), max(UUID(call.id) for call in calls)


def test_a_group_is_known_by_its_number(owner: Project) -> None:
    factories.stored(owner, failed(NOW - HOUR), now=NOW)
    settle()
    (group,) = ask(owner, WEEK).groups
    assert group.number == FailureGroup.objects.get(project=owner).pk


def test_while_the_newest_calls_wait_to_be_rolled_up_a_group_has_no_more_users_than_calls(owner: Project) -> None:
    factories.stored(owner, failed(NOW - 3 * HOUR, user_id="user-0"), now=NOW)
    settle()
    late = [failed(NOW - 2 * HOUR - n * MINUTE, user_id=f"user-{n}") for n in range(1, 6)]
    factories.stored(owner, *late, now=NOW)
    (group,) = ask(owner, Window(NOW - 4 * HOUR, NOW)).groups
    assert (group.count, group.users) == (1, 1)
    settle()
    (group,) = ask(owner, Window(NOW - 4 * HOUR, NOW)).groups
    assert (group.count, group.users) == (6, 6)
