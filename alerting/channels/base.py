"""What a channel is: something that takes a letter to a person, or says why it could not."""

from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self


@dataclass(frozen=True)
class Letter:
    """A message, complete in words. `key` is the same for every try, so that a repeat can be told from a new one."""

    key: str
    thread: str
    """The key of the letter this one answers; empty for the first of a thread."""
    to: str
    subject: str
    text: str
    html: str


class DeliveryError(Exception):
    """A letter was not taken. Permanent: trying again is useless. Otherwise it is tried again later.

    `unreachable` means that the channel as a whole failed, not this letter: the others need not be tried now.
    """

    def __init__(self, message: str, *, permanent: bool = False, unreachable: bool = False) -> None:
        super().__init__(message)
        self.permanent = permanent
        self.unreachable = unreachable


class Channel(Protocol):
    """A way to reach people. Entered once for a batch of letters, so that a connection serves them all."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def send(self, letter: Letter) -> None:
        """Hand the letter over. Returning means that the other side has taken it; else DeliveryError."""
