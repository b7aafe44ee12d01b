"""Calls that wait for their turn: a bounded line per priority, first come first served inside. Pure.

Interactive calls go before background ones. So that these do not wait for ever, every tenth turn is theirs: when a
background call has been overtaken nine times in a row, the next turn is the first one's of them.
"""

import math
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from llmclient._admission import Admitted, Refused
    from llmclient._policy import Priority

OVERTAKEN: Final = 9
EWMA: Final = 0.05
MOST_SLOWNESS: Final = 4.0
FORGETTING: Final = 120.0  # seconds
SHORT: Final = 0.1  # seconds: less of a way in a line proves nothing


class Want(NamedTuple):
    """What an attempt is expected to use, in tokens; one request goes without saying."""

    input: float
    output: float


@dataclass(slots=True, eq=False)
class Ticket:
    """A place in the line, from `came_at` until `leaves_at` at most: then waiting is of no use to the caller."""

    want: Want
    priority: "Priority"
    came_at: float
    leaves_at: float
    predicted: float = 0.0
    """Seconds it would have to wait, as far as the limits tell."""
    wake: Callable[[], object] | None = None
    """Set by the caller: tells the waiter, from whatever thread, to ask again."""
    outcome: "Admitted | Refused | None" = None
    """What became of it; None while it waits."""


class Ahead(NamedTuple):
    """Who is served before a ticket when nobody else comes: how many, and what they want together."""

    requests: int
    input: float
    output: float


class Slowness:
    """How many times longer than predicted waits turn out, of late: somebody else uses the quota, or goes first."""

    __slots__ = ("_at", "_factor")

    def __init__(self) -> None:
        self._factor = 1.0
        self._at = 0.0

    def factor(self, now: float) -> float:
        """At least 1. What was seen is forgotten, or a line where nobody is let in any more would stay like that."""
        self._factor = 1.0 + (self._factor - 1.0) * math.exp(-max(0.0, now - self._at) / FORGETTING)
        self._at = now
        return self._factor

    def ended(self, ticket: Ticket, wait: float, now: float) -> None:
        """Counts a ticket whose wait was predicted and would now be `wait` seconds more."""
        way = ticket.predicted - wait
        if way >= SHORT:
            times = min(MOST_SLOWNESS, (now - ticket.came_at) / way)
            self._factor = max(1.0, self.factor(now) + EWMA * (times - self._factor))


class Queue:
    """At most `size` tickets. Not thread-safe: under a lock of the caller's."""

    __slots__ = ("_background", "_interactive", "_overtaken", "_size")

    def __init__(self, size: int) -> None:
        self._size = size
        self._interactive: deque[Ticket] = deque()
        self._background: deque[Ticket] = deque()
        self._overtaken = 0

    def __len__(self) -> int:
        return len(self._interactive) + len(self._background)

    @property
    def is_empty(self) -> bool:
        return not self._interactive and not self._background

    @property
    def full(self) -> bool:
        return len(self) >= self._size

    def passes(self, priority: "Priority") -> bool:
        """Whether somebody of this priority who comes now has nobody before them."""
        if self._interactive:
            return False
        return not self._background or (priority == "interactive" and self._overtaken < OVERTAKEN)

    def overtake(self) -> None:
        """Counts a call that was let in past the line."""
        if self._background:
            self._overtaken += 1

    def push(self, ticket: Ticket) -> None:
        self._line(ticket).append(ticket)

    def head(self) -> Ticket | None:
        """Whose turn it is."""
        return next(self.in_order(), None)

    def serve(self, ticket: Ticket) -> None:
        """Takes the head out, because it was let in."""
        self._line(ticket).popleft()
        self._overtaken = self._overtaken + 1 if ticket.priority == "interactive" and self._background else 0

    def remove(self, ticket: Ticket) -> None:
        """Takes a ticket out that was not let in; one that is not in line is none of ours."""
        line = self._line(ticket)
        if ticket in line:
            line.remove(ticket)
        if not self._background:
            self._overtaken = 0

    def ahead(self, ticket: Ticket) -> Ahead:
        """Who is served before a waiting ticket when nobody else comes."""
        requests, input_, output = 0, 0.0, 0.0
        for other in self.in_order():
            if other is ticket:
                break
            requests += 1
            input_ += other.want.input
            output += other.want.output
        return Ahead(requests, input_, output)

    def in_order(self) -> Iterator[Ticket]:
        """The tickets in the order in which they are served when nobody else comes."""
        interactive, background = iter(self._interactive), iter(self._background)
        first, second = next(interactive, None), next(background, None)
        overtaken = self._overtaken
        while first is not None or second is not None:
            if second is not None and (first is None or overtaken >= OVERTAKEN):
                yield second
                second, overtaken = next(background, None), 0
            else:
                assert first is not None
                yield first
                first, overtaken = next(interactive, None), overtaken + 1

    def _line(self, ticket: Ticket) -> deque[Ticket]:
        return self._interactive if ticket.priority == "interactive" else self._background
