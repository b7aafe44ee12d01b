"""Events on disk, for when they cannot be sent: segments of gzipped lines, the first line says who measured them.

A segment is written under another name and renamed when it is whole; it is claimed by renaming it again, so that of
several processes only one sends it. A claim whose owner died is taken over.
"""

import gzip
import itertools
import json
import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

MAX_BYTES: Final = 64 * 1024 * 1024
MAX_AGE: Final = 24 * 3600.0  # seconds
STALE_CLAIM: Final = 600.0
SUFFIX: Final = ".ndjson.gz"
CLAIMED: Final = ".claimed-"


@dataclass(slots=True)
class Segment:
    """A claimed file of events."""

    path: Path
    parts: int = 1
    """Batches made of it that are still under way."""

    def done(self) -> None:
        """One part is settled; the file goes with the last."""
        self.parts -= 1
        if self.parts == 0:
            self.path.unlink(missing_ok=True)

    def release(self) -> None:
        """Gives the claim back, for another process or a later time."""
        if self.path.exists():
            self.path.rename(self.path.with_name(self.path.name.partition(CLAIMED)[0]))


class Spool:
    """A directory of segments. Methods raise OSError; `losses` counts events dropped here, by reason."""

    def __init__(self, directory: Path, *, max_bytes: int = MAX_BYTES, max_age: float = MAX_AGE) -> None:
        self._directory = directory
        self._max_bytes = max_bytes
        self._max_age = max_age
        self._numbers = itertools.count()
        self._mine: set[str] = set()
        self.losses: Counter[str] = Counter()

    def write(self, header: dict[str, Any], events: list[bytes], *, now: float) -> None:
        """Stores the events durably as one segment; the oldest segments make room."""
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        name = f"{int(now * 1000):013d}-{os.getpid()}-{next(self._numbers)}-{len(events)}{SUFFIX}"
        data = gzip.compress(b"\n".join([json.dumps(header).encode(), *events]), 1, mtime=0)
        unfinished = self._directory / f".{name}.part"
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        unfinished.rename(self._directory / name)
        self._make_room()

    def claim(self, *, now: float) -> tuple[Segment, dict[str, Any], list[bytes]] | None:
        """The oldest segment nobody is sending, with its header and its events; None when there is none."""
        if not self._directory.is_dir():
            return None
        self._free_stale_claims(now)
        for path in self._segments():
            claimed = path.with_name(f"{path.name}{CLAIMED}{os.getpid()}")
            try:
                path.rename(claimed)
                os.utime(claimed, (now, now))
            except FileNotFoundError:  # another process was quicker
                continue
            if now - _written_at(path) > self._max_age:
                self.losses["expired"] += _events_in(path)
                claimed.unlink(missing_ok=True)
                continue
            try:
                header, *events = gzip.decompress(claimed.read_bytes()).split(b"\n")
                parsed = json.loads(header)
            except (ValueError, EOFError, gzip.BadGzipFile, gzip.zlib.error):  # type: ignore[attr-defined]
                self.losses["spool_corrupt"] += _events_in(path)
                claimed.rename(path.with_name(f"{path.name}.corrupt"))
                continue
            self._mine.add(claimed.name)
            return Segment(claimed), parsed, events
        return None

    def _segments(self) -> list[Path]:
        return sorted(self._directory.glob(f"*{SUFFIX}"))

    def _make_room(self) -> None:
        files = sorted(path for path in self._directory.iterdir() if SUFFIX in path.name and path.suffix != ".part")
        total = sum(path.stat().st_size for path in files)
        for path in files[:-1]:
            if total <= self._max_bytes:
                return
            total -= path.stat().st_size
            path.unlink(missing_ok=True)
            if not path.name.endswith(".corrupt"):
                self.losses["overflow"] += _events_in(path)

    def _free_stale_claims(self, now: float) -> None:
        for path in self._directory.glob(f".*{SUFFIX}.part"):
            if now - path.stat().st_mtime > STALE_CLAIM:  # its writer was killed
                path.unlink(missing_ok=True)
        for path in self._directory.glob(f"*{SUFFIX}{CLAIMED}*"):
            if path.name in self._mine:
                continue
            name, _, owner = path.name.partition(CLAIMED)
            if int(owner) == os.getpid() or not _alive(int(owner)) or now - path.stat().st_mtime > STALE_CLAIM:
                path.rename(path.with_name(name))


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _written_at(path: Path) -> float:
    return int(path.name.split("-")[0]) / 1000


def _events_in(path: Path) -> int:
    return int(path.name.partition(SUFFIX)[0].split("-")[3])
