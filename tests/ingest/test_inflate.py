"""Inflating up to a limit, and not a byte of memory beyond it."""

import gzip
import tracemalloc

import pytest
import zstandard

from ingest.inflate import MOST_BYTES, DamagedError, TooLargeError, UnknownEncodingError, inflate

BOMB = bytes(256 * 1024 * 1024)


def test_a_body_without_encoding_is_left_as_it_is() -> None:
    assert inflate(b"\x1f\x8b not looked at", "") == b"\x1f\x8b not looked at"


def test_exactly_the_limit_is_let_in_and_one_byte_more_is_not() -> None:
    for encoding, compress in (("gzip", gzip.compress), ("zstd", zstandard.ZstdCompressor().compress)):
        assert len(inflate(compress(bytes(MOST_BYTES)), encoding)) == MOST_BYTES
        with pytest.raises(TooLargeError):
            inflate(compress(bytes(MOST_BYTES + 1)), encoding)


def test_members_add_up_to_one_body_with_one_limit() -> None:
    half = gzip.compress(bytes(MOST_BYTES // 2))
    assert len(inflate(half + half, "gzip")) == MOST_BYTES
    with pytest.raises(TooLargeError):
        inflate(half + half + gzip.compress(b"x"), "gzip")


def test_zstd_frames_add_up_to_one_body() -> None:
    compress = zstandard.ZstdCompressor().compress
    assert inflate(compress(b"one ") + compress(b"two"), "zstd") == b"one two"


def test_thousands_of_empty_members_are_refused_early() -> None:
    with pytest.raises(DamagedError, match="more than 64 gzip members"):
        inflate(gzip.compress(b"") * 100_000, "gzip")


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
def test_a_bomb_takes_no_memory_beyond_the_limit(encoding: str) -> None:
    compress = gzip.compress if encoding == "gzip" else zstandard.ZstdCompressor().compress
    bomb = compress(BOMB)
    tracemalloc.start()
    try:
        with pytest.raises(TooLargeError):
            inflate(bomb, encoding)
        assert tracemalloc.get_traced_memory()[1] < 4 * MOST_BYTES
    finally:
        tracemalloc.stop()


def test_a_frame_that_asks_for_a_huge_window_is_refused() -> None:
    parameters = zstandard.ZstdCompressionParameters(window_log=27)
    stream = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    with pytest.raises(DamagedError, match="not valid zstd"):
        inflate(stream.compress(b"x" * 1000) + stream.flush(), "zstd")


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", b""),
        ("gzip", gzip.compress(b"text")[:-1]),
        ("gzip", gzip.compress(b"text") + b"more"),
        ("zstd", b"text"),
    ],
)
def test_damage_is_told(encoding: str, body: bytes) -> None:
    with pytest.raises(DamagedError, match=f"not valid {encoding}"):
        inflate(body, encoding)


def test_an_encoding_nobody_knows_is_named_in_the_answer() -> None:
    with pytest.raises(UnknownEncodingError, match="'br'"):
        inflate(b"", "br")
