"""The Celery app of the worker processes under test; what differs from test to test is in the environment."""

import os
from pathlib import Path
from typing import Any

import anthropic
from celery import Celery

import llmclient
from llmclient._asked import Job
from llmclient.contrib.celery import prompt_task

ASK: dict[str, Any] = {
    "model": "claude-haiku-5-5",
    "max_tokens": 9,
    "messages": [{"role": "user", "content": "hi"}],
}


def make_client() -> anthropic.Anthropic:
    return llmclient.instrument(anthropic.Anthropic(api_key="x", base_url=os.environ["CLAUDE"], max_retries=0))


def take(message: dict[str, Any], job: Job) -> None:
    """Notes each answer as a line, which is written at once and whole."""
    with Path(os.environ["TAKEN"]).open("a") as file:
        file.write(f"{job.call_id} {message['content'][0]['text']}, retries: {answer.request.retries}\n")


def app_for(broker: str) -> Celery:
    """The app as the test and the worker know it."""
    app = Celery("host", broker=broker, backend=broker)
    app.conf.update(
        broker_transport_options={
            "visibility_timeout": float(os.environ.get("VISIBILITY", "600")),
            "unacked_restore_interval": 1,
            "unacked_restore_throttle": 1,
        },
        worker_prefetch_multiplier=1,
        worker_enable_remote_control=False,
        worker_lost_wait=0.1,
        broker_connection_retry_on_startup=True,
    )
    return app


# Imported by a test, too, which makes an app of its own.
app = app_for(os.environ.get("BROKER", "memory://"))
llm = make_client() if "CLAUDE" in os.environ else None
answer = prompt_task(
    app,
    "reports",
    make_client=make_client,
    on_result=take,
    default_retry_delay=0.1,
    time_limit=float(os.environ["TIME_LIMIT"]) if "TIME_LIMIT" in os.environ else None,
)


@app.task(name="call")
def call() -> None:
    """A task of the host's, which happens to ask Claude."""
    assert llm is not None
    llm.messages.create(**ASK)
