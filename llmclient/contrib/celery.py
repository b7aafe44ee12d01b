"""Prompts through a Celery queue: each becomes a task that outlives full limits, outages and killed workers.

    answer = prompt_task(app, "reports", on_result="helpdesk.answers.keep")
    ticket = answer.ask(model="claude-sonnet-5-5", max_tokens=2_000, messages=[…])

and `Policy(fallback=[Defer("reports")])` puts what Claude cannot answer now into the same queue. See docs/queues.md.
"""

import inspect
import os
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from celery import Celery, Task
from celery.exceptions import TimeLimitExceeded

from llmclient import _context
from llmclient._asked import Job
from llmclient._envelope import Envelope, Seal, UnreadableError, put_in
from llmclient._fate import Reason, Rules, Trouble
from llmclient._policy import Priority
from llmclient.contrib import _results
from llmclient.contrib._dead_letters import DeadLetter, DeadLetters, written
from llmclient.contrib._setup import BACKGROUND, MAX_BYTES, Setup, background_client, resolved
from llmclient.contrib._tickets import TASKS, GivenUp, Ticket, task_for
from llmclient.contrib._work import Work, asking

__all__ = [
    "BACKGROUND",
    "DeadLetter",
    "DeadLetters",
    "GivenUp",
    "PromptTask",
    "Setup",
    "Ticket",
    "background_client",
    "prompt_task",
    "queue",
]

HIDDEN: Final = "(a prompt)"  # what Celery writes into message headers, logs and events for the arguments
# Redis serves the lowest number first, all other brokers the highest.
LOWEST_FIRST: Final[Mapping[Priority, int]] = {"interactive": 0, "background": 6}
HIGHEST_FIRST: Final[Mapping[Priority, int]] = {"interactive": 9, "background": 3}
# A caller waits for a deferred call: a broker that is down must not make it wait for long.
PUBLISH: Final = {"max_retries": 1, "interval_start": 0.0, "interval_step": 0.0, "interval_max": 0.0}

if TYPE_CHECKING:
    Base = Task[..., Any]
else:
    Base = Task


