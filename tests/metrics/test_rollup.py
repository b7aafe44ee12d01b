"""The rollups equal the calls, whatever happens on the way."""

from datetime import datetime, timedelta

import pytest

from config.jobs import JOBS
from ingest.histogram import bucket_of, middle_of, quantile
from ingest.vocabulary import Grain
from metrics import marks, queries, rollup
from metrics.marks import Dirty
from metrics.rollup import rebuild, roll_up_hours, roll_up_minutes
from metrics.slices import NONE, Slice
from metrics.windows import Window
from tests import factories
from tests.factories import NOW
from tests.metrics import rollups, world
from tests.metrics.world import DAY, HOUR, MIDNIGHT, settle

pytestmark = [pytest.mark.storage]
MINUTE = timedelta(minutes=1)


@pytest.mark.django_db
def test_every_rollup_equals_the_calls_after_late_calls_and_repetitions() -> None:
    owners = world.projects()
    world.live_through(world.calls(owners, seed=3))
    # The open day will be in its month when it is over.
    assert sorted(rollups.marks()) == [(Grain.MONTH, MIDNIGHT, owner.pk) for owner in owners]
    rollups.assert_totals_equal_the_calls(minutes_from=(MIDNIGHT - 3 * DAY).isoformat())


@pytest.mark.django_db
def test_a_call_is_counted_in_its_minute_its_hour_and_its_day() -> None:
    owner = factories.project()
    at = MIDNIGHT - DAY + timedelta(hours=3, minutes=7, seconds=59, milliseconds=999)
    factories.stored(owner, at=at, now=NOW)
    settle()
    for table, bucket in (
        ("facet_minute", datetime(2026, 11, 21, 3, 7, tzinfo=NOW.tzinfo)),
        ("facet_hour", datetime(2026, 11, 21, 3, tzinfo=NOW.tzinfo)),
        ("facet_day", datetime(2026, 11, 21, tzinfo=NOW.tzinfo)),
        ("cube_hour", datetime(2026, 11, 21, 3, tzinfo=NOW.tzinfo)),
        ("cube_day", datetime(2026, 11, 21, tzinfo=NOW.tzinfo)),
    ):
        where = "facet = 0 AND environment_id = 0" if table.startswith("facet") else "TRUE"
        # 100 tokens in and 20 out at 3 and 15 dollars per million.
        assert rollups.of_rollup(table, where) == [(owner.pk, bucket, 1, 0, 0, 0, 100, 20, 600_000, 0)]
    [user] = rollups.rows("SELECT bucket::text, user_id, requests, cost_nanousd FROM user_day")
    assert user == ("2026-11-21", "user-1", 1, 600_000)


@pytest.mark.django_db
def test_a_late_call_lands_in_its_own_minute() -> None:
    owner = factories.project()
    factories.stored(owner, at=NOW)
    settle()
    factories.stored(owner, at=NOW - 2 * HOUR, now=NOW + MINUTE)
    settle(now=NOW + MINUTE)
    assert rollups.requests_by_minute(owner) == {"08:00": 1, "10:00": 1}


@pytest.mark.django_db
def test_the_open_minute_is_counted_again_with_each_call() -> None:
    owner = factories.project()
    for second in (1, 2, 3):
        factories.stored(owner, at=NOW + timedelta(seconds=second))
        assert roll_up_minutes(now=NOW + timedelta(seconds=second)) == 1
        assert rollups.requests_by_minute(owner) == {"10:00": second}


@pytest.mark.django_db
def test_a_batch_sent_again_changes_nothing_and_leaves_no_mark() -> None:
    owner, batch = factories.project(), [factories.event(), factories.event()]
    factories.stored(owner, *batch)
    settle()
    before = rollups.marks()
    assert before == [(Grain.MONTH, MIDNIGHT, owner.pk)]
    assert factories.stored(owner, *batch).duplicates == 2
    assert rollups.marks() == before
    assert rollups.requests_by_minute(owner) == {"10:00": 2}


@pytest.mark.django_db
def test_minutes_past_their_retention_are_counted_in_the_hour_only() -> None:
    owner = factories.project()
    factories.stored(owner, at=MIDNIGHT - 3 * DAY, now=NOW)
    factories.stored(owner, at=MIDNIGHT - 3 * DAY - timedelta(milliseconds=1), now=NOW)
    settle()
    assert rollups.requests_by_minute(owner) == {"00:00": 1}
    assert [row[2] for row in rollups.of_rollup("facet_hour", "facet = 0 AND environment_id = 0")] == [1, 1]


@pytest.mark.django_db
def test_all_environments_together_are_environment_zero() -> None:
    owner = factories.project()
    factories.stored(owner, environment="production")
    factories.stored(owner, environment="staging")
    factories.stored(owner, environment="staging")
    settle()
    found = rollups.rows("SELECT environment_id = 0, requests FROM facet_hour WHERE facet = 0 ORDER BY requests")
    assert found == [(False, 1), (False, 2), (True, 3)]


