"""The table of jobs is the queue and the clock."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from django.db import DatabaseError, connection

from config import schedule
from config.jobs import JOBS, PeriodicJob
from config.models import Job

NOW = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)
RUNS: list[tuple[str, datetime]] = []
GATE = threading.Event()
INSIDE = threading.Event()


def frozen() -> float:
    return 0.0


def first(*, now: datetime) -> None:
    RUNS.append(("first", now))


def second(*, now: datetime) -> None:
    RUNS.append(("second", now))


def broken(*, now: datetime) -> None:
    raise ValueError("the rate is unknown\nsecond line")


def refused(*, now: datetime) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO config_job (name, due_at, fence, failures, last_error) SELECT 'first', now(), 0, 0, 'secret'"
        )


def waits(*, now: datetime) -> None:
    RUNS.append(("waits", now))
    INSIDE.set()
    assert GATE.wait(10)


def job(name: str, verb: str | None = None, every: int = 5, lease: int = 120) -> PeriodicJob:
    return PeriodicJob(name, f"{__name__}.{verb or name}", every=every, lease=lease)


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    RUNS.clear()
    GATE.clear()
    INSIDE.clear()
    yield
    GATE.set()


def planned(*jobs: PeriodicJob) -> tuple[PeriodicJob, ...]:
    schedule.sync_jobs(NOW, jobs)
    return jobs


@pytest.mark.django_db
def test_every_job_of_the_list_gets_a_row_and_rows_of_removed_jobs_go() -> None:
    Job.objects.create(name="of_another_release", due_at=NOW)
    schedule.sync_jobs(NOW)
    schedule.sync_jobs(NOW + timedelta(hours=1))
    assert set(Job.objects.values_list("name", "due_at")) == {(job.name, NOW) for job in JOBS}


@pytest.mark.django_db
def test_a_due_job_runs_with_the_time_of_its_claim_and_is_due_again_after_its_period() -> None:
    jobs = planned(job("first"))
    assert schedule.run_due(now=NOW, jobs=jobs, clock=frozen) == ["first"]
    assert RUNS == [("first", NOW)]
    row = Job.objects.get(name="first")
    assert (row.due_at, row.lease_until, row.fence) == (NOW + timedelta(seconds=5), None, 1)
    assert (row.started_at, row.finished_at, row.duration_ms, row.failures, row.last_error) == (NOW, NOW, 0, 0, "")


@pytest.mark.django_db
def test_a_job_that_is_not_due_does_not_run() -> None:
    jobs = planned(job("first"))
    schedule.run_due(now=NOW, jobs=jobs, clock=frozen)
    assert schedule.run_due(now=NOW + timedelta(seconds=4), jobs=jobs, clock=frozen) == []
    assert schedule.run_due(now=NOW + timedelta(seconds=5), jobs=jobs, clock=frozen) == ["first"]


@pytest.mark.django_db
def test_missed_periods_are_not_made_up_for_and_the_grid_is_kept() -> None:
    jobs = planned(job("first"))
    schedule.run_due(now=NOW + timedelta(seconds=23), jobs=jobs, clock=frozen)
    assert Job.objects.get(name="first").due_at == NOW + timedelta(seconds=25)
    assert schedule.run_due(now=NOW + timedelta(seconds=24), jobs=jobs, clock=frozen) == []


@pytest.mark.django_db
def test_the_duration_of_a_run_is_measured() -> None:
    jobs = planned(job("first"))
    ticks = iter([0.0, 0.0, 1.25, 1.25])
    schedule.run_due(now=NOW, jobs=jobs, clock=lambda: next(ticks))
    row = Job.objects.get(name="first")
    assert (row.duration_ms, row.finished_at) == (1250, NOW + timedelta(seconds=1.25))


@pytest.mark.django_db
def test_a_failing_job_is_recorded_and_does_not_stop_the_others() -> None:
    jobs = planned(job("broken"), job("second"))
    assert schedule.run_due(now=NOW, jobs=jobs, clock=frozen) == ["broken", "second"]
    assert RUNS == [("second", NOW)]
    row = Job.objects.get(name="broken")
    assert (row.failures, row.last_error, row.lease_until) == (1, "ValueError: the rate is unknown", None)
    assert row.due_at == NOW + timedelta(seconds=5)


@pytest.mark.django_db
def test_a_job_that_keeps_failing_is_tried_less_often_but_every_five_minutes() -> None:
    jobs = planned(job("broken"))
    at, pauses = NOW, []
    for _ in range(9):
        assert schedule.run_due(now=at, jobs=jobs, clock=frozen) == ["broken"]
        due = Job.objects.get(name="broken").due_at
        pauses.append((due - at) // timedelta(seconds=1))
        at = due
    assert pauses == [5, 10, 20, 40, 80, 160, 300, 300, 300]


@pytest.mark.django_db
def test_an_hourly_job_that_fails_is_tried_again_after_its_own_period() -> None:
    jobs = planned(job("broken", every=3600))
    schedule.run_due(now=NOW, jobs=jobs, clock=frozen)
    assert Job.objects.get(name="broken").due_at == NOW + timedelta(hours=1)


@pytest.mark.django_db
def test_a_success_ends_the_row_of_failures() -> None:
    jobs = planned(job("first", verb="broken"))
    schedule.run_due(now=NOW, jobs=jobs, clock=frozen)
    jobs = planned(job("first"))
    schedule.run_due(now=NOW + timedelta(seconds=5), jobs=jobs, clock=frozen)
    assert Job.objects.get(name="first").failures == 0


@pytest.mark.django_db(transaction=True)
def test_the_recorded_error_of_the_database_holds_no_value_of_a_row(caplog: pytest.LogCaptureFixture) -> None:
    jobs = planned(job("refused"), job("first"))
    assert schedule.run_due(now=NOW, jobs=jobs, clock=frozen) == ["refused", "first"]
    assert Job.objects.get(name="refused").last_error == "UniqueViolation 23505 config_job config_job_pkey"
    assert "UniqueViolation 23505 config_job config_job_pkey" in caplog.text
    assert "secret" not in caplog.text
    assert "already exists" not in caplog.text


def test_an_error_without_a_message_is_named_by_its_class() -> None:
    assert schedule.describe(RuntimeError()) == "RuntimeError"
    assert schedule.describe(DatabaseError("row (1, secret)")) == "DatabaseError"
    assert schedule.describe(psycopg.errors.DiskFull("secret")) == "DiskFull 53100"


@pytest.mark.django_db(transaction=True)
def test_two_workers_at_once_run_each_job_once() -> None:
    names = [f"job{number}" for number in range(6)]
    jobs = planned(*(job(name, verb="first") for name in names))
    start, ran = threading.Barrier(2), []

    def work() -> None:
        try:
            start.wait(10)
            ran.extend(schedule.run_due(now=NOW, jobs=jobs, clock=frozen))
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    ran.extend(
        schedule.run_due(now=NOW, jobs=jobs, clock=frozen)
    )  # What one left because the other had it locked that instant.
    assert sorted(ran) == names
    assert len(RUNS) == 6
    assert set(Job.objects.values_list("fence", flat=True)) == {1}


@pytest.mark.django_db(transaction=True)
def test_a_running_job_is_not_started_a_second_time() -> None:
    jobs = planned(job("waits"), job("second"))
    with Elsewhere(jobs[0]):
        assert schedule.run_due(now=NOW + timedelta(seconds=60), jobs=jobs, clock=frozen) == ["second"]
    assert [name for name, _ in RUNS] == ["waits", "second"]


@pytest.mark.django_db(transaction=True)
def test_a_lease_that_ran_out_lets_another_worker_run_the_job_and_the_first_cannot_report(
    caplog: pytest.LogCaptureFixture,
) -> None:
    jobs = planned(job("waits", lease=120))
    later = NOW + timedelta(seconds=120)
    with Elsewhere(jobs[0]):
        assert schedule.run_due(now=later - timedelta(seconds=1), jobs=jobs, clock=frozen) == []
        jobs = planned(job("waits", verb="first", lease=120))
        assert schedule.run_due(now=later, jobs=jobs, clock=frozen) == ["waits"]
        row = Job.objects.get(name="waits")
        assert (row.fence, row.started_at, row.lease_until) == (2, later, None)
    after = Job.objects.get(name="waits")
    assert (after.fence, after.finished_at, after.due_at) == (2, later, later + timedelta(seconds=5))
    assert "ran past its lease" in caplog.text


@pytest.mark.django_db(transaction=True)
def test_only_one_slow_job_runs_at_a_time_so_that_the_frequent_ones_keep_a_thread() -> None:
    jobs = planned(job("waits", every=3600), job("second", every=3600), job("first"))
    with Elsewhere(jobs[0]):
        assert schedule.run_due(now=NOW + timedelta(seconds=6), jobs=jobs, clock=frozen) == ["first"]
    assert schedule.run_due(now=NOW + timedelta(seconds=6), jobs=jobs, clock=frozen) == ["second"]


class Elsewhere:
    """A worker in another thread that is in the middle of the job `waits` for the length of the block."""

    def __init__(self, waiting: PeriodicJob) -> None:
        self.thread = threading.Thread(target=self.work, args=[waiting])

    def __enter__(self) -> None:
        self.thread.start()
        assert INSIDE.wait(10)

    def work(self, waiting: PeriodicJob) -> None:
        try:
            schedule.run_due(now=NOW, jobs=[waiting], clock=frozen)
        finally:
            connection.close()

    def __exit__(self, *_: object) -> None:
        GATE.set()
        self.thread.join(20)
