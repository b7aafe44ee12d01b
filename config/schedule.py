"""Which job is due, and exactly one worker running it: the table of jobs is the queue and the clock.

A claim is a lease with a fence. It is committed before the work begins, so a worker that dies leaves a lease that runs
out; and a worker that was taken for dead but was only slow cannot report over the one that replaced it.
"""

import logging
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib import import_module
from typing import Final

import psycopg
from django.db import Error as DatabaseError
from django.db import connection, transaction
from django.db.models import F, Q

from config.jobs import JOBS, PeriodicJob
from config.models import Job

log = logging.getLogger(__name__)

LONGEST_BACKOFF: Final = 300  # seconds between tries of a job that keeps failing, unless its own period is longer
# Jobs of this period or longer may take minutes. One of them runs at a time, so that a thread is left for the rest.
SLOW_EVERY: Final = 3_600


Jobs = Sequence[PeriodicJob]


@dataclass(frozen=True)
class Claim:
    """The right to run a job until its lease ends, proved by the fence."""

    job: PeriodicJob
    fence: int
    at: datetime


def sync_jobs(now: datetime, jobs: Jobs = JOBS) -> None:
    """One row for each entry of `jobs`, due at once when it is new, and none for jobs that no longer exist."""
    Job.objects.exclude(name__in=[job.name for job in jobs]).delete()
    Job.objects.bulk_create([Job(name=job.name, due_at=now) for job in jobs], ignore_conflicts=True)


def run_due(*, now: datetime, jobs: Jobs = JOBS, clock: Callable[[], float] = time.monotonic) -> list[str]:
    """Run every job that is due and that nobody else is running, each at most once; their names, in order.

    A failing job is recorded and does not keep the others from running. `now` is when the call began; time passing
    during long jobs is read from `clock`, in seconds.
    """
    begun = clock()
    ran: list[str] = []

    def at() -> datetime:
        return now + timedelta(seconds=clock() - begun)

    while claim := _claim(at(), jobs, ran):
        ran.append(claim.job.name)
        error = _failure_of(claim)
        _report(claim, at(), error)
    return ran


def _claim(at: datetime, jobs: Jobs, ran: list[str]) -> Claim | None:
    """Take the most frequent job that is due and not in `ran`, or None. Committed when this returns."""
    slow = {job.name for job in jobs if job.every >= SLOW_EVERY}
    with transaction.atomic():
        closed = set(ran)
        if Job.objects.filter(name__in=slow, lease_until__gt=at).exists():
            closed |= slow
        wanted = sorted((job for job in jobs if job.name not in closed), key=lambda job: job.every)
        free = Q(lease_until__isnull=True) | Q(lease_until__lte=at)
        due = Job.objects.filter(free, due_at__lte=at, name__in=[job.name for job in wanted])
        rows = {row.name: row for row in due.select_for_update(skip_locked=True)}
        for job in wanted:
            if row := rows.get(job.name):
                lease_until = at + timedelta(seconds=job.lease)
                Job.objects.filter(pk=row.pk).update(fence=F("fence") + 1, started_at=at, lease_until=lease_until)
                return Claim(job, row.fence + 1, at)
    return None


def _failure_of(claim: Claim) -> str:
    """Run the job's verb; what went wrong, or nothing."""
    try:
        _verb(claim.job.verb)(now=claim.at)
    except Exception as error:  # noqa: BLE001  whatever one job throws, the others must run and the row must tell
        described = describe(error)
        log.error(
            "Job %s failed: %s, at %s", claim.job.name, described, _place_of(error)
        )  # No traceback: its last line can quote a row.
        if not connection.in_atomic_block:
            connection.close_if_unusable_or_obsolete()  # The error may have been the loss of the connection.
        return described
    return ""


def _verb(dotted: str) -> Callable[..., object]:
    module, _, name = dotted.rpartition(".")
    verb: Callable[..., object] = getattr(import_module(module), name)
    return verb


def describe(error: BaseException) -> str:
    """An error in a few words, without the values of a row, which the texts of database errors quote."""
    cause = error if isinstance(error, psycopg.Error) else error.__cause__
    if isinstance(cause, psycopg.Error):
        what = [cause.sqlstate, cause.diag.table_name, cause.diag.constraint_name]
        return " ".join([type(cause).__name__, *filter(None, what)])
    if isinstance(error, DatabaseError):
        return type(error).__name__
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}"[:300] if lines else type(error).__name__


def _place_of(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)[-4:]
    return " < ".join(f"{frame.filename}:{frame.lineno} {frame.name}" for frame in reversed(frames))


def _report(claim: Claim, at: datetime, error: str) -> None:
    """Note the end of a run and when the next is due, unless the lease was lost to another worker meanwhile."""
    mine = Job.objects.filter(name=claim.job.name, fence=claim.fence)
    with transaction.atomic():
        row = mine.select_for_update().first()
        if row is None:
            log.warning("Job %s ran past its lease and was taken over; its end is not recorded", claim.job.name)
            return
        failures = row.failures + 1 if error else 0
        mine.update(
            due_at=_next_due(row.due_at, claim, failures, at),
            lease_until=None,
            finished_at=at,
            duration_ms=round((at - claim.at) / timedelta(milliseconds=1)),
            failures=failures,
            last_error=error or row.last_error,
        )


def _next_due(due_at: datetime, claim: Claim, failures: int, at: datetime) -> datetime:
    """The next point of the job's grid after this start, so that the period does not drift and nothing piles up."""
    every = claim.job.every
    if failures:
        return at + timedelta(seconds=max(every, min(LONGEST_BACKOFF, every * 2 ** min(failures - 1, 10))))
    missed = (claim.at - due_at) // timedelta(seconds=every)
    return due_at + timedelta(seconds=every * (missed + 1))
