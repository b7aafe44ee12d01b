"""Segments on disk: whole or not there, sent by one process, never in the way."""

import gzip
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from llmclient._spool import CLAIMED, Spool

HEADER = {"boot_id": "b1", "emitted": 2}
EVENTS = [b'{"id":"1"}', b'{"id":"2"}']
NOW = 1_800_000_000.0


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def dead_pid() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_what_is_written_can_be_claimed_once(tmp_path: Path) -> None:
    Spool(tmp_path).write(HEADER, EVENTS, now=NOW)
    spool = Spool(tmp_path)
    claimed = spool.claim(now=NOW)
    assert claimed is not None
    segment, header, events = claimed
    assert (header, events) == (HEADER, EVENTS)
    assert spool.claim(now=NOW) is None
    segment.done()
    assert names(tmp_path) == []
    assert not spool.losses


def test_only_the_owner_may_read_it(tmp_path: Path) -> None:
    Spool(tmp_path / "spool").write(HEADER, EVENTS, now=NOW)
    assert (tmp_path / "spool").stat().st_mode & 0o777 == 0o700
    assert next((tmp_path / "spool").iterdir()).stat().st_mode & 0o777 == 0o600


def test_a_released_claim_can_be_claimed_again(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.write(HEADER, EVENTS, now=NOW)
    claimed = spool.claim(now=NOW)
    assert claimed is not None
    claimed[0].release()
    assert spool.claim(now=NOW) is not None


def test_a_segment_goes_with_the_last_of_its_parts(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.write(HEADER, EVENTS, now=NOW)
    claimed = spool.claim(now=NOW)
    assert claimed is not None
    segment = claimed[0]
    segment.parts += 1
    segment.done()
    assert segment.path.exists()
    segment.done()
    assert not segment.path.exists()


def test_the_claim_of_a_process_that_died_is_taken_over(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.write(HEADER, EVENTS, now=NOW)
    (name,) = names(tmp_path)
    (tmp_path / name).rename(tmp_path / f"{name}{CLAIMED}{dead_pid()}")
    assert spool.claim(now=NOW) is not None


def test_the_claim_of_a_living_process_is_left_alone_until_it_is_old(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.write(HEADER, EVENTS, now=time.time())
    (name,) = names(tmp_path)
    claim = tmp_path / f"{name}{CLAIMED}{os.getppid()}"
    (tmp_path / name).rename(claim)
    assert spool.claim(now=time.time()) is None
    assert spool.claim(now=time.time() + 601) is not None


@pytest.mark.parametrize("damage", [b"", b"not gzip", b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\x01\x02"])
def test_a_corrupt_segment_is_put_aside_and_the_next_one_is_read(tmp_path: Path, damage: bytes) -> None:
    spool = Spool(tmp_path)
    spool.write(HEADER, EVENTS, now=NOW)
    (name,) = names(tmp_path)
    (tmp_path / name).write_bytes(damage)
    spool.write(HEADER, [b'{"id":"3"}'], now=NOW + 1)
    claimed = spool.claim(now=NOW + 1)
    assert claimed is not None
    assert claimed[2] == [b'{"id":"3"}']
    assert f"{name}.corrupt" in names(tmp_path)
    assert spool.losses == {"spool_corrupt": 2}
    assert spool.claim(now=NOW + 1) is None


def test_a_truncated_segment_is_corrupt(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.write(HEADER, EVENTS, now=NOW)
    (name,) = names(tmp_path)
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:-9])
    assert spool.claim(now=NOW) is None
    assert spool.losses == {"spool_corrupt": 2}


def test_what_is_unfinished_is_not_a_segment_and_is_swept_up_later(tmp_path: Path) -> None:
    (tmp_path / ".0000000000001-1-0-5.ndjson.gz.part").write_bytes(b"half")
    assert Spool(tmp_path).claim(now=time.time()) is None
    assert len(names(tmp_path)) == 1
    assert Spool(tmp_path).claim(now=time.time() + 601) is None
    assert names(tmp_path) == []


def test_the_file_of_a_writer_that_is_not_ours_stays(tmp_path: Path) -> None:
    (tmp_path / ".notes.ndjson.gz.part").write_bytes(b"half")
    assert Spool(tmp_path).claim(now=time.time() + 601) is None
    assert names(tmp_path) == [".notes.ndjson.gz.part"]


def test_beyond_its_size_the_oldest_segments_go_and_are_counted(tmp_path: Path) -> None:
    spool = Spool(tmp_path, max_bytes=300)
    for number in range(6):
        spool.write(HEADER, [os.urandom(40).hex().encode()], now=NOW + number)
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 300
    assert spool.losses["overflow"] == 6 - len(names(tmp_path))
    claimed = spool.claim(now=NOW + 6)
    assert claimed is not None
    assert claimed[0].path.name.startswith(f"{int((NOW + spool.losses['overflow']) * 1000):013d}")


def test_segments_of_yesterday_are_dropped_and_counted(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.write(HEADER, EVENTS, now=NOW)
    assert spool.claim(now=NOW + 24 * 3600 + 1) is None
    assert spool.losses == {"expired": 2}
    assert names(tmp_path) == []


def test_a_directory_that_is_not_there_holds_nothing(tmp_path: Path) -> None:
    assert Spool(tmp_path / "none").claim(now=NOW) is None


# --- what else may lie there ------------------------------------------------------------------------------------------

OURS = "1800000000000-7-0-2.ndjson.gz"


@pytest.mark.parametrize(
    "name",
    [
        "notes.ndjson.gz",
        ".ndjson.gz",
        "1-2-3.ndjson.gz",
        "1800000000000-7-0-x.ndjson.gz",
        "18000000000000000000000-7-0-2.ndjson.gz",
        f"{OURS}.claimed-",
        f"{OURS}.claimed-me",
        f"{OURS}.claimed-7.claimed-8",
        f"{OURS}.corrupt.old",
        f"{OURS}.part",
        "Grüße.ndjson.gz",
        "\udcff.ndjson.gz",
    ],
)
def test_a_file_of_somebody_elses_is_neither_read_nor_removed(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"not ours")
    spool = Spool(tmp_path, max_bytes=10)
    spool.write(HEADER, EVENTS, now=NOW)
    claimed = spool.claim(now=NOW)
    assert claimed is not None
    assert claimed[2] == EVENTS
    claimed[0].done()
    assert names(tmp_path) == [name]
    assert not spool.losses


def test_a_directory_and_a_dangling_link_with_the_name_of_a_segment_are_no_segments(tmp_path: Path) -> None:
    (tmp_path / OURS).mkdir()
    (tmp_path / OURS.replace("-7-", "-8-")).symlink_to(tmp_path / "nowhere")
    spool = Spool(tmp_path, max_bytes=10)
    spool.write(HEADER, EVENTS, now=NOW + 1)
    claimed = spool.claim(now=NOW + 1)
    assert claimed is not None
    assert claimed[2] == EVENTS
    assert len(names(tmp_path)) == 3


@pytest.mark.parametrize("owner", ["0", "00", "99999999999999999999"])
def test_a_claim_by_a_process_that_cannot_be_is_taken_over(tmp_path: Path, owner: str) -> None:
    spool = Spool(tmp_path)
    spool.write(HEADER, EVENTS, now=NOW)
    (name,) = names(tmp_path)
    (tmp_path / name).rename(tmp_path / f"{name}{CLAIMED}{owner}")
    assert spool.claim(now=NOW) is not None


@pytest.mark.parametrize("content", [b"[]", b"7", b"", b"{", b'"text"', b"\xff"])
def test_a_segment_without_a_header_is_corrupt(tmp_path: Path, content: bytes) -> None:
    (tmp_path / OURS).write_bytes(gzip.compress(content))
    spool = Spool(tmp_path)
    assert spool.claim(now=NOW) is None
    assert names(tmp_path) == [f"{OURS}.corrupt"]
    assert spool.losses == {"spool_corrupt": 2}


def test_a_segment_that_unpacks_to_more_than_is_ever_written_is_corrupt(tmp_path: Path) -> None:
    (tmp_path / OURS).write_bytes(gzip.compress(b"{}\n" + b"0" * 17_000_000))
    spool = Spool(tmp_path)
    assert spool.claim(now=NOW) is None
    assert spool.losses == {"spool_corrupt": 2}


def test_what_is_being_sent_makes_no_room(tmp_path: Path) -> None:
    spool = Spool(tmp_path, max_bytes=10)
    spool.write(HEADER, EVENTS, now=NOW)
    claimed = spool.claim(now=NOW)
    assert claimed is not None
    spool.write(HEADER, EVENTS, now=NOW + 1)
    assert claimed[0].path.exists()
    claimed[0].done()
    spool.write(HEADER, EVENTS, now=NOW + 2)
    assert len(names(tmp_path)) == 1
    assert spool.losses == {"overflow": 2}


def test_two_spools_of_one_process_do_not_overwrite_each_other(tmp_path: Path) -> None:
    for _ in range(5):
        Spool(tmp_path).write(HEADER, EVENTS, now=NOW)
    assert len(names(tmp_path)) == 5


def test_what_is_stored_is_stored_even_where_no_room_can_be_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: Path) -> None:
        raise OSError("the disk is gone")

    monkeypatch.setattr(Path, "iterdir", fail)
    Spool(tmp_path, max_bytes=1).write(HEADER, EVENTS, now=NOW)
    monkeypatch.undo()
    assert len(names(tmp_path)) == 1
