"""Message batches: each result that is read becomes an event, as if it had been a call of its own.

The time of a result is that of its batch, which is known once the batch has been created, retrieved or listed here;
the SDK retrieves it before it reads results. The event's id is a function of that time, the batch and the custom id:
results read twice are stored once.
"""

import json
import re
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from hashlib import blake2b
from typing import Any, Final, NamedTuple

from llmclient import _errors
from llmclient._call import Attempt, Call, Failure, Outcome
from llmclient._watch import decoder

REMEMBERED: Final = 1_000  # batches whose times are known
LONGEST_LINE: Final = 8 * 1024 * 1024
BATCH: Final = re.compile(r"/v1/messages/batches(?:/(?P<id>[^/?]+)(?P<results>/results)?)?(?:\?|$)")


class Times(NamedTuple):
    """When a batch was created and when it ended, in Unix milliseconds."""

    created: int
    ended: int | None


class BatchTimes:
    """Remembers the times of the batches seen lately."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, Times] = OrderedDict()

    def look_at(self, document: object) -> None:
        """A batch, or a page of them, as the API describes them."""
        for found in _batches_in(document):
            times = Times(_unix_ms(found["created_at"]), _unix_ms(found["ended_at"]) if found.get("ended_at") else None)
            self._known[found["id"]] = times
            self._known.move_to_end(found["id"])
            if len(self._known) > REMEMBERED:
                self._known.popitem(last=False)

    def of(self, batch_id: str) -> Times | None:
        return self._known.get(batch_id)


class ItemsWatch:
    """Watches results pass by, line by line. See `_watch` for what is asked of a watch."""

    shown = True
    told = False
    due_at = float("inf")
    now = time.monotonic

    def __init__(self, tell: Callable[[bytes], None], *, decode: Callable[[bytes], bytes] | None) -> None:
        self._tell = tell
        self._decode = decode
        self._rest = b""

    def feed(self, chunk: bytes) -> tuple[bytes, None]:
        *lines, rest = (self._rest + (self._decode(chunk) if self._decode else chunk)).split(b"\n")
        self._rest = rest if len(rest) <= LONGEST_LINE else b""
        for line in lines:
            if line.strip():
                self._tell(line)
        return chunk, None

    def ended(self) -> None:
        rest, self._rest = self._rest, b""
        if rest.strip():
            self._tell(rest)

    def failed(self, error: BaseException) -> BaseException:
        return error

    def closed(self) -> None:
        """What was read has been told."""

    def give_up(self) -> None:
        """What was read has been told."""


TIMES: Final = BatchTimes()


def follow(url: str, response: Any, tell: Callable[[Call], None], labels: Mapping[str, Any], body_class: Any) -> None:
    """Looks at what an answer of the batches' addresses says; results that are still to be read are watched."""
    found = BATCH.search(url)
    if found is None or not response.is_success:
        return
    if not found["results"]:
        TIMES.look_at(json.loads(response.content))
        return
    batch_id = found["id"]
    times = TIMES.of(batch_id) or Times(time.time_ns() // 1_000_000, None)
    decode = decoder(response.headers.get("content-encoding", ""))
    watch = ItemsWatch(lambda line: tell(call_of(line, batch_id, times, labels)), decode=decode)
    response.stream = body_class(response.stream, watch)


def call_of(line: bytes, batch_id: str, times: Times, labels: Mapping[str, Any]) -> Call:
    """The event of one line of results."""
    item = json.loads(line)
    custom_id, result = str(item["custom_id"]), item["result"]
    message = result.get("message") or {}
    outcome, failure = _end_of(result)
    tags = {**labels.get("tags", {}), "custom_id": custom_id[:200], "batch_id": batch_id[:200]}
    duration = 0.0 if times.ended is None else max(0, times.ended - times.created) / 1000
    call = Call(
        id=item_id(times.created, batch_id, custom_id),
        started_ms=times.created,
        operation="batch_item",
        labels={**labels, "tags": tags},
        model=message.get("model"),
        attempts=[Attempt(1, 0.0, duration=duration, category=failure.category if failure else None)],
        usage=message.get("usage"),
        stop_reason=message.get("stop_reason"),
        duration=duration,
        received=json.dumps(message).encode() if message else None,
    )
    call.outcome, call.error = outcome, failure
    return call


def item_id(created_ms: int, batch_id: str, custom_id: str) -> uuid.UUID:
    """UUIDv7 whose random part is a digest of what the result is called."""
    digest = int.from_bytes(blake2b(f"{batch_id}/{custom_id}".encode(), digest_size=10).digest(), "big")
    head = (created_ms & 0xFFFF_FFFF_FFFF) << 80 | (0x7000 | digest >> 68 & 0xFFF) << 64
    return uuid.UUID(int=head | 0x2 << 62 | digest & 0x3FFF_FFFF_FFFF_FFFF)


def _end_of(result: Mapping[str, Any]) -> tuple[Outcome, Failure | None]:
    kind = result.get("type")
    if kind == "succeeded":
        return "ok", None
    if kind == "canceled":
        return "cancelled", Failure("cancelled")
    error = (result.get("error") or {}).get("error") or {}
    type_, message = error.get("type") or kind, error.get("message")
    category = _errors.BY_TYPE.get(str(type_), "invalid_request" if kind == "errored" else "timeout")
    return "error", Failure(category, type_, message=message)


def _batches_in(document: object) -> Iterator[Mapping[str, Any]]:
    found = document.get("data", [document]) if isinstance(document, dict) else []
    for batch in found if isinstance(found, list) else []:
        if isinstance(batch, dict) and batch.get("type") == "message_batch" and batch.get("created_at"):
            yield batch


def _unix_ms(instant: str) -> int:
    return int(datetime.fromisoformat(instant).timestamp() * 1000)
