"""Events on disk, for when they cannot be sent: segments of gzipped lines, the first line says who measured them.

A segment is written under another name and renamed when it is whole; it is claimed by renaming it again, so that of
several processes only one sends it. A claim whose owner died is taken over. What is called otherwise than a segment
is not ours, and neither read nor removed.
"""

import contextlib
import gzip
import itertools
import json
import os
import re
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISREG
from typing import Any, Final, NamedTuple

from llmclient._quietly import warn

MAX_BYTES: Final = 64 * 1024 * 1024
MAX_AGE: Final = 24 * 3600.0  # seconds
STALE_CLAIM: Final = 600.0
LARGEST: Final = 16 * 1024 * 1024  # bytes of a segment, unpacked: several times what is ever written
SUFFIX: Final = ".ndjson.gz"
CLAIMED: Final = ".claimed-"
CORRUPT: Final = ".corrupt"
UNFINISHED: Final = ".part"
# Milliseconds, process, number and the count of events; then what became of it.
_NAME: Final = re.compile(
    r"(?P<base>(?P<ms>\d{13})-\d+-\w+-(?P<events>\d{1,9})\.ndjson\.gz)(\.claimed-(?P<owner>\d+)|(?P<corrupt>\.corrupt))?"
)


@dataclass(slots=True)
class Segment:
    """A claimed file of events."""

    path: Path
    parts: int = 1
    """Batches made of it that are still under way."""

    def done(self) -> None:
        """One part is settled; the file goes with the last. Should it stay, it is sent once more, and stored once."""
        self.parts -= 1
        if self.parts == 0:
            _removed(self.path)

    def release(self) -> None:
        """Gives the claim back, for another process or a later time."""
        _renamed(self.path, self.path.name.partition(CLAIMED)[0])


class _Found(NamedTuple):
    """A file that is ours, by its name."""

    path: Path
    base: str
    written_at: float
    events: int
    owner: int | None
    corrupt: bool

    @property
    def is_waiting(self) -> bool:
        return self.owner is None and not self.corrupt


