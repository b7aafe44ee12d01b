"""The periodic jobs as the pages show them: each entry of `config.jobs.JOBS` with its row."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from config.jobs import JOBS
from config.models import Job
from dashboard.work import Work


def read(now: datetime) -> Sequence[Work]:
    """Return every job, most frequent first. Raises DatabaseError."""
    rows = {row.name: row for row in Job.objects.all()}
    return [
        _work(job.name, timedelta(seconds=job.every), rows.get(job.name), now)
        for job in sorted(JOBS, key=lambda job: (job.every, job.name))
    ]


def _work(name: str, every: timedelta, row: Job | None, now: datetime) -> Work:
    if row is None:
        return Work(name, every, None, False, None, None, 0, "")
    return Work(
        name,
        every,
        row.due_at,
        is_running=row.lease_until is not None and row.lease_until > now,
        finished_at=row.finished_at,
        took=None if row.duration_ms is None else timedelta(milliseconds=row.duration_ms),
        failures=row.failures,
        last_error=row.last_error if row.failures else "",
    )
