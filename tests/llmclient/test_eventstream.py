"""AWS's frames, taken apart."""

import base64
import json
import struct
import zlib

import pytest

from llmclient._eventstream import FrameDecoder


def frame(payload: bytes, headers: bytes = b"") -> bytes:
    """As the encoding has it: lengths, checksum of the lengths, headers, payload, checksum of it all."""
    lengths = struct.pack("!II", 12 + len(headers) + len(payload) + 4, len(headers))
    whole = lengths + struct.pack("!I", zlib.crc32(lengths)) + headers + payload
    return whole + struct.pack("!I", zlib.crc32(whole))


def event(kind: str) -> bytes:
    data = json.dumps({"type": kind}).encode()
    return frame(json.dumps({"bytes": base64.b64encode(data).decode()}).encode(), b"\x0b:event-type\x07\x00\x05chunk")


def test_frames_become_server_sent_events() -> None:
    assert FrameDecoder()(event("message_start") + event("ping")) == (
        b'event: message_start\ndata: {"type": "message_start"}\n\nevent: ping\ndata: {"type": "ping"}\n\n'
    )


def test_a_frame_may_come_byte_by_byte() -> None:
    decode = FrameDecoder()
    whole = event("message_stop")
    assert [decode(whole[at : at + 1]) for at in range(len(whole) - 1)] == [b""] * (len(whole) - 1)
    assert decode(whole[-1:]) == b'event: message_stop\ndata: {"type": "message_stop"}\n\n'


def test_an_exception_of_awss_is_an_error() -> None:
    said = FrameDecoder()(frame(b'{"message":"Too many requests"}'))
    assert said.startswith(b"event: error\ndata: ")
    assert json.loads(said.partition(b"data: ")[2]) == {
        "type": "error",
        "error": {"type": "api_error", "message": "Too many requests"},
    }


@pytest.mark.parametrize(
    "what", [b"\x00\x00\x00\x10" + bytes(12), b"\xff" * 16, frame(b'{"bytes": "no base64"}'), frame(b"no json")]
)
def test_what_is_no_frame_is_said(what: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        FrameDecoder()(what)
