"""The one Celery task: look into PostgreSQL for what is due."""

import logging

from celery import shared_task
from celery.signals import worker_ready
from django.db import OperationalError
from django.utils import timezone

from config import schedule

log = logging.getLogger(__name__)


@shared_task(name="config.tasks.run_due")
def run_due() -> None:
    try:
        schedule.run_due(now=timezone.now())
    except OperationalError:
        # The next tick comes in two seconds; a traceback for each would bury what matters.
        log.warning("PostgreSQL cannot be reached; what is due waits for the next tick")


@worker_ready.connect
def know_every_job(**_: object) -> None:
    """A worker of a newer version brings its new jobs along, however the tables were migrated."""
    try:
        schedule.sync_jobs(timezone.now())
    except OperationalError:
        log.warning("PostgreSQL cannot be reached; new jobs wait for the next start of a worker")
