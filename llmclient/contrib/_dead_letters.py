"""Jobs that were given up: what is known of each, and the queue they lie in.

A dead letter is the message of the task itself, in a queue of its own that nobody works on. So it can be put back by
hand, by a few lines of Python, or all of them by a worker that is started for their queue.
"""

import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from types import TracebackType
from typing import Any, Final, Self

from kombu import Queue
from kombu.exceptions import ChannelError

from llmclient._asked import Job
from llmclient._envelope import Envelope, Seal, UnreadableError, take_out
from llmclient._errors import Category
from llmclient._fate import Reason, Trouble

ERROR_LENGTH: Final = 500


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A job that was given up."""

    id: str
    queue: str
    """The one it was in."""
    reason: Reason
    category: Category
    error: str
    at: float
    """When it was given up, as Unix time."""
    call_id: str | None = None
    """Of the event of the last try, to find it in the log."""
    job: Job | None = None
    """None when it cannot be read."""
    message: Mapping[str, Any] | None = None
    """Claude's answer, where only handing it on failed."""

    def as_dict(self) -> dict[str, Any]:
        """The letter as JSON has it."""
        return {**asdict(self), "job": None if self.job is None else self.job.as_dict()}


def written(reason: Reason, trouble: Trouble, call_id: str | None, seal: Seal) -> dict[str, Any]:
    """Why a job is given up, for its envelope. Where that is encrypted, words that may quote the prompt stay out."""
    error = f"{trouble.kind}: {trouble.text}"[:ERROR_LENGTH] if trouble.text and not seal else trouble.kind
    return {"reason": reason, "category": trouble.category, "error": error, "at": time.time(), "call_id": call_id}


def letter_of(envelope: Envelope, seal: Seal, *, id_: str, queue: str) -> DeadLetter:
    """The letter an envelope holds."""
    told = envelope.given_up or {}
    job, message = None, None
    try:
        job = take_out(envelope, seal)
        message = None if envelope.message is None else seal.unwrap(envelope.message)
    except UnreadableError:
        pass  # that is why it is here
    return DeadLetter(
        id_,
        queue,
        told.get("reason", "unreadable"),
        told.get("category", "other"),
        str(told.get("error", "")),
        float(told.get("at", 0.0)),
        told.get("call_id"),
        job,
        message,
    )


class DeadLetters:
    """The dead letters of a queue, for `with`; to be looked at one by one, put back, or dropped.

        with answer.dead_letters() as letters:
            for letter in letters:
                letters.redrive(letter)

    What is neither put back nor dropped is in the queue again when the `with` is left.
    """

    def __init__(self, task: Any, limit: int) -> None:
        self._task = task
        self._limit = limit
        self._taken: dict[str, tuple[Any, Any]] = {}

    def __enter__(self) -> Self:
        self._connection = self._task.app.connection_for_write()
        self._channel = self._connection.channel()
        self._queue = Queue(self._task.setup.dead_queue, channel=self._channel)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            for message, _ in self._taken.values():
                message.requeue()
        finally:
            self._connection.release()

    def __len__(self) -> int:
        """How many there are, those not taken out in this `with`."""
        try:
            declared: Any = self._queue.queue_declare(passive=True)
            return int(declared.message_count)
        except ChannelError:  # nothing was ever given up
            self._channel = self._connection.channel()
            self._queue = Queue(self._task.setup.dead_queue, channel=self._channel)
            return 0

    def __iter__(self) -> Iterator[DeadLetter]:
        """Takes out at most `limit`, the oldest first."""
        for _ in range(min(self._limit, len(self))):
            message = self._queue.get()
            if message is None:
                return
            id_ = str(message.headers.get("id"))
            given = _argument_in(message)
            self._taken[id_] = (message, given)
            try:
                envelope = Envelope.from_dict(given)
            except UnreadableError:
                envelope = Envelope({}, 0.0)
            yield letter_of(envelope, self._task.setup.seal, id_=id_, queue=self._task.setup.queue)

    def redrive(self, letter: DeadLetter) -> None:
        """Puts the job back into its queue, as if it were new. Raises KeyError for a letter not taken out here."""
        message, given = self._taken[letter.id]
        try:
            envelope = Envelope.from_dict(given).afresh(time.time())
        except UnreadableError:
            self._task.send(given, letter.id)  # whoever reads it now may know more than we do
        else:
            self._task.send(envelope.as_dict(), letter.id)
        del self._taken[letter.id]
        message.ack()

    def drop(self, letter: DeadLetter) -> None:
        """Does away with the job. Raises KeyError for a letter not taken out here."""
        message, _ = self._taken.pop(letter.id)
        message.ack()


def _argument_in(message: Any) -> Any:
    """The argument of the task; None when the message is another's."""
    try:
        return message.decode()[0][0]
    except Exception:  # noqa: BLE001  # whatever somebody put there
        return None
