"""The one Celery task: look into PostgreSQL for what is due."""

from celery import shared_task
from django.utils import timezone

from config import schedule


@shared_task(name="config.tasks.run_due")
def run_due() -> None:
    schedule.run_due(now=timezone.now())
