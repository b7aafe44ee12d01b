"""Message batches: taken in, worked on in the fake's own time, and read back in no particular order.

Nothing runs in the background: what a batch looks like is worked out when somebody asks.
"""

import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from llmclient.testing import _messages
from llmclient.testing._answers import DAY, Answer, Failure, HangUp, Reply, fail

MOST_REQUESTS: Final = 100_000
CUSTOM_ID: Final = re.compile(r"[a-zA-Z0-9_-]{1,64}")
CANCELLING: Final = 1.0  # seconds from asking to the end of what cannot be interrupted


@dataclass(frozen=True, slots=True)
class Item:
    """One request of a batch: what it will have come to after `seconds`, unless it is cancelled or expires first."""

    custom_id: str
    seconds: float
    result: Mapping[str, Any]
    model: str = ""

    @property
    def usage(self) -> Mapping[str, Any] | None:
        """What is billed for it; None for what was not answered."""
        usage: Mapping[str, Any] | None = self.result.get("message", {}).get("usage")
        return usage


@dataclass(slots=True)
class Batch:
    """Times are seconds of the fake's clock; `created_at` is the same instant on the wall."""

    id: str
    key: str
    created: float
    created_at: datetime
    items: Sequence[Item]
    cancelled: float | None = None
    booked: bool = False
    order: Sequence[int] = field(default_factory=tuple)

    @property
    def ends(self) -> float:
        """When the last of its requests is done, cancelled or expired."""
        done = self.created + min(DAY, max(item.seconds for item in self.items))
        return done if self.cancelled is None else min(done, self.cancelled + CANCELLING)

    def fate(self, item: Item) -> Mapping[str, Any]:
        """The result of one request, once the batch has ended."""
        if self.created + item.seconds <= self.ends:
            return item.result
        return {"type": "expired" if self.ends == self.created + DAY else "canceled"}

    def instant(self, seconds: float) -> datetime:
        """The wall's time of an instant of the fake's clock."""
        return self.created_at + timedelta(seconds=seconds - self.created)

    def counts(self, now: float) -> dict[str, int]:
        counts = dict.fromkeys(("processing", "succeeded", "errored", "canceled", "expired"), 0)
        for item in self.items:
            counts[self.fate(item)["type"] if now >= self.ends else "processing"] += 1
        return counts

    def as_json(self, now: float, base: str) -> dict[str, Any]:
        """The object the API shows; `base` is the address results are read from."""
        ended = now >= self.ends
        underway = "in_progress" if self.cancelled is None else "canceling"
        return {
            "id": self.id,
            "type": "message_batch",
            "processing_status": "ended" if ended else underway,
            "request_counts": self.counts(now),
            "created_at": self.created_at.isoformat(),
            "expires_at": (self.created_at + timedelta(seconds=DAY)).isoformat(),
            "ended_at": self.instant(self.ends).isoformat() if ended else None,
            "cancel_initiated_at": None if self.cancelled is None else self.instant(self.cancelled).isoformat(),
            "archived_at": None,
            "results_url": f"{base}/v1/messages/batches/{self.id}/results" if ended else None,
        }

    def results(self) -> bytes:
        """The lines of the results file, in the order of nobody."""
        items = [self.items[index] for index in self.order]
        lines = ({"custom_id": item.custom_id, "result": self.fate(item)} for item in items)
        return b"".join(_messages.encode(line) + b"\n" for line in lines)


class Batches:
    """All batches of the organisation, newest last. Not thread-safe: it belongs to the event loop of one server."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._batches: dict[str, Batch] = {}

    def find(self, name: str) -> Batch | None:
        return self._batches.get(name)

    def all(self) -> list[Batch]:
        """Newest first."""
        return list(self._batches.values())[::-1]

    def processing(self, now: float) -> int:
        """Requests that wait for their answers."""
        return sum(len(batch.items) for batch in self._batches.values() if now < batch.ends)

    def add(self, key: str, items: Sequence[Item], created: float, created_at: datetime) -> Batch:
        number = len(self._batches) + 1
        dice = random.Random(f"{self._seed}:batch:{number}:{created_at}")  # noqa: S311  no secret
        order = list(range(len(items)))
        dice.shuffle(order)
        if order == sorted(order):
            order.reverse()  # nobody may come to rely on it
        batch = Batch(f"msgbatch_{dice.getrandbits(96):024x}", key, created, created_at, items, order=order)
        self._batches[batch.id] = batch
        return batch

    def delete(self, name: str) -> None:
        del self._batches[name]

    def book(self, now: float, book: Callable[[Batch, Item], None]) -> None:
        """Tells once of every answered request of the batches that have ended."""
        for batch in self._batches.values():
            if batch.booked or now < batch.ends:
                continue
            batch.booked = True
            for item in batch.items:
                if item.usage is not None and batch.fate(item) is item.result:
                    book(batch, item)


def item_of(custom_id: str, answer: Answer, params: Mapping[str, Any] | None, request_id: str, *, usual: float) -> Item:
    """One request with its answer. An answer with a time of its own takes that long, any other `usual` seconds."""
    if isinstance(answer, HangUp) or (isinstance(answer, Reply) and answer.breaks is not None):
        answer = fail(500)  # inside a batch nobody sees a connection break
    if isinstance(answer, Failure):
        error = _messages.error_body(answer, request_id)
        return Item(custom_id, answer.delay or usual, {"type": "errored", "error": error})
    assert params is not None
    message = _messages.message(answer, params, request_id.replace("req_", "msg_", 1))
    message["usage"] = {**message["usage"], "service_tier": "batch"}
    seconds = max(answer.ttft, answer.duration or 0.0)
    return Item(custom_id, seconds or usual, {"type": "succeeded", "message": message}, message["model"])


def read_requests(body: Mapping[str, Any] | None) -> list[tuple[str, Any]] | Failure:
    """The custom ids and parameters of a new batch, or why they cannot be taken."""
    requests = body.get("requests") if body is not None else None
    if not isinstance(requests, list) or not requests:
        return fail(400, message="requests: Field required")
    if len(requests) > MOST_REQUESTS:
        return fail(413, message=f"requests: at most {MOST_REQUESTS} in one batch")
    found: dict[str, Any] = {}
    for number, request in enumerate(requests):
        custom_id = request.get("custom_id") if isinstance(request, dict) else None
        if not isinstance(custom_id, str) or not CUSTOM_ID.fullmatch(custom_id):
            return fail(400, message=f"requests.{number}.custom_id: does not match {CUSTOM_ID.pattern}")
        if custom_id in found:
            return fail(400, message=f"requests.{number}.custom_id: {custom_id} is there twice")
        found[custom_id] = request.get("params")
    return list(found.items())
