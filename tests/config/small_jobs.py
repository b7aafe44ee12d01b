"""Two small jobs in place of the product's: one that works and one that always fails."""

from datetime import datetime

from config.jobs import PeriodicJob

JOBS = (
    PeriodicJob("steady", "tests.config.small_jobs.steady", every=1, lease=3),
    PeriodicJob("failing", "tests.config.small_jobs.failing", every=1, lease=3),
)


def steady(*, now: datetime) -> None:
    assert now.tzinfo is not None


def failing(*, now: datetime) -> None:
    raise RuntimeError("as always")
