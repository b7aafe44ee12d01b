"""A lock that outlives a fork: a child must not wait for a thread that exists in its parent only."""

import os
import threading
import weakref
from types import TracebackType


class ForkLock:
    """For `with`, like `threading.Lock`; a forked child finds it open, whoever held it.

    `with lock.held` is the same for what every call passes through: a lock of its own kind is entered without Python.
    """

    __slots__ = ("__weakref__", "held")

    def __init__(self) -> None:
        self.held = threading.Lock()
        _locks.add(self)

    def __enter__(self) -> None:
        self.held.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.held.release()

    def renew(self) -> None:
        self.held = threading.Lock()


_locks: weakref.WeakSet[ForkLock] = weakref.WeakSet()


def _renew_all() -> None:
    for lock in list(_locks):
        lock.renew()


if hasattr(os, "register_at_fork"):  # not on Windows, where nothing forks
    os.register_at_fork(after_in_child=_renew_all)
