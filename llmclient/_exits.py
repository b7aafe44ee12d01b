"""The ways a process ends. Python's `atexit` is only one of them."""

import atexit
import sys
import weakref
from typing import Any, Protocol

from llmclient._quietly import quietly


class Closable(Protocol):
    """What is to be closed. With a method `flush_briefly` it is also told where the process may be killed soon."""

    def close(self) -> None: ...


def call_at_exit(closable: Closable) -> None:
    """Has `close()` called when this process ends, by whichever of its ways.

    Called in the process that ends, so what makes it a child of somebody's pool is imported by then.
    """
    alive = weakref.ref(closable)

    def close(*_: Any, **__: Any) -> None:
        target = alive()
        if target is not None:
            target.close()

    def flush(*_: Any, **__: Any) -> None:
        briefly = getattr(alive(), "flush_briefly", None)
        if briefly is not None and _in_a_pool():
            quietly(briefly)

    atexit.register(close)
    # Forked children of multiprocessing and of billiard leave by os._exit and run these instead.
    for name in ("multiprocessing.util", "billiard.util"):
        util = sys.modules.get(name)
        if util is not None:
            util.Finalize(None, close, exitpriority=100)
    # A Celery pool child is ended without either; it sends a signal. `weak=False`: nobody else holds the functions.
    signals = sys.modules.get("celery.signals")
    if signals is not None:
        signals.worker_process_shutdown.connect(close, weak=False)
        # By a time limit, or for want of memory, it is killed without even that. A task that is over is over.
        signals.task_postrun.connect(flush, weak=False)


def _in_a_pool() -> bool:
    """Whether this is a process of Celery's that does tasks and nothing else."""
    process = sys.modules.get("billiard.process")
    return process is not None and process.current_process().name != "MainProcess"
