"""What may answer when Claude does not: an ordered chain, each element of which sees why it is asked.

    Policy(fallback=[Cached(fresh="5m", max_stale="1d"), Model("claude-haiku-5-5"), Rule(keywords), Notice("Soon.")])

How a chain is driven: `fresh(chain, asked, now)` before Claude is asked; `remember(chain, asked, message, now)` with
what Claude answered to that request, filters applied; when Claude failed, `ask(element, asked, now)` for each element
of `answers(chain, category)`. All are generators (`now`: Unix time) that yield `Run` effects, each to be performed and
its result sent back or its exception thrown in. Asking returns

* None: not mine, ask the next one;
* `Answered` with a `body`: the message to give to the caller; its `source` says what it is;
* `Answered` with a `next_body`: a request to send instead, through the same retries and limits. Where that fails, too,
  the chain goes on behind this element, still for the category it began with;

or raises `Deferred`, which is the caller's. An element of your own needs `handles` and `steps`, see `Fallback`.
"""

import importlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol

from llmclient import _message, _prompt
from llmclient._asked import Answered, Asked, Job
from llmclient._cached import Cached, Steps, remember
from llmclient._errors import Category
from llmclient._quietly import warn
from llmclient._run import Run, is_async

if TYPE_CHECKING:
    from llmclient._call import Source
    from llmclient._exceptions import Deferred

__all__ = [
    "Answered",
    "Asked",
    "Cached",
    "Defer",
    "Fallback",
    "Job",
    "Model",
    "Notice",
    "Rule",
    "Run",
    "answers",
    "ask",
    "check",
    "fresh",
    "remember",
]

# Claude, or the way there, does not work for now.
DOWN: Final[frozenset[Category]] = frozenset(
    {
        "timeout",
        "connection",
        "rate_limit",
        "ramp_limit",
        "overloaded",
        "server_error",
        "stream_interrupted",
        "circuit_open",
        "local_rate_limited",
    }
)
# There is no money for any model, perhaps until the month is over.
UNPAID: Final[frozenset[Category]] = frozenset({"spend_limit", "billing"})


class Fallback(Protocol):
    """An element of the chain. Whatever it raises but `Deferred` is told in the log and taken for None."""

    def handles(self, category: Category) -> bool:
        """Whether it is for a call that failed so."""

    def steps(self, asked: Asked, now: float) -> Steps:
        """Looks for an answer: yields `Run`s, returns what `ask` is to return."""


def fresh(chain: Iterable[Fallback], asked: Asked, now: float) -> Steps:
    """An answer that is still fresh, from the first `Cached` that has one."""
    for element in chain:
        if isinstance(element, Cached) and element.fresh is not None:
            answered = yield from _guarded(element, element.before(asked, now))
            if answered is not None:
                return answered
    return None


def ask(element: Fallback, asked: Asked, now: float) -> Steps:
    """What an element answers."""
    return (yield from _guarded(element, element.steps(asked, now)))


def answers(chain: Iterable[Fallback], category: Category) -> list[Fallback]:
    """The elements of the chain that are for such a failure; without any the error is the caller's as it is."""
    return [element for element in chain if element.handles(category)]


def check(chain: Iterable[Fallback], *, asynchronous: bool) -> None:
    """Raises TypeError for what is no fallback, or can never be used by this kind of client: async with a sync one."""
    for element in chain:
        if isinstance(element, type) or not (hasattr(element, "handles") and hasattr(element, "steps")):
            raise TypeError(f"fallback: {element!r} is none; give Cached(…), Model(…), Rule(…), Defer(…) or Notice(…)")
        if not asynchronous and getattr(element, "needs_async", False):
            raise TypeError(f"{element!r} is async; that works with the async clients only")


