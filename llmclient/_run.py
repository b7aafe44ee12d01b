"""A function of the application's or of a store's that somebody else is to call: a thread can wait, an event loop not.

What decides (a fallback, a pool of keys) is a generator that yields these and does no I/O itself; whoever drives it
performs each one and sends its result back, or throws its exception in.
"""

import inspect
from collections.abc import Callable
from typing import Any


class Run:
    """Calls `function`; `blocking` when it waits for something outside the process."""

    __slots__ = ("arguments", "blocking", "function")

    def __init__(self, function: Callable[..., Any], *arguments: Any, blocking: bool = False) -> None:
        self.function = function
        self.arguments = arguments
        self.blocking = blocking

    def perform(self, _: Any = None) -> Any:
        """In sync code. Raises TypeError for an async function."""
        result = self.function(*self.arguments)
        if hasattr(result, "__await__") or inspect.iscoroutine(result):
            if inspect.iscoroutine(result):
                result.close()
            raise TypeError(f"{self.function!r} is async; that works with the async clients only")
        return result

    async def perform_async(self, _: Any = None) -> Any:
        """In async code: what blocks does so in a thread, an async function is awaited."""
        if self.blocking:
            import anyio.to_thread  # noqa: PLC0415  # it comes with the SDK, which is not loaded with this package

            result = await anyio.to_thread.run_sync(self.function, *self.arguments)
        else:
            result = self.function(*self.arguments)
        return await result if inspect.isawaitable(result) else result


def is_async(function: Any) -> bool:
    """Whether calling it gives something to be awaited, as far as can be told without calling it."""
    called = getattr(function, "__call__", None)  # noqa: B004  # of an object that can be called
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(called)
