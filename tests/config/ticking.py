"""The real Celery app with two small jobs instead of the product's: `celery --app tests.config.ticking worker`."""

from datetime import datetime

from config import jobs
from config.jobs import PeriodicJob

JOBS = (
    PeriodicJob("steady", "tests.config.ticking.steady", every=1, lease=3),
    PeriodicJob("failing", "tests.config.ticking.failing", every=1, lease=3),
)
jobs.JOBS = JOBS  # type: ignore[misc,assignment]  # before config.schedule reads it

from config.celery import app  # noqa: E402

__all__ = ["app"]


def steady(*, now: datetime) -> None:
    assert now.tzinfo is not None


def failing(*, now: datetime) -> None:
    raise RuntimeError("as always")
