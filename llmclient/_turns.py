"""A lock for state that a garbage collection may want to change in the middle of a change.

An abandoned stream is closed by the collector, in whatever thread and at whatever line it runs: also inside the lock,
in the thread that holds it. Such a visitor must neither wait nor change anything; it asks `mine` and leaves a note.
"""

import threading


class Turns:
    __slots__ = ("_lock", "_whose")

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._whose: int | None = None

    @property
    def mine(self) -> bool:
        """This thread is in the middle of a turn."""
        return self._whose == threading.get_ident()

    def __enter__(self) -> None:
        self._lock.acquire()
        self._whose = threading.get_ident()

    def __exit__(self, *_: object) -> None:
        self._whose = None
        self._lock.release()
