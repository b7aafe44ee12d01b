"""What a call is for: labels that travel with the flow of control, through threads' own contexts and asyncio tasks."""

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar, Token
from functools import wraps
from types import TracebackType
from typing import Any, Final, NamedTuple, ParamSpec, TypeVar
from uuid import UUID

from llmclient._call import Attempt, Call, Source
from llmclient._quietly import quietly

P = ParamSpec("P")
R = TypeVar("R")

LABEL_LENGTH: Final = 200  # characters, as the wire allows
TAG_LENGTH: Final = 64  # of a tag's name
MAX_TAGS: Final = 20
REMEMBERED: Final = 100  # calls a handle keeps: a context around a whole worker must not grow for ever


class Calls:
    """The calls made in a context. Its single values are those of the last call, None before there is one."""

    def __init__(self) -> None:
        self._calls: list[Call] = []  # most contexts have one call: a deque would take half a kilobyte for it

    @property
    def calls(self) -> tuple[Call, ...]:
        """The last 100 calls, oldest first."""
        return tuple(self._calls)

    @property
    def last(self) -> Call | None:
        return self._calls[-1] if self._calls else None

    @property
    def id(self) -> UUID | None:
        return self.last.id if self.last else None

    @property
    def attempts(self) -> tuple[Attempt, ...]:
        return tuple(self.last.attempts) if self.last else ()

    @property
    def ttft(self) -> float | None:
        """Seconds from sending the successful attempt to the first content delta; None when it was not streamed."""
        return self.last.ttft if self.last else None

    @property
    def source(self) -> Source | None:
        return self.last.source if self.last else None

    def add(self, call: Call) -> None:
        self._calls.append(call)
        if len(self._calls) > REMEMBERED:
            del self._calls[0]


class Scope(NamedTuple):
    """The labels in force, and everybody who wants to know of the calls made."""

    labels: Mapping[str, Any]
    handles: tuple[Calls, ...]
    late: Callable[[], Mapping[str, Any]] | None = None
    """Labels that cost something to find out, and are asked for when a call is made."""


EMPTY: Final = Scope({}, ())
_scope: ContextVar[Scope] = ContextVar("llmclient_scope", default=EMPTY)


def current() -> Scope:
    """The scope the next call is made in."""
    scope = _scope.get()
    if scope.late is None:
        return scope
    found = quietly(scope.late) or {}
    return Scope(_merged(found, scope.labels), scope.handles)


@contextmanager
def late_labels(find: Callable[[], Mapping[str, Any]]) -> Iterator[Calls]:
    """Labels for every call inside, found out when one is made; those of a context inside win. For frameworks.

    `find` returns keyword arguments of `context`. What it raises leaves the call without these labels.
    """
    outer, handle = _scope.get(), Calls()

    def labels() -> Mapping[str, Any]:
        found = context(**find()).labels
        return found if outer.late is None else _merged(outer.late(), found)

    token = _scope.set(Scope(outer.labels, (*outer.handles, handle), labels))
    try:
        yield handle
    finally:
        with suppress(ValueError):  # left in another context than entered
            _scope.reset(token)


class context:  # noqa: N801  # used like a function: `with llmclient.context(...)`
    """Labels every call made inside; nested contexts merge, the inner one wins, tags are merged one by one.

    A context manager, for `with` in sync and async code alike, and a decorator for functions and coroutine functions.
    `user_id` and `session_id` are sent as given: give opaque ids, not e-mail addresses.
    """

    def __init__(
        self,
        *,
        feature: object = None,
        prompt_type: object = None,
        prompt_version: object = None,
        user_id: object = None,
        session_id: object = None,
        tags: Mapping[str, object] | None = None,
    ) -> None:
        given = {
            "feature": feature,
            "prompt_type": prompt_type,
            "prompt_version": prompt_version,
            "user_id": user_id,
            "session_id": session_id,
        }
        self._labels = {name: str(value)[:LABEL_LENGTH] for name, value in given.items() if value is not None}
        self._tags = _tags(tags) if tags else {}
        self._token: Token[Scope] | None = None

    @property
    def labels(self) -> dict[str, Any]:
        """As the wire spells them."""
        return {**self._labels, "tags": self._tags} if self._tags else self._labels

    def __enter__(self) -> Calls:
        if self._token is not None:
            raise RuntimeError("this context is already entered; make a new one with llmclient.context(...)")
        outer, handle = _scope.get(), Calls()
        self._token = _scope.set(Scope(_merged(outer.labels, self.labels), (*outer.handles, handle), outer.late))
        return handle

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        token, self._token = self._token, None
        if token is None:
            return
        try:
            _scope.reset(token)
        except ValueError:
            # Left in another context than entered (a generator closed elsewhere): there is nothing to restore here.
            return

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise TypeError(
                f"{function.__name__} is a generator: its body runs after the decorator is done. "
                "Write `with llmclient.context(...)` around the call inside it."
            )
        if inspect.iscoroutinefunction(function):

            @wraps(function)
            async def inside_async(*args: Any, **kwargs: Any) -> Any:
                with self._fresh():
                    return await function(*args, **kwargs)

            return inside_async  # type: ignore[return-value]  # a coroutine function stays one

        @wraps(function)
        def inside(*args: P.args, **kwargs: P.kwargs) -> R:
            with self._fresh():
                return function(*args, **kwargs)

        return inside

    def _fresh(self) -> "context":
        return context(**self._labels, tags=self._tags)


def prompt(prompt_type: str, *, version: object = None) -> context:
    """A context, most often a decorator, that names the prompt in use and its version."""
    return context(prompt_type=prompt_type, prompt_version=version)


def _tags(given: Mapping[str, object]) -> dict[str, str]:
    last = list(given.items())[-MAX_TAGS:]
    return {str(name)[:TAG_LENGTH]: str(value)[:LABEL_LENGTH] for name, value in last}


def _merged(outer: Mapping[str, Any], inner: Mapping[str, Any]) -> Mapping[str, Any]:
    """The inner label wins; tags are merged one by one."""
    if not outer:
        return inner
    merged = {**outer, **inner}
    if "tags" in outer and "tags" in inner:
        merged["tags"] = dict([*outer["tags"].items(), *inner["tags"].items()][-MAX_TAGS:])
    return merged