@dataclass(frozen=True, slots=True)
class Model:
    """Another model: one of another group has limits of its own, and a cheaper one fits where the budget is short.

    `changes` is laid over the request, for what the other model does not know: `{"thinking": None}` leaves it out.
    `on_refusal=True` asks it also when the first one refuses.
    """

    model: str
    on_refusal: bool = False
    changes: Mapping[str, Any] = field(default_factory=dict)

    def handles(self, category: Category) -> bool:
        if category == "refusal":
            return self.on_refusal
        return category in DOWN or category in ("not_found", "budget_exceeded")

    def steps(self, asked: Asked, now: float) -> Steps:  # noqa: ARG002  the form is that of all elements
        yield from ()  # nothing to be done outside
        changed = {**asked.body, **self.changes, "model": self.model}
        if changed == asked.body:
            return None
        body = {name: value for name, value in changed.items() if name not in self.changes or value is not None}
        return Answered("model_fallback", next_body=body)


@dataclass(frozen=True, slots=True)
class Rule:
    """A function of your own: gets `Asked`, gives a text, a message as data, or None for "not mine".

    It may be async with async clients. `blocking=True` when it waits for something, a database perhaps: async clients
    run it in a thread.
    """

    function: Callable[[Asked], Any]
    on_refusal: bool = False
    blocking: bool = False

    @property
    def needs_async(self) -> bool:
        return is_async(self.function)

    def handles(self, category: Category) -> bool:
        return self.on_refusal if category == "refusal" else _local(category)

    def steps(self, asked: Asked, now: float) -> Steps:  # noqa: ARG002
        said = yield Run(self.function, asked, blocking=self.blocking)
        return None if said is None else _given("rule", said, asked)


@dataclass(frozen=True, slots=True)
class Defer:
    """Puts the call into a queue, to be made later; the caller gets `Deferred` with the queue's ticket.

    A queue is a function that takes a `Job` and returns a ticket, or an object with such a method `defer`. A name is
    that of a Celery queue. The job holds the prompt.
    """

    queue: Any
    blocking: bool = True

    def __post_init__(self) -> None:
        self._put()  # a queue that is none, or no Celery, is to be known when the policy is made

    @property
    def needs_async(self) -> bool:
        return is_async(self._put())

    def handles(self, category: Category) -> bool:
        return category in DOWN or category in UNPAID or category == "deadline_exceeded"

    def steps(self, asked: Asked, now: float) -> Steps:  # noqa: ARG002
        job = Job(asked.body, asked.labels, asked.category, asked.variant, asked.call_id)
        put = self._put()
        ticket = yield Run(put, job, blocking=self.blocking and not is_async(put))
        raise _deferred()(ticket)

    def _put(self) -> Callable[[Job], Any]:
        if isinstance(self.queue, str):
            put: Callable[[Job], Any] = importlib.import_module("llmclient.contrib.celery").queue(self.queue)
            return put
        put = getattr(self.queue, "defer", self.queue)
        if not callable(put):
            raise TypeError(f"Defer: {self.queue!r} is neither a function, nor a queue with a method defer, nor a name")
        return put


@dataclass(frozen=True, slots=True)
class Notice:
    """A fixed text, when nothing else is left. Not for calls that want JSON: there it would only be a wrong answer."""

    text: str
    on_refusal: bool = False

    def __post_init__(self) -> None:
        if not self.text:
            raise ValueError("Notice.text: it is empty")

    def handles(self, category: Category) -> bool:
        return self.on_refusal if category == "refusal" else _local(category)

    def steps(self, asked: Asked, now: float) -> Steps:  # noqa: ARG002
        yield from ()
        return None if _prompt.wants_schema(asked.body) else _given("notice", self.text, asked)


def _guarded(element: Fallback, steps: Steps) -> Steps:
    try:
        return (yield from steps)
    except Exception as error:  # the caller is to see what Claude's error was, not one of ours
        if isinstance(error, _deferred()):
            raise
        name = type(element).__name__
        warn(f"fallback:{name}", "the fallback %s failed and is passed over: %r", name, error)
        return None


def _deferred() -> "type[Deferred]":
    # Only when it is needed: our exceptions are the SDK's, and whoever makes a policy need not load it for that.
    from llmclient._exceptions import Deferred  # noqa: PLC0415

    return Deferred


def _local(category: Category) -> bool:
    return category in DOWN or category in UNPAID or category in ("deadline_exceeded", "budget_exceeded")


def _given(source: "Source", said: str | Mapping[str, Any], asked: Asked) -> Answered:
    return Answered(source, body=_message.of(said, model=asked.model, call_id=asked.call_id))
