"""Reads a stream of server-sent events as it passes by, byte for byte, without decoding what it need not know.

Pure: bytes and the time in, facts out. Only `message_start`, `message_delta` and `error` are decoded; the deltas of
the text are kept as they came and decoded when somebody asks for the text.
"""

import json
from collections.abc import Iterator
from typing import Any, Final

from llmclient import _stream, _usage

KEPT_BYTES: Final = 4 * 1024 * 1024  # of delta events; beyond it text is counted, no longer kept
ENVELOPE_BYTES: Final = 90  # around the text of one delta: good enough for counting what is no longer kept
TEXT_OF_DELTA: Final = {
    "text_delta": "text",
    "thinking_delta": "thinking",
    "input_json_delta": "partial_json",
}


class StreamReader:
    """What is known about a streamed message so far. Times are whatever clock `feed` is given, in seconds."""

    __slots__ = (
        "_blocks",
        "_data",
        "_event",
        "_rest",
        "_start",
        "_uncounted",
        "error",
        "events",
        "first_delta_at",
        "first_text_at",
        "has_content",
        "kept",
        "model",
        "pings",
        "stop_details",
        "stop_reason",
        "stop_sequence",
        "stopped",
        "usage",
        "usage_final",
    )

    def __init__(self) -> None:
        self._rest = b""
        self._event = b""
        self._data = b""
        self._blocks: list[bytes] = []  # the data of content_block_start and content_block_delta events
        self.kept = 0
        self._uncounted = 0  # characters of deltas that were not kept
        self.events = 0
        self.pings = 0
        self.usage: dict[str, Any] = {}
        self.model: str | None = None
        self._start: dict[str, Any] = {}  # the message as it began
        self.stop_reason: str | None = None
        self.stop_details: dict[str, Any] | None = None
        self.stop_sequence: str | None = None
        self.usage_final = False
        self.stopped = False
        self.error: dict[str, Any] | None = None
        self.has_content = False
        self.first_delta_at: float | None = None
        self.first_text_at: float | None = None

    def feed(self, chunk: bytes, now: float) -> int | None:
        """Takes the next bytes; returns how many of them may be passed on when an error event ends in them."""
        start = 0
        if not (self._rest or self._event or self._data):
            # As the API writes them: a line with the event, one with its data, an empty one. Most chunks are just that.
            while chunk.startswith(b"event: ", start):
                line = chunk.find(b"\n", start)
                end = chunk.find(b"\n", line + 1)
                if end < 0 or not (chunk.startswith(b"data:", line + 1) and chunk.startswith(b"\n", end + 1)):
                    break
                self._dispatch(chunk[start + 7 : line].strip(), chunk[line + 6 : end], now)
                if self.error is not None:
                    return start
                start = end + 2
            if start == len(chunk):
                return None
        cut = self._feed_lines(chunk[start:] if start else chunk, now)
        return None if cut is None else start + cut

    def _feed_lines(self, chunk: bytes, now: float) -> int | None:
        """The same for bytes that are cut or written in any way that is allowed."""
        start = -len(self._rest)  # where in `chunk` the line under the cursor began
        event_start = start if not self._event and not self._data else -1
        lines = (self._rest + chunk).split(b"\n")
        self._rest = lines.pop()
        for line in lines:
            start += len(line) + 1
            field = line.rstrip(b"\r")
            if field.startswith(b"data:"):
                self._data = self._data + b"\n" + field[5:] if self._data else field[5:]
            elif field.startswith(b"event:"):
                self._event = field[6:].strip()
            elif not field:
                event, data = self._event, self._data
                self._event = self._data = b""
                self._dispatch(event, data, now)
                if self.error is not None:
                    return max(event_start, 0)
                event_start = start
        return None

    def _dispatch(self, event: bytes, data: bytes, now: float) -> None:
        if not event:
            return
        self.events += 1
        if event == b"content_block_delta":
            if not self.has_content or self.first_text_at is None:
                self._first_deltas(data, now)
            self._keep(data)
        elif event == b"ping":
            self.pings += 1
        elif event in (b"content_block_start", b"content_block_stop"):
            self._keep(data)
        elif event == b"message_start":
            message = self._start = json.loads(data)["message"]
            self.model = message.get("model")
            self.usage = dict(message.get("usage") or {})
        elif event == b"message_delta":
            self._message_delta(json.loads(data))
        elif event == b"message_stop":
            self.stopped = True
        elif event == b"error":
            self.error = _error_of(data)

    def _first_deltas(self, data: bytes, now: float) -> None:
        if self.first_delta_at is None:
            self.first_delta_at = now
        if self.first_text_at is None and b'"text_delta"' in data:
            self.first_text_at = now
        if not self.has_content:
            kind, text = _delta_text(_loads(data))
            self.has_content = bool(text) or kind not in TEXT_OF_DELTA  # a refusal begins with a text of nothing

    def _keep(self, data: bytes) -> None:
        kept = self.kept + len(data)
        if kept > KEPT_BYTES:
            self._uncounted += max(len(data) - ENVELOPE_BYTES, 0)
            return
        self.kept = kept
        self._blocks.append(data)

    def _message_delta(self, event: dict[str, Any]) -> None:
        delta = event.get("delta") or {}
        self.usage = _usage.merge(self.usage, event.get("usage") or {})
        self.stop_reason = delta.get("stop_reason") or self.stop_reason
        self.stop_details = delta.get("stop_details") or self.stop_details
        self.stop_sequence = delta.get("stop_sequence") or self.stop_sequence
        self.usage_final = self.stop_reason is not None

    def settled_usage(self) -> dict[str, Any]:
        """The usage; for a stream that broke off, with the output estimated from what was received."""
        if self.usage_final or not self.usage:
            return self.usage
        characters = sum(len(text) for _, text in self._deltas()) + self._uncounted
        reported = self.usage.get("output_tokens")
        received = _usage.estimate_tokens(characters)
        return {**self.usage, "output_tokens": max(received, reported if isinstance(reported, int) else 0)}

    def text(self) -> str:
        """The visible text received so far."""
        return "".join(text for kind, text in self._deltas() if kind == "text_delta")

    def message(self) -> dict[str, Any] | None:
        """The message as it would have come in one piece; None when it did not come whole, or was not all kept."""
        if not self.stopped or self._uncounted:
            return None
        end = {"stop_reason": self.stop_reason, "stop_details": self.stop_details, "stop_sequence": self.stop_sequence}
        return _stream.assembled(
            [
                {"type": "message_start", "message": self._start},
                *self._events(),
                {"type": "message_delta", "delta": end, "usage": self.usage},
                {"type": "message_stop"},
            ]
        )

    def content(self) -> list[dict[str, Any]]:
        """The content blocks received so far, put together from their deltas."""
        blocks: dict[int, dict[str, Any]] = {}
        parts: dict[int, list[tuple[str, str]]] = {}
        for event in self._events():
            index = event.get("index", 0)
            if "content_block" in event:
                blocks[index] = dict(event["content_block"])
            else:
                parts.setdefault(index, []).append(_delta_text(event))
        for index, deltas in parts.items():
            block = blocks.setdefault(index, {"type": "text"})
            for kind, field in TEXT_OF_DELTA.items():
                joined = "".join(text for found, text in deltas if found == kind)
                if joined and kind == "input_json_delta":
                    block["input"] = _loads(joined.encode()) or joined
                elif joined:
                    block[field] = f"{block.get(field) or ''}{joined}"
        return [blocks[index] for index in sorted(blocks)]

    def _deltas(self) -> Iterator[tuple[str, str]]:
        for event in self._events():
            if "delta" in event:
                yield _delta_text(event)

    def _events(self) -> list[dict[str, Any]]:
        """What was kept, decoded; empty where it is no object of JSON."""
        blocks = self._blocks
        try:  # all at once, which takes a third of the time
            events = json.loads(b"[" + b",".join(blocks) + b"]")
        except ValueError:
            events = []
        if len(events) == len(blocks) and all(isinstance(event, dict) for event in events):
            return events  # type: ignore[no-any-return]  # that is what was just looked at
        return [_loads(data) for data in blocks]


def _delta_text(event: dict[str, Any]) -> tuple[str, str]:
    delta = event.get("delta") or {}
    kind = delta.get("type", "")
    return kind, delta.get(TEXT_OF_DELTA.get(kind, ""), "")


def _error_of(data: bytes) -> dict[str, Any]:
    body = _loads(data)
    error = body.get("error")
    return error if isinstance(error, dict) else {"message": data.decode("utf-8", "replace").strip()[:500]}


def _loads(data: bytes) -> dict[str, Any]:
    try:
        value = json.loads(data)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
