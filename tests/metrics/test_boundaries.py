"""The clock walks over the end of an hour, a day and a month: what was counted while a bucket was open is enough."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest import retention as ingest_retention
from ingest.partitions import kept_from
from ingest.vocabulary import Grain
from metrics import queries, retention
from metrics.rollup import roll_up_hours, roll_up_minutes
from metrics.slices import Slice
from metrics.windows import Window
from projects.models import Project
from tests import factories
from tests.metrics import rollups

pytestmark = [pytest.mark.django_db, pytest.mark.storage]
SECOND, MINUTE, HOUR, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
# The end of an hour, a day and a month.
MIDNIGHT = datetime(2026, 12, 1, tzinfo=UTC)
NOVEMBER = datetime(2026, 11, 1, tzinfo=UTC)
OCTOBER = datetime(2026, 10, 1, tzinfo=UTC)


def roll_up(now: datetime) -> None:
    """One round of the periodic work."""
    roll_up_minutes(now=now)
    roll_up_hours(now=now)


def months() -> dict[str, int]:
    """Requests by month and user, as they stand in the table."""
    return {
        f"{month} {user}": requests
        for month, user, requests in rollups.rows(
            "SELECT to_char(bucket, 'YYYY-MM'), user_id, sum(requests)::int FROM user_month GROUP BY 1, 2"
        )
    }


def requests_of(owner: Project, user: str, window: Window, now: datetime) -> int:
    found = queries.value("requests", window, Slice(owner.pk, user_id=user), now=now).value
    assert isinstance(found, int)
    return found


def test_a_call_of_the_last_evening_is_in_the_month_when_the_day_is_over() -> None:
    owner, evening = factories.project(), MIDNIGHT - 4 * HOUR
    factories.stored(owner, at=evening)
    for minutes in (1, 20):
        roll_up(evening + minutes * MINUTE)
    assert months() == {}
    roll_up(MIDNIGHT)
    assert months() == {"2026-11 user-1": 1}
    assert rollups.marks() == []


def test_a_month_without_its_last_day_is_not_read() -> None:
    """Between midnight and the next round of work the days know what the month does not."""
    owner, evening, november = factories.project(), MIDNIGHT - 4 * HOUR, Window(NOVEMBER, MIDNIGHT)
    factories.stored(owner, at=NOVEMBER + DAY, now=evening)
    factories.stored(owner, at=evening)
    for minutes in (1, 20):
        roll_up(evening + minutes * MINUTE)
    assert months() == {"2026-11 user-1": 1}
    assert requests_of(owner, "user-1", november, MIDNIGHT) == 2
    roll_up(MIDNIGHT + MINUTE)
    assert months() == {"2026-11 user-1": 2}
    assert requests_of(owner, "user-1", november, MIDNIGHT + MINUTE) == 2


def test_late_calls_of_earlier_days_and_months_are_in_their_months() -> None:
    owner, evening = factories.project(), MIDNIGHT - 4 * HOUR
    for at in (OCTOBER, NOVEMBER - SECOND, NOVEMBER, evening - DAY, evening):
        factories.stored(owner, at=at, now=evening)
    for now in (evening + MINUTE, evening + 20 * MINUTE, MIDNIGHT + MINUTE):
        roll_up(now)
    assert months() == {"2026-10 user-1": 2, "2026-11 user-1": 3}
    for at in (OCTOBER, evening - DAY, evening):
        factories.stored(owner, at=at, now=MIDNIGHT + HOUR)
    roll_up(MIDNIGHT + HOUR + MINUTE)
    assert months() == {"2026-10 user-1": 3, "2026-11 user-1": 5}


def test_however_often_an_open_day_is_counted_it_leaves_one_mark_for_its_month() -> None:
    owner, evening = factories.project(), MIDNIGHT - 4 * HOUR
    for minutes in range(0, 60, 10):
        factories.stored(owner, at=evening + minutes * MINUTE)
        roll_up(evening + minutes * MINUTE + 9 * MINUTE)
    assert [mark for mark in rollups.marks() if mark[0] == Grain.MONTH] == [(Grain.MONTH, MIDNIGHT - DAY, owner.pk)]
    roll_up(MIDNIGHT)
    assert months() == {"2026-11 user-1": 6}


def test_a_month_is_counted_once_however_many_of_its_days_changed() -> None:
    owner = factories.project()
    for day in range(20):
        factories.stored(owner, at=NOVEMBER + day * DAY, now=MIDNIGHT)
    with CaptureQueriesContext(connection) as statements:
        roll_up(MIDNIGHT)
    assert sum("INSERT INTO user_month" in each["sql"] for each in statements.captured_queries) == 1
    assert months() == {"2026-11 user-1": 20}


def test_a_day_whose_calls_expire_before_they_are_counted_is_counted_first() -> None:
    """A late call on the last day its time is kept, and the worker comes to dropping that day before counting it."""
    owner = factories.project()
    first_kept = kept_from("request_log", MIDNIGHT - DAY)
    for at in (first_kept, first_kept + 5 * HOUR):
        factories.stored(owner, at=at, now=MIDNIGHT - HOUR)
        roll_up(MIDNIGHT - HOUR)
    factories.stored(owner, at=first_kept + 5 * HOUR, now=MIDNIGHT - MINUTE)
    for now in (MIDNIGHT, MIDNIGHT + MINUTE):
        ingest_retention.drop_expired(now=now)
        roll_up(now)
    for table in ("facet_hour", "facet_day", "cube_hour", "cube_day", "user_day", "user_month"):
        where = "facet = 0 AND environment_id = 0" if table.startswith("facet") else "TRUE"
        assert rollups.rows(f"SELECT sum(requests) FROM {table} WHERE {where}") == [(3,)], table
    ingest_retention.drop_expired(now=MIDNIGHT + HOUR)
    assert rollups.rows("SELECT count(*) FROM request_log") == [(0,)]


class KilledError(Exception):
    """What a test kills a roller with."""


@dataclass
class Walk:
    """A clock, the calls that were made, and a project they belong to."""

    owner: Project
    now: datetime
    calls: list[tuple[datetime, str, datetime]] = field(default_factory=list)
    """When each started, its user, and when it was received."""

    def wait(self, time: timedelta) -> None:
        self.now += time

    def call(self, ago: timedelta, user: str) -> None:
        at = self.now - ago
        factories.stored(self.owner, at=at, now=self.now, user_id=user)
        self.calls.append((at, user, self.now))

    def minutes(self) -> None:
        roll_up_minutes(now=self.now)

    def hours(self) -> None:
        roll_up_hours(now=self.now)

    def die(self, statement: int) -> None:
        """Hours, days and months are rolled up until the process is killed before its n-th statement."""
        left = iter(range(statement))

        def execute(run: Callable[..., Any], *arguments: Any) -> Any:
            # Only once: what takes the transaction back needs statements of its own.
            if next(left, None) is None and not killed:
                killed.append(True)
                raise KilledError
            return run(*arguments)

        killed: list[bool] = []
        with suppress(KilledError), connection.execute_wrapper(execute):
            roll_up_hours(now=self.now)

    def check(self) -> None:
        """Every answer holds all that was received before it says it is complete, and nothing that was not made."""
        owner, until_now = self.owner.pk, Window(OCTOBER, self.now)
        for slice_, window in (
            # From minutes and hours, from hours and days, and from days and months.
            (Slice(owner), until_now),
            (Slice(owner, feature="inbox", prompt_type="triage"), until_now),
            (Slice(owner, user_id="ada"), until_now),
            (Slice(owner, user_id="ada"), Window(OCTOBER, NOVEMBER)),
            (Slice(owner, user_id="bea"), Window(NOVEMBER, MIDNIGHT)),
        ):
            meant = [
                received
                for at, user, received in self.calls
                if window.contains(at) and slice_.filters.get("user_id", user) == user
            ]
            reading = queries.value("requests", window, slice_, now=self.now)
            assert reading.complete_to is not None
            assert isinstance(reading.value, int)
            sure = sum(1 for received in meant if received < reading.complete_to)
            assert sure <= reading.value <= len(meant), (slice_, window, reading, meant)


_AGO = st.sampled_from(
    [
        timedelta(0),
        -5 * MINUTE,  # a client's clock that is ahead
        SECOND,
        3 * MINUTE,
        HOUR,
        5 * HOUR,
        DAY,
        2 * DAY,
        30 * DAY,
        40 * DAY,
    ]
)
_WAIT = st.sampled_from([20 * SECOND, MINUTE, 6 * MINUTE, 21 * MINUTE, HOUR, 5 * HOUR, DAY])
_STEP = st.one_of(
    st.tuples(st.just("wait"), _WAIT),
    st.tuples(st.just("call"), _AGO, st.sampled_from(["ada", "bea"])),
    st.tuples(st.just("minutes")),
    st.tuples(st.just("hours")),
    st.tuples(st.just("die"), st.integers(0, 40)),
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    start=st.sampled_from([MIDNIGHT - 5 * HOUR, MIDNIGHT - HOUR, MIDNIGHT - 7 * MINUTE, MIDNIGHT - 10 * DAY - MINUTE]),
    steps=st.lists(_STEP, min_size=8, max_size=24),
)
def test_whatever_happens_around_a_boundary_every_answer_is_right(
    start: datetime, steps: Sequence[tuple[Any, ...]]
) -> None:
    with rolled_back():
        walk = Walk(factories.project(), start)
        for name, *arguments in steps:
            getattr(walk, name)(*arguments)
            walk.check()
        for wait in (timedelta(0), 6 * MINUTE, DAY, 6 * MINUTE):
            walk.wait(wait)
            walk.minutes()
            walk.hours()
            walk.check()
        assert rollups.marks() == []
        retention.drop_expired(now=walk.now)
        rollups.assert_totals_equal_the_calls(minutes_from=kept_from("facet_minute", walk.now).isoformat())


@contextmanager
def rolled_back() -> Iterator[None]:
    with transaction.atomic():
        yield
        transaction.set_rollback(True)
