"""What a process tells about itself beside its events: the state of its guards, and how that changed."""

import sys
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Final

from llmclient._wire import instant

if TYPE_CHECKING:
    from llmclient._breaker import Transition

KEPT: Final = 100  # changes waiting to be told; a breaker that flaps for an hour makes fewer

_changes: deque[dict[str, Any]] = deque(maxlen=KEPT)


def breaker_changed(group: str, change: "Transition") -> None:
    """A breaker opened, closed, or lets probes through."""
    _changes.append(
        {
            "at": instant(time.time_ns() // 1_000_000),
            "group": group,
            "before": change.before,
            "after": change.after,
            "reason": change.reason,
            "retry_in_s": round(change.retry_in, 3),
        }
    )


def report() -> dict[str, Any]:
    """For the header of a batch: the guards by model group, and the last changes of their breakers.

    The same changes are told again with the next batch; group and instant say whether one is known already.
    """
    groups = sys.modules.get("llmclient._groups")  # only where calls are made there are guards
    every = [] if groups is None else groups.every_group()
    guards = {group.name: group.snapshot(time.monotonic()) for group in every}
    found = {"guards": guards, "transitions": list(_changes)}
    return {name: value for name, value in found.items() if value}


def forget() -> None:
    """Nothing was told: for a forked child, and for tests."""
    _changes.clear()
