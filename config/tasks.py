"""The one Celery task: look into PostgreSQL for what is due."""

from celery import shared_task
from celery.signals import worker_ready
from django.utils import timezone

from config import schedule


@shared_task(name="config.tasks.run_due")
def run_due() -> None:
    schedule.run_due(now=timezone.now())


@worker_ready.connect
def know_every_job(**_: object) -> None:
    """A worker of a newer version brings its new jobs along, however the tables were migrated."""
    schedule.sync_jobs(timezone.now())