class PromptTask(Base):
    """A task that asks Claude. Made by `prompt_task`; or a class of yours with a `setup`, for `app.register_task`."""

    setup: Setup

    # A job is done when it is done: what dies with its worker is done again.
    acks_late = True
    reject_on_worker_lost = True
    retry_on_worker_lost = True
    acks_on_failure = True
    acks_on_timeout = True
    max_retries = None  # the rules of the setup say when it is enough
    default_retry_delay = 5  # after the loss of a worker
    serializer = "json"
    resultrepr_maxsize = 1  # the worker's log is no place for answers
    throws = (GivenUp,)
    _made: tuple[int, Any] | None = None
    _numbers: Mapping[Priority, int] | None = None

    # --- putting jobs in ------------------------------------------------------------------------------------------

    def ask(self, *, priority: Priority | None = None, **request: Any) -> Ticket:
        """Puts a request into the queue, as `messages.create` takes it; the labels of the context go with it.

        Raises ValueError when it is too large, TypeError when it is no JSON, kombu's OperationalError when the broker
        takes nothing.
        """
        return self.put(Job(request, _context.current().labels), priority=priority)

    def put(self, job: Job, *, priority: Priority | None = None) -> Ticket:
        """Puts a job into the queue; raises as `ask` does. One with the id of a job that is done is not done again."""
        id_ = job.call_id or uuid.uuid4()
        job = replace(job, call_id=id_)
        envelope = put_in(job, self.setup.seal, now=time.time(), max_bytes=self.setup.max_bytes)
        self.send(envelope.as_dict(), str(id_), priority=self._number(priority or self.setup.priority))
        return Ticket(str(id_), self.setup.queue)

    def defer(self, job: Job, *, priority: Priority | None = None) -> Ticket:
        """The same for `Defer`. Raises RuntimeError in a worker, for a job that would only come back."""
        if asking.get():
            raise RuntimeError("this call is a job of a queue already, and is not put into one again")
        return self.put(job, priority=priority)

    def dead_letters(self, limit: int = 100) -> DeadLetters:
        """The jobs that were given up, for `with`; at most `limit` are taken out."""
        return DeadLetters(self, limit)

    # --- what Celery calls ----------------------------------------------------------------------------------------

    def run(self, given: Any) -> Any:
        """One run of one job; `given` is an envelope."""
        return Work(self, given).do()

    def apply_async(self, args: Any = None, kwargs: Any = None, *more: Any, **options: Any) -> Any:
        options = {"queue": self.setup.queue, "argsrepr": HIDDEN, "kwargsrepr": "{}", **options}
        if options.get("priority") is None:
            options["priority"] = self._number(self.setup.priority)
        return super().apply_async(args, kwargs, *more, **options)

    def on_success(self, _result: Any, task_id: str, *_: Any) -> None:
        if self.setup.on_result is not None:
            _results.forget_answer(self, task_id)

    def on_failure(self, exc: Any, task_id: str, args: Any, *_: Any) -> None:
        """For the ends that are not ours: a time limit (told to the worker's main process), a result not stored."""
        if isinstance(exc, GivenUp) or getattr(self.request, "handed_on", False) or self.request.is_eager:
            return
        try:
            envelope = Envelope.from_dict(args[0] if args else None)
        except UnreadableError:
            envelope = Envelope({"json": repr(args)}, time.time())
        trouble = Trouble("other", text=str(exc), kind=type(exc).__name__)
        reason: Reason = "time_limit" if isinstance(exc, TimeLimitExceeded) else "permanent"
        self.bury(replace(envelope, given_up=written(reason, trouble, None, self.setup.seal)), task_id)

    # --- for the work ---------------------------------------------------------------------------------------------

    def client(self) -> Any:
        """The client of this process. Raises what making it raises, and TypeError when it is an async one."""
        if self._made is None or self._made[0] != os.getpid():
            client = resolved(self.setup.make_client)()
            if inspect.iscoroutinefunction(getattr(client, "post", None)):
                raise TypeError(f"make_client has to make a sync client, not {type(client).__name__}")
            self._made = (os.getpid(), client)
        return self._made[1]

    def send(self, given: Mapping[str, Any], id_: str, **options: Any) -> None:
        """Hands a message for this task to the broker. Raises kombu's OperationalError."""
        self.apply_async((given,), task_id=id_, retry_policy=PUBLISH, add_to_parent=False, **options)

    def bury(self, envelope: Envelope, id_: str) -> None:
        """Puts a job that is given up among the dead letters. Raises kombu's OperationalError."""
        self.send(envelope.as_dict(), id_, queue=self.setup.dead_queue)

    def _number(self, priority: Priority) -> int:
        """The priority as the broker spells it."""
        if self._numbers is None:
            driver = self.app.connection_for_write().transport.driver_type
            self._numbers = LOWEST_FIRST if driver == "redis" else HIGHEST_FIRST
        return self._numbers[priority]


def prompt_task(
    app: Celery,
    queue: str,
    *,
    make_client: Callable[[], Any] | str = background_client,
    on_result: Any = None,
    on_dead: Any = None,
    priority: Priority = "background",
    attempts: int = 8,
    max_age: str | float = "1d",
    longest_wait: str | float = "10m",
    max_bytes: int = MAX_BYTES,
    encrypt: Callable[[bytes], bytes] | None = None,
    decrypt: Callable[[bytes], bytes] | None = None,
    **options: Any,
) -> PromptTask:
    """Makes the task that does the jobs of a queue; in a module that workers and those who put jobs in both import.

    `make_client` makes a sync client, once per process. `on_result(message, job)` gets each answer: a function, a
    Celery task or signature (it gets `job` as data), or the dotted name of one. `on_dead(letter)` likewise hears of
    each job that is given up. A job waits for room at Claude without losing one of its `attempts`, but never until it
    is older than `max_age`. `encrypt` and `decrypt` are functions from bytes to bytes, for what lies in the broker
    and in the result backend. `options` are those of Celery tasks. Raises ValueError for settings that cannot be.
    """
    rules = Rules(attempts=attempts, max_age=max_age, longest_wait=longest_wait)
    seal = Seal(encrypt, decrypt)
    setup = Setup(queue, make_client, on_result, on_dead, priority, rules, max_bytes, seal)
    make: Any = app.task  # the types of its many options do not know ours
    named = {"name": f"llmclient.{queue}", "shared": False, **options}
    task: PromptTask = make(PromptTask.run, base=PromptTask, bind=True, setup=setup, **named)
    TASKS[queue] = task
    return task


def queue(name: str, *, priority: Priority | None = None) -> Callable[[Job], Ticket]:
    """What `Defer` puts jobs into: the queue of the `prompt_task` of that name, which need not be made yet."""

    def put(job: Job) -> Ticket:
        ticket: Ticket = task_for(name).defer(job, priority=priority)
        return ticket

    return put
