"""What whoever put a job into a queue holds in hands, and the tasks by the names of their queues."""

from dataclasses import dataclass
from typing import Any, Final

from celery import current_app
from celery.backends.base import DisabledBackend
from celery.exceptions import TimeoutError as NotReady

from llmclient._fate import Reason

# The tasks made in this process, by queue.
TASKS: Final[dict[str, Any]] = {}


class GivenUp(Exception):  # noqa: N818  # it reads as what it is
    """A job was given up and lies among the dead letters; `reason` says why, `why` in which words."""

    def __init__(self, reason: Reason, why: str = "") -> None:
        super().__init__(reason, why)
        self.reason = reason
        self.why = why

    def __str__(self) -> str:
        return f"{self.reason}: {self.why}" if self.why else self.reason


@dataclass(frozen=True, slots=True)
class Ticket:
    """A job in a queue. Two strings: it can be kept, and made again in another process."""

    id: str
    """Of the job, and of the Celery task; for a deferred call also the id of its event."""
    queue: str

    def ready(self) -> bool:
        """Whether the job is done or given up. Raises RuntimeError when the app has no result backend."""
        return bool(self._result().ready())

    def get(self, timeout: float | None = None) -> dict[str, Any]:
        """The message, as the API writes it; waits at most `timeout` seconds for it.

        Raises TimeoutError when it is not there by then, `GivenUp` when the job was given up, and RuntimeError when
        the app has no result backend.
        """
        try:
            stored = self._result().get(timeout=timeout)
        except NotReady:
            raise TimeoutError(f"the job {self.id} is not done yet") from None
        message: dict[str, Any] = task_for(self.queue).setup.opened(stored)
        return message

    def _result(self) -> Any:
        task = task_for(self.queue)
        if isinstance(task.backend, DisabledBackend) or task.ignore_result:
            raise RuntimeError(f"the queue {self.queue!r} keeps no results: give the Celery app a result backend")
        return task.AsyncResult(self.id)


def task_for(queue: str) -> Any:
    """The task of a queue. Loads the modules Celery would load in a worker, should it not be known yet.

    Raises LookupError when it is in none of them.
    """
    if queue not in TASKS:
        current_app.loader.import_default_modules()
    if queue not in TASKS:
        raise LookupError(f"no prompt_task(app, {queue!r}) was made in this process: import the module that makes it")
    return TASKS[queue]
