"""The ways a process ends. Python's `atexit` is only one of them."""

import atexit
import sys
import weakref
from typing import Any, Protocol


class Closable(Protocol):
    def close(self) -> None: ...


def call_at_exit(closable: Closable) -> None:
    """Has `close()` called when this process ends, by whichever of its ways."""
    alive = weakref.ref(closable)

    def close(*_: Any, **__: Any) -> None:
        target = alive()
        if target is not None:
            target.close()

    atexit.register(close)
    # Forked children of multiprocessing and of billiard leave by os._exit and run these instead.
    for name in ("multiprocessing.util", "billiard.util"):
        util = sys.modules.get(name)
        if util is not None:
            util.Finalize(None, close, exitpriority=100)
    # A Celery pool child is ended without either; it sends a signal. `weak=False`: nobody else holds the function.
    signals = sys.modules.get("celery.signals")
    if signals is not None:
        signals.worker_process_shutdown.connect(close, weak=False)
