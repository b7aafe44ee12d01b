"""One run of one job: it is asked, its answer kept and handed on, or it is sent away for later, or given up."""

import random
import time
from contextvars import ContextVar
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from celery.exceptions import Reject

import llmclient
from llmclient._asked import Job
from llmclient._envelope import Envelope, UnreadableError, take_out
from llmclient._fate import Again, Reason, Trouble, after, trouble_of
from llmclient._quietly import logger
from llmclient.contrib import _results
from llmclient.contrib._dead_letters import letter_of, written
from llmclient.contrib._setup import is_task
from llmclient.contrib._tickets import GivenUp

if TYPE_CHECKING:
    from llmclient.contrib.celery import PromptTask

LABELS: Final = ("feature", "prompt_type", "prompt_version", "user_id", "session_id")
JOB_TAG: Final = "job"
# Set while a worker asks Claude: a job whose own policy defers would come back for ever.
asking: ContextVar[bool] = ContextVar("llmclient_asking", default=False)


class TryLater(Exception):  # noqa: N818  # it reads as what it is
    """Why a job is sent away for later; in the worker's log, so it holds no text of the prompt."""


class Work:
    """See the module. `given` is the argument of the task, as it came from the broker."""

    def __init__(self, task: "PromptTask", given: Any) -> None:
        self._task = task
        self._given = given
        self._setup = task.setup
        self._id = str(task.request.id)
        self._envelope = Envelope({}, time.time())
        self._call_id: str | None = None

    def do(self) -> Any:
        """The message, as it is to be stored. Raises celery's Retry or Reject, or `GivenUp`."""
        done, kept = _results.of(self._task, self._id)
        if done:  # and the broker was not told
            return kept
        job = self._read()
        message = None
        try:
            message = self._known(kept) or self._ask(job)
            self._hand_on(message, job)
        except Exception as error:  # noqa: BLE001  # whatever it is: the rules say what becomes of the job
            # Celery writes the whole chain into its log and the result backend: no place for what is encrypted.
            raise self._after(error, message) from (None if self._setup.seal else error)
        self._over()
        return self._setup.sealed(message)

    # --- before ---------------------------------------------------------------------------------------------------

    def _read(self) -> Job:
        try:
            envelope = Envelope.from_dict(self._given)
            self._envelope = envelope if envelope.given_up is None else envelope.afresh(time.time())
            job = take_out(envelope, self._setup.seal)
        except UnreadableError as error:
            raise self._give_up("unreadable", Trouble("other", text=str(error), kind="UnreadableError")) from error
        lost = self._task.request.retries - self._envelope.waits - self._envelope.faults
        if lost >= self._setup.rules.losses:
            why = f"the process doing it died {lost} times"
            raise self._give_up("worker_lost", Trouble("other", text=why, kind="WorkerLostError"))
        if time.time() - self._envelope.at > self._setup.rules.age:
            raise self._give_up("expired", Trouble(job.category or "other", kind="TooOld"))
        return job

    def _known(self, kept: Any) -> dict[str, Any] | None:
        """The answer, where an earlier run got it and failed to hand it on."""
        if kept is not None:
            return self._setup.opened(kept)
        message = self._envelope.message
        return None if message is None else self._setup.seal.unwrap(message)

    # --- the work -------------------------------------------------------------------------------------------------

    def _ask(self, job: Job) -> dict[str, Any]:
        client = self._task.client()
        labels = {name: job.labels[name] for name in LABELS if name in job.labels}
        tags = {**job.labels.get("tags", {}), JOB_TAG: self._id}
        token = asking.set(True)
        try:
            with llmclient.context(**labels, tags=tags) as calls:
                try:
                    message = _sent(client, job)
                finally:
                    self._call_id = None if calls.id is None else str(calls.id)
        finally:
            asking.reset(token)
        if self._setup.on_result is not None:
            _results.keep_answer(self._task, self._id, self._setup.sealed(message))
        return message

    def _hand_on(self, message: dict[str, Any], job: Job) -> None:
        take = self._setup.taker
        if take is None:
            return
        if is_task(take):
            take.apply_async(args=(message, job.as_dict()), task_id=f"{self._id}.result", add_to_parent=False)
        else:
            take(message, job)

    # --- what went wrong ------------------------------------------------------------------------------------------

    def _after(self, error: Exception, message: dict[str, Any] | None) -> Exception:
        """What to raise after a failure: `message` is there when only handing it on failed."""
        trouble = trouble_of(error, now=time.time())
        if message is not None:
            told = None if self._setup.seal else error
            logger.warning("handing on the answer of the job %s failed", self._id, exc_info=told)
            trouble = replace(trouble, category="other", asked=None)
            self._envelope = replace(self._envelope, message=self._setup.seal.wrap(message))
        envelope = self._envelope
        fate = after(
            trouble,
            self._setup.rules,
            waits=envelope.waits,
            faults=envelope.faults,
            age=time.time() - envelope.at,
            chance=random.random,
        )
        if isinstance(fate, Again) and self._task.request.is_eager:
            # Nothing waits here, so waiting counts like a fault: it has to end.
            tried = envelope.waits + envelope.faults + 1
            fate = fate if tried < self._setup.rules.attempts else "attempts"
        return self._try_again(fate, trouble) if isinstance(fate, Again) else self._give_up(fate, trouble)

    def _try_again(self, again: Again, trouble: Trouble) -> Exception:
        envelope = self._envelope
        counted = replace(envelope, waits=envelope.waits + (not again.fault), faults=envelope.faults + again.fault)
        why = TryLater(f"{trouble.category} ({trouble.kind})")
        try:
            return self._task.retry(
                args=(counted.as_dict(),),
                kwargs={},
                countdown=again.wait,
                exc=why,
                throw=False,
                queue=self._setup.queue,
                add_to_parent=False,
            )
        except Reject as unsent:
            # It could not be sent; the one that is there goes back into the queue, and is not thrown away.
            return Reject(str(unsent), requeue=True)

    def _give_up(self, reason: Reason, trouble: Trouble) -> Exception:
        task, setup = self._task, self._setup
        readable = self._envelope if self._envelope.job else Envelope({"json": repr(self._given)}, self._envelope.at)
        envelope = replace(readable, given_up=written(reason, trouble, self._call_id, setup.seal))
        if not task.request.is_eager:
            try:
                task.bury(envelope, self._id)
            except Exception as unsent:  # noqa: BLE001  # a job must not be nowhere
                return Reject(unsent, requeue=True)
        self._over()
        message = "the job %s of the queue %s was given up (%s, %s); it lies in %s"
        logger.error(message, self._id, setup.queue, reason, trouble.category, setup.dead_queue)
        letter = letter_of(envelope, setup.seal, id_=self._id, queue=setup.queue)
        setup.tell_dead(letter)
        return GivenUp(reason, letter.error)

    def _over(self) -> None:
        """Whatever happens from now on, the job is in good hands."""
        vars(self._task.request).update(handed_on=True)


def _sent(client: Any, job: Job) -> dict[str, Any]:
    """Claude's answer. By the SDK's plain way to its endpoint: it takes any request, the betas' too."""
    from anthropic.types import Message  # noqa: PLC0415  # loads the SDK, which a process that only defers may not need
    from anthropic.types.beta import BetaMessage  # noqa: PLC0415

    query, _, betas = job.variant.partition(" ")
    body = {name: value for name, value in job.body.items() if name != "stream"}
    message: dict[str, Any] = client.post(
        f"/v1/messages?{query}" if query else "/v1/messages",
        cast_to=BetaMessage if query else Message,
        body=body,
        options={"headers": {"anthropic-beta": betas}} if betas else {},
    ).to_dict(mode="json")
    return message