@pytest.mark.django_db
def test_a_call_without_an_environment_is_counted_once() -> None:
    owner = factories.project()
    factories.stored(owner, environment="")
    settle()
    assert rollups.rows("SELECT environment_id, requests FROM facet_hour WHERE facet = 0") == [(0, 1)]
    factories.stored(owner, environment="staging")
    settle()
    for environment, requests in (("", 2), (NONE, 1), ("staging", 1)):
        asked = Slice(owner.pk, environment=environment)
        assert queries.value("requests", Window.last(5, NOW + MINUTE), asked, now=NOW + MINUTE).value == requests


@pytest.mark.django_db
def test_a_window_that_ends_within_a_millisecond_holds_the_call_of_that_millisecond() -> None:
    owner = factories.project()
    factories.stored(owner, at=NOW - timedelta(milliseconds=1))
    for microseconds, requests in ((1, 1), (999, 1), (1000, 0)):
        window = Window.last(5, NOW - timedelta(microseconds=microseconds))
        assert queries.value("requests", window, Slice(owner.pk), now=NOW).value == requests


@pytest.mark.django_db
def test_stored_percentiles_are_those_of_the_stored_histogram_and_of_the_calls() -> None:
    owner = factories.project()
    latencies = [3, 7, 7, 40, 41, 980, 1020, 5000, 65_000, 250_000]
    for ms in latencies:
        factories.stored(owner, duration_ms=ms, ttft_ms=ms // 2)
    factories.stored(owner, factories.failed(duration_ms=999_999))
    settle()
    for table in ("facet_minute", "facet_hour", "facet_day"):
        [row] = rollups.rows(
            "SELECT latency_p50, latency_p95, latency_p99, ttft_p50, ttft_p95, latency_buckets, latency_counts,"
            f" latency_ms FROM {table} WHERE facet = 0 AND environment_id = 0"
        )
        # Of ten values the 50th percentile is the 5th, the 95th and the 99th are the 10th.
        expected = [middle_of(bucket_of(ms)) for ms in (41, 250_000, 250_000, 20, 125_000)]
        assert list(row[:5]) == expected
        assert sum(row[6]) == 10
        assert [quantile(row[5], row[6], percent / 100) for percent in (50, 95, 99)] == expected[:3]
        assert row[7] == sum(latencies)


@pytest.mark.django_db
def test_where_nothing_was_answered_there_are_no_percentiles() -> None:
    factories.stored(factories.project(), factories.failed())
    settle()
    [row] = rollups.rows(
        "SELECT requests, latency_p50, ttft_p95, latency_buckets, ttft_counts FROM facet_hour"
        " WHERE facet = 0 AND environment_id = 0"
    )
    assert row == (1, None, None, [], [])


@pytest.mark.django_db
def test_the_open_day_waits_five_minutes_and_a_day_that_is_over_does_not() -> None:
    owner = factories.project()
    factories.stored(owner, at=NOW)
    factories.stored(owner, at=NOW - DAY, now=NOW)
    roll_up_minutes(now=NOW)
    roll_up_hours(now=NOW + MINUTE)
    assert [row[1] for row in rollups.of_rollup("cube_day")] == [MIDNIGHT - DAY]
    assert sorted(rollups.marks()) == [(Grain.DAY, MIDNIGHT, owner.pk), (Grain.MONTH, MIDNIGHT - DAY, owner.pk)]
    roll_up_hours(now=NOW + 6 * MINUTE)
    assert [row[1] for row in rollups.of_rollup("cube_day")] == [MIDNIGHT - DAY, MIDNIGHT]
    assert rollups.marks() == [(Grain.MONTH, MIDNIGHT, owner.pk)]


@pytest.mark.django_db
def test_a_month_is_the_sum_of_its_days_that_are_over() -> None:
    owner = factories.project()
    for at in (MIDNIGHT - 24 * DAY, MIDNIGHT - 23 * DAY, MIDNIGHT - 2 * DAY, MIDNIGHT - DAY, NOW):
        factories.stored(owner, at=at, now=NOW)
    settle()
    found = rollups.rows("SELECT bucket::text, user_id, requests, cost_nanousd FROM user_month ORDER BY 1")
    assert found == [("2026-10-01", "user-1", 2, 1_200_000), ("2026-11-01", "user-1", 2, 1_200_000)]


@pytest.mark.django_db
def test_marks_keep_their_age_on_the_way_from_minute_to_day() -> None:
    owner = factories.project()
    factories.stored(owner, at=NOW - HOUR, now=NOW - 50 * MINUTE)
    factories.stored(owner, at=NOW - HOUR + MINUTE, now=NOW - 40 * MINUTE)
    roll_up_minutes(now=NOW)
    assert rollups.rows("SELECT grain, bucket, marked_at FROM rollup_dirty") == [
        (Grain.HOUR, NOW - HOUR, NOW - 50 * MINUTE)
    ]


@pytest.mark.django_db
def test_exactly_the_marks_that_were_read_are_deleted() -> None:
    owner = factories.project()
    factories.stored(owner)
    factories.stored(owner, at=NOW + MINUTE)
    first, second = (mark for (mark,) in rollups.rows("SELECT id FROM rollup_dirty ORDER BY id"))
    marks.delete(Grain.MINUTE, [Dirty(owner.pk, NOW, NOW, (first,))])
    assert rollups.rows("SELECT id FROM rollup_dirty") == [(second,)]


@pytest.mark.django_db
def test_a_key_of_several_environments_is_merged_and_one_of_a_single_environment_is_that_ones() -> None:
    owner, at = factories.project(), MIDNIGHT - DAY
    for environment, feature, duration_ms in (
        *[("production", "inbox", 100)] * 3,
        ("staging", "inbox", 5000),
        ("staging", "search", 5000),
    ):
        factories.stored(owner, at=at, environment=environment, feature=feature, duration_ms=duration_ms)
    settle()
    for table in ("facet_minute", "facet_hour", "facet_day"):
        # 100 ms lie in bucket 47, in whose middle is 105; 5,000 in 86 with 5,197.
        assert rollups.rows(
            "SELECT dim.name, coalesce(environment.name, '(all)'), requests, latency_p50, latency_p95, latency_buckets,"
            "       latency_counts"
            f" FROM {table} JOIN dim ON dim.id = key LEFT JOIN dim AS environment ON environment.id = environment_id"
            " WHERE facet = 1 ORDER BY 1, 2"
        ) == [
            ("inbox", "(all)", 4, 105, 5197, [47, 86], [3, 1]),
            ("inbox", "production", 3, 105, 105, [47], [3]),
            ("inbox", "staging", 1, 5197, 5197, [86], [1]),
            ("search", "(all)", 1, 5197, 5197, [86], [1]),
            ("search", "staging", 1, 5197, 5197, [86], [1]),
        ]


@pytest.mark.django_db
def test_more_buckets_than_fit_into_one_transaction_are_all_done() -> None:
    owner = factories.project()
    for hour in range(30):
        factories.stored(owner, at=NOW - hour * HOUR, now=NOW)
    roll_up_minutes(now=NOW)
    roll_up_hours(now=NOW)
    assert sum(row[2] for row in rollups.of_rollup("cube_hour")) == 30


@pytest.mark.django_db
def test_work_that_does_not_fit_into_the_time_is_left_for_the_next_run(monkeypatch: pytest.MonkeyPatch) -> None:
    owner = factories.project()
    factories.stored(owner)
    monkeypatch.setattr(rollup, "MINUTES_BUDGET", 0)
    assert roll_up_minutes(now=NOW) == 0
    assert rollups.marks() == [(Grain.MINUTE, NOW, owner.pk)]


def test_a_run_stops_at_four_fifths_of_its_lease() -> None:
    leases = {job.verb: job.lease for job in JOBS}
    assert leases["metrics.rollup.roll_up_minutes"] * 4 == rollup.MINUTES_BUDGET * 5
    assert leases["metrics.rollup.roll_up_hours"] * 4 == rollup.HOURS_BUDGET * 5


@pytest.mark.django_db
def test_rebuilding_repairs_rows_somebody_spoiled() -> None:
    world.live_through(world.calls(world.projects(), seed=5)[:300])
    for table in ("facet_minute", "facet_hour", "facet_day", "cube_hour", "cube_day", "user_day", "user_month"):
        rollups.rows(f"UPDATE {table} SET requests = requests + 1, cost_nanousd = 0 RETURNING 1")
        rollups.rows(f"DELETE FROM {table} WHERE project_id = (SELECT max(id) FROM projects_project) RETURNING 1")
    assert rebuild(None, Window(MIDNIGHT - 50 * DAY, NOW), now=NOW) > 0
    settle()
    rollups.assert_totals_equal_the_calls(minutes_from=(MIDNIGHT - 3 * DAY).isoformat())


@pytest.mark.django_db
def test_rebuilding_one_project_marks_whole_hours_and_the_minutes_that_are_kept() -> None:
    owner = factories.project()
    factories.project()
    window = Window(MIDNIGHT - 3 * DAY - 90 * MINUTE, MIDNIGHT - 3 * DAY + 2 * MINUTE)
    assert rebuild(owner.pk, window, now=NOW) == 2 + 60
    assert {(grain, project) for grain, _, project in rollups.marks()} == {(0, owner.pk), (1, owner.pk)}


@pytest.mark.django_db
def test_rebuilding_leaves_days_alone_whose_calls_are_gone() -> None:
    assert rebuild(factories.project().pk, Window(NOW - 200 * DAY, NOW - 91 * DAY), now=NOW) == 0
