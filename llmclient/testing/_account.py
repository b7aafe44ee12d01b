"""The organisation behind the fake: its keys, models and limits, and what it was served."""

import math
from collections.abc import Callable, Iterable
from datetime import datetime

from llmclient.testing import _messages
from llmclient.testing._answers import Failure, fail
from llmclient.testing._batches import Batch, Batches, Item
from llmclient.testing._buckets import Limits
from llmclient.testing._ledger import Ledger
from llmclient.testing._lineup import Lineup, Model
from llmclient.testing._pools import Pools
from llmclient.testing._requests import Request
from llmclient.testing._response import Headers, Response, json_response


class Keys:
    """Which API keys are accepted: all of them until somebody names some. May be changed from another thread."""

    def __init__(self, keys: Iterable[str] | None) -> None:
        self._accepted = None if keys is None else frozenset(keys)
        self._revoked: frozenset[str] = frozenset()

    def accept(self, *keys: str) -> None:
        """From now on these and no others."""
        self._accepted, self._revoked = frozenset(keys), frozenset()

    def revoke(self, *keys: str) -> None:
        self._revoked |= frozenset(keys)

    def accepts(self, key: str) -> bool:
        return key not in self._revoked and (self._accepted is None or key in self._accepted)


class Account:
    """Not thread-safe, but for its keys and models: it belongs to the event loop of one server.

    `clock` is the fake's, in seconds; `wall` is the time of day, aware UTC.
    """

    def __init__(
        self,
        *,
        limits: Limits | None,
        models: Iterable[Model],
        keys: Iterable[str] | None,
        seed: int,
        speed: float,
        clock: Callable[[], float],
        wall: Callable[[], datetime],
    ) -> None:
        self.keys = Keys(keys)
        self.models = Lineup(models)
        self.pools = Pools(limits, speed=speed, clock=clock)
        self.ledger = Ledger()
        self.batches = Batches(seed)
        self.clock, self.wall, self._speed = clock, wall, speed

    def book_batches(self) -> None:
        """What ended since somebody last looked goes into the ledger."""

        def book(batch: Batch, item: Item) -> None:
            at = min(batch.instant(batch.created + item.seconds), self.wall())
            self.ledger.book(at, item.model, batch.key, item.usage or {})

        self.batches.book(self.clock(), book)

    def refuse(self, failure: Failure, request: Request, request_id: str, headers: Headers | None = None) -> Response:
        """An error answer, with the headers of the limits the request counts against."""
        limits = self.pools.headers(self.pools.of(request.model)) if headers is None else headers
        lines = [*failure.headers.items(), *limits]
        if failure.retry_after is not None:
            # The client waits by the real clock.
            wait = failure.retry_after / self._speed
            lines.append(("retry-after", str(math.ceil(wait))))
            lines.append(("retry-after-ms", str(max(1, round(wait * 1000)))))
        body = _messages.error_body(failure, request_id)
        return json_response(failure.status, body, request_id, lines, failure.delay)

    def too_many(self, wait: float, request: Request, request_id: str, headers: Headers | None = None) -> Response:
        """A 429 of our own limits; `wait`: seconds of the fake's clock."""
        return self.refuse(fail(429, retry_after=wait), request, request_id, headers)
