"""The Celery app: beat sends a tick, a worker takes it and looks into PostgreSQL for what is due."""

import os

from celery import Celery
from celery.signals import setup_logging
from django.conf import settings

from config import broker

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

app = Celery("llm_vitals")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.conf.update(
    include=["config.tasks"],
    task_ignore_result=True,
    # A tick is done when its jobs are done; one that dies with its worker is sent again.
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    worker_prefetch_multiplier=1,
    # Threads cannot be killed, so a job is bounded where it spends its time: STATEMENT_TIMEOUT_MS of the worker.
    worker_pool="threads",
    worker_concurrency=2,
    worker_enable_remote_control=False,
    worker_send_task_events=False,
    worker_cancel_long_running_tasks_on_connection_loss=False,
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    enable_utc=True,
    timezone="UTC",
)
if settings.CELERY_BROKER_URL.startswith("filesystem:"):
    app.conf.update(
        broker_transport="config.broker:Transport",
        broker_transport_options=broker.options(settings.VITALS_HOME / "broker"),
    )
else:
    # Longer than any lease, so that a long job's tick is not given to a second worker.
    app.conf.broker_transport_options = {"visibility_timeout": 7_200}


@setup_logging.connect
def _leave_logging_to_django(**_: object) -> None:
    """Celery would replace the handlers of the settings."""
