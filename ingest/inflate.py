"""Compressed bodies, inflated in steps that stop at a limit: a bomb costs what an honest batch costs."""

import zlib
from typing import Final

import zstandard

MOST_BYTES: Final = 8 * 1024 * 1024
"""Of a body, before and after inflating. Absolute: honest batches repeat one prompt and shrink a hundredfold."""

# A gzip file may be several put together. Each costs a copy of the rest, so there is an end to it.
_MOST_MEMBERS: Final = 64
_GZIP: Final = 16 + zlib.MAX_WBITS
# A frame may ask for a window, which is memory, as large as it likes.
_MOST_WINDOW: Final = MOST_BYTES


class UnknownEncodingError(ValueError):
    """Content-Encoding is not one of identity, gzip, zstd."""


class TooLargeError(ValueError):
    """More than MOST_BYTES."""


class DamagedError(ValueError):
    """The bytes are not what Content-Encoding says."""


def inflate(body: bytes, encoding: str) -> bytes:
    """The body without its Content-Encoding. Raises UnknownEncodingError, TooLargeError, DamagedError."""
    match encoding.strip().lower():
        case "" | "identity":
            return body
        case "gzip":
            return _gunzip(body)
        case "zstd":
            return _unzstd(body)
        case _:
            raise UnknownEncodingError(f"Content-Encoding {encoding[:64]!r} is not supported; use gzip, zstd or none.")


def _gunzip(body: bytes) -> bytes:
    inflated: list[bytes] = []
    room = MOST_BYTES
    rest = body
    for _ in range(_MOST_MEMBERS):
        member = zlib.decompressobj(_GZIP)
        try:
            # One byte over the limit is enough to know.
            part = member.decompress(rest, room + 1)
        except zlib.error as error:
            raise DamagedError(f"The body is not valid gzip: {error}.") from error
        room -= len(part)
        if room < 0:
            raise _too_large()
        if not member.eof:
            raise DamagedError("The body is not valid gzip: it ends too early.")
        inflated.append(part)
        rest = member.unused_data
        if not rest:
            return b"".join(inflated)
    raise DamagedError(f"The body is more than {_MOST_MEMBERS} gzip members.")


def _unzstd(body: bytes) -> bytes:
    decompressor = zstandard.ZstdDecompressor(max_window_size=_MOST_WINDOW)
    try:
        with decompressor.stream_reader(body, read_across_frames=True) as reader:
            inflated = reader.read(MOST_BYTES + 1)
    except zstandard.ZstdError as error:
        raise DamagedError(f"The body is not valid zstd: {error}.") from error
    if len(inflated) > MOST_BYTES:
        raise _too_large()
    return inflated


def _too_large() -> TooLargeError:
    return TooLargeError(f"The body is larger than {MOST_BYTES:,} bytes after inflating; send smaller batches.")
