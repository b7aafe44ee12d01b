"""The real Celery app with two small jobs: `celery --app tests.config.ticking worker`. Not to be imported by tests."""

from config import jobs
from tests.config.small_jobs import JOBS

jobs.JOBS = JOBS  # type: ignore[misc,assignment]  # before config.schedule reads it

from config.celery import app  # noqa: E402

__all__ = ["app"]
