"""Streams through Bedrock come in AWS's binary frames; here they become the server-sent events they stand for.

A frame is its length, the length of its headers and a checksum (4 bytes each), the headers, the payload, and a
checksum. The payload is JSON with the event, base64, in `bytes`. Checksums are the SDK's business: this only looks on.
Source: the vnd.amazon.eventstream encoding, in the reference of Amazon Transcribe and of Bedrock's streaming API.
"""

import base64
import binascii
import json
from typing import Final

KIND: Final = "application/vnd.amazon.eventstream"
PRELUDE: Final = 12  # bytes before the headers
CHECKSUM: Final = 4
LARGEST_FRAME: Final = 16 * 1024 * 1024


class FrameDecoder:
    """Chunks of frames in, server-sent events out; what is no frame is a ValueError."""

    def __init__(self) -> None:
        self._rest = b""

    def __call__(self, chunk: bytes) -> bytes:
        self._rest += chunk
        events = []
        while len(self._rest) >= PRELUDE:
            total, headers = int.from_bytes(self._rest[:4]), int.from_bytes(self._rest[4:8])
            if not PRELUDE + CHECKSUM + headers <= total <= LARGEST_FRAME:
                raise ValueError(f"a frame of {total} bytes with {headers} bytes of headers is none")
            if len(self._rest) < total:
                break
            events.append(_event(self._rest[PRELUDE + headers : total - CHECKSUM]))
            self._rest = self._rest[total:]
        return b"".join(events)


def _event(payload: bytes) -> bytes:
    """An exception of AWS's has no `bytes`; it is told as the error it is."""
    found = json.loads(payload)
    encoded = found.get("bytes")
    if encoded is None:
        said = json.dumps({"type": "error", "error": {"type": "api_error", "message": found.get("message")}})
        return f"event: error\ndata: {said}\n\n".encode()
    try:
        data = base64.b64decode(encoded)
    except (binascii.Error, TypeError):
        raise ValueError("the bytes of a frame are not base64") from None
    kind = json.loads(data).get("type", "")
    return b"event: " + str(kind).encode() + b"\ndata: " + data + b"\n\n"
