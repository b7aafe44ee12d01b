"""The Celery app: beat sends a tick, a worker takes it and looks into PostgreSQL for what is due."""

import os
import warnings
from typing import Any

from celery import Celery
from celery.signals import setup_logging
from django.conf import settings

from config import broker

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

# Celery warns root of unpickling; the only messages read here are JSON.
warnings.filterwarnings("ignore", message="You're running the worker with superuser privileges")


def build(**options: Any) -> Celery:
    """An app with our broker and schedule."""
    app = Celery("llm_vitals", **options)
    app.config_from_object("django.conf:settings", namespace="CELERY")
    app.conf.update(
        task_ignore_result=True,
        accept_content=["json"],
        # A tick is done when its jobs are done; one that dies with its worker is sent again.
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        worker_prefetch_multiplier=1,
        worker_enable_remote_control=False,
        worker_send_task_events=False,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        # For the process pool, which can end a task. Threads cannot: there a job is bounded where it spends its time,
        # by STATEMENT_TIMEOUT_MS of the worker.
        task_soft_time_limit=3_600,
        task_time_limit=3_660,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        enable_utc=True,
        timezone="UTC",
    )
    if settings.CELERY_BROKER_URL.startswith("filesystem:"):
        app.conf.update(
            broker_url="filesystem://localhost",
            broker_transport="config.broker:Transport",
            broker_transport_options=broker.options(settings.VITALS_HOME / "broker"),
        )
    else:
        # Longer than any lease, so that the tick of a long job is not given to a second worker.
        app.conf.broker_transport_options = {"visibility_timeout": 7_200}
    return app


app = build(include=["config.tasks"])


@setup_logging.connect
def _leave_logging_to_django(**_: object) -> None:
    """Celery would replace the handlers of the settings."""
