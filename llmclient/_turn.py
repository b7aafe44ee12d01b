"""What one attempt holds while it is under way: a permit of the breaker and a turn under the rate limits."""

from collections.abc import Callable, Mapping
from typing import Any

from llmclient._admission import Admitted
from llmclient._breaker import Permit
from llmclient._errors import Category
from llmclient._groups import Group
from llmclient._quietly import quietly
from llmclient._shared import Shared


class Turn:
    """Given back once, whichever way the attempt ends; a second end changes nothing."""

    __slots__ = ("_admitted", "_clock", "_over", "_permit", "group", "shared")

    def __init__(
        self,
        group: Group,
        permit: Permit | None,
        admitted: Admitted | None,
        clock: Callable[[], float],
        shared: Shared | None = None,
    ) -> None:
        self.group = group
        self.shared = shared
        self._permit = permit
        self._admitted = admitted
        self._clock = clock
        self._over = False

    def over(self, category: Category | None, usage: Mapping[str, Any] | None = None) -> None:
        """The attempt is over; `category` is None when it was answered."""
        if self._over:
            return
        self._over = True
        used = counted(usage)
        quietly(self.group.over, self._permit, self._admitted, category, *used, self._clock())
        if self.shared is not None and self._admitted is not None:
            quietly(self.shared.settle, self.group, self._admitted.want, category, used)


def counted(usage: Mapping[str, Any] | None) -> tuple[int | None, int | None]:
    """The input and output tokens that count against the rate limits: what is read from a cache does not."""
    if not usage:
        return None, None
    written = usage.get("cache_creation_input_tokens")
    input_, output = usage.get("input_tokens"), usage.get("output_tokens")
    if not isinstance(output, int):
        output = None
    if not isinstance(input_, int):
        return None, output
    return input_ + written if isinstance(written, int) else input_, output