class Spool:
    """A directory of segments. Methods raise OSError; `losses` counts events dropped here, by reason."""

    def __init__(
        self,
        directory: Path,
        *,
        max_bytes: int = MAX_BYTES,
        max_age: float = MAX_AGE,
        pid: Callable[[], int] = os.getpid,
        alive: Callable[[int], bool] | None = None,
    ) -> None:
        self._directory = directory
        self._max_bytes = max_bytes
        self._max_age = max_age
        self._pid = pid
        self._alive = alive or _alive
        self._numbers = itertools.count()
        self._mine: set[str] = set()
        self.losses: Counter[str] = Counter()

    def write(self, header: dict[str, Any], events: list[bytes], *, now: float) -> None:
        """Stores the events durably as one segment; the oldest segments make room. It is stored when this returns."""
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        # The random part: process numbers are the same in two containers that share the directory.
        number = f"{next(self._numbers)}x{os.urandom(3).hex()}"
        name = f"{int(now * 1000):013d}-{self._pid()}-{number}-{len(events)}{SUFFIX}"
        data = gzip.compress(b"\n".join([json.dumps(header).encode(), *events]), 1, mtime=0)
        unfinished = self._directory / f".{name}{UNFINISHED}"
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        unfinished.rename(self._directory / name)
        try:
            self._make_room(name, now)
        except OSError as error:  # the events are stored, whatever becomes of older ones
            warn("spool", "cannot make room among the unsent telemetry on disk: %s", error)

    def claim(self, *, now: float) -> tuple[Segment, dict[str, Any], list[bytes]] | None:
        """The oldest segment nobody is sending, with its header and its events; None when there is none."""
        if not self._directory.is_dir():
            return None
        self._free_stale_claims(now)
        for found in self._files():
            if found.is_waiting:
                try:
                    claimed = self._claim(found, now)
                except OSError as error:  # not ours to read, or its disk is broken: the others are
                    warn("spool", "cannot read a file of unsent telemetry: %s", error)
                    continue
                if claimed is not None:
                    return claimed
        return None

    def _claim(self, found: _Found, now: float) -> tuple[Segment, dict[str, Any], list[bytes]] | None:
        claimed = found.path.with_name(f"{found.base}{CLAIMED}{self._pid()}")
        try:
            found.path.rename(claimed)
            os.utime(claimed, (now, now))
        except FileNotFoundError:  # another process was quicker
            return None
        if now - found.written_at > self._max_age:
            claimed.unlink()
            self.losses["expired"] += found.events
            return None
        try:
            header, events = _read(claimed)
        except (ValueError, EOFError, zlib.error, gzip.BadGzipFile):
            claimed.rename(found.path.with_name(f"{found.base}{CORRUPT}"))
            self.losses["spool_corrupt"] += found.events
            return None
        self._mine.add(claimed.name)
        return Segment(claimed), header, events

    def _files(self) -> list[_Found]:
        """Ours, oldest first."""
        return sorted(self._found())

    def _found(self) -> Iterator[_Found]:
        for path in self._directory.iterdir():
            said = _NAME.fullmatch(path.name)
            if said is not None and _size_of(path) is not None:
                owner = said["owner"]
                yield _Found(
                    path,
                    said["base"],
                    int(said["ms"]) / 1000,
                    int(said["events"]),
                    None if owner is None else int(owner),
                    said["corrupt"] is not None,
                )

    def _make_room(self, newest: str, now: float) -> None:
        self._free_stale_claims(now)
        files = [(found, _size_of(found.path) or 0) for found in self._files()]
        total = sum(size for _, size in files)
        for found, size in files:
            if total <= self._max_bytes:
                return
            # What is being sent is not lost, and will be gone soon.
            if found.base == newest or found.owner is not None or not _removed(found.path):
                continue
            total -= size
            if not found.corrupt:
                self.losses["overflow"] += found.events

    def _free_stale_claims(self, now: float) -> None:
        for path in self._directory.glob(f".*{UNFINISHED}"):
            changed = _changed(path) if _NAME.fullmatch(path.name[1 : -len(UNFINISHED)]) else None
            if changed is not None and now - changed > STALE_CLAIM:  # its writer was killed
                _removed(path)
        for found in self._files():
            if found.owner is None or found.path.name in self._mine:
                continue
            changed = _changed(found.path)
            left = found.owner == self._pid() or not self._alive(found.owner)
            if changed is not None and (left or now - changed > STALE_CLAIM):
                _renamed(found.path, found.base)


def _read(path: Path) -> tuple[dict[str, Any], list[bytes]]:
    """Header and events. Raises OSError, and ValueError, EOFError or zlib.error for what is no segment."""
    with gzip.open(path) as file:
        data = file.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise ValueError("larger than anything that is written")
    header, *events = data.split(b"\n")
    parsed = json.loads(header)
    if not isinstance(parsed, dict):
        raise ValueError("the first line is no header")
    return parsed, events


def _size_of(path: Path) -> int | None:
    """Bytes of a regular file; None when it is none, or gone."""
    try:
        status = path.lstat()
    except OSError:
        return None
    return status.st_size if S_ISREG(status.st_mode) else None


def _changed(path: Path) -> float | None:
    try:
        return path.lstat().st_mtime
    except OSError:
        return None


def _removed(path: Path) -> bool:
    """Whether the file was there and is gone now by this."""
    try:
        path.unlink()
    except OSError:
        return False
    return True


def _renamed(path: Path, name: str) -> None:
    """Another process may have been quicker, or may be the only one allowed to."""
    with contextlib.suppress(OSError):
        path.rename(path.with_name(name))


def _alive(pid: int) -> bool:
    if pid <= 0:  # means others to `kill`
        return False
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True
