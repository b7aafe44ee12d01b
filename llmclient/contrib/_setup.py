"""What a prompt task is told, and the client it uses unless it is told otherwise."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from kombu.utils.imports import symbol_by_name

import llmclient
from llmclient._envelope import Seal
from llmclient._fate import Rules
from llmclient._policy import PRIORITIES, Limits, Policy, Priority, Timeout
from llmclient._quietly import warn
from llmclient.contrib._dead_letters import DeadLetter

MAX_BYTES: Final = 1024 * 1024
BACKGROUND: Final = Policy(
    priority="background",
    timeout=Timeout(total=300.0, first_token=120.0, idle=60.0),
    limits=Limits(max_wait=60.0),
)
"""For clients of workers: nobody waits, so there is time. No `Defer`: a job must not put itself into a queue again."""


def background_client() -> Any:
    """A sync client with the SDK's settings from the environment, instrumented for work in the background."""
    import anthropic  # noqa: PLC0415  # a process that only puts jobs into the queue does without

    return llmclient.instrument(anthropic.Anthropic(), BACKGROUND)


@dataclass(frozen=True, slots=True)
class Setup:
    """See `prompt_task`."""

    queue: str
    make_client: Callable[[], Any] | str = background_client
    on_result: Any = None
    on_dead: Any = None
    priority: Priority = "background"
    rules: Rules = field(default_factory=Rules)
    max_bytes: int = MAX_BYTES
    seal: Seal = field(default_factory=Seal)

    def __post_init__(self) -> None:
        if not self.queue:
            raise ValueError("a prompt task needs the name of a queue")
        if self.priority not in PRIORITIES:
            raise ValueError(f"priority: {self.priority!r} must be one of {', '.join(PRIORITIES)}")
        if self.seal and (is_task(self.on_result) or is_task(self.on_dead)):
            raise ValueError("a task as on_result or on_dead would bring into the broker what encrypt hides from it")

    @property
    def dead_queue(self) -> str:
        """Where jobs lie that were given up."""
        return f"{self.queue}.dead"

    @property
    def taker(self) -> Any:
        """The function or task that gets the answers; None when nobody does."""
        return resolved(self.on_result)

    def tell_dead(self, letter: DeadLetter) -> None:
        """Tells `on_dead` of a job that was given up; the letter is in its queue whatever that raises."""
        try:
            hear = resolved(self.on_dead)
            if is_task(hear):
                hear.apply_async(args=(letter.as_dict(),))
            elif hear is not None:
                hear(letter)
        except Exception as error:  # noqa: BLE001  # the application's, or the broker's
            warn("on_dead", "telling %r of a job that was given up failed: %r", self.on_dead, error)

    def sealed(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """The message as the result backend keeps it."""
        return {**self.seal.wrap(message)} if self.seal else dict(message)

    def opened(self, stored: Mapping[str, Any]) -> dict[str, Any]:
        """The message again. Raises UnreadableError."""
        return self.seal.unwrap(stored) if set(stored) == {"sealed"} else dict(stored)


def resolved(target: Any) -> Any:
    """What a dotted name stands for; everything else is what it is."""
    return symbol_by_name(target) if isinstance(target, str) else target


def is_task(target: Any) -> bool:
    """Whether it is called through the broker: a task of Celery's, or a signature."""
    return hasattr(target, "apply_async")
