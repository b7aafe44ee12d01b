"""The spool against a model of it: whatever processes write, send, die and spoil, every event stays accounted for."""

import gzip
import os
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule

from llmclient._spool import Segment, Spool

MAX_BYTES = 600
MAX_AGE = 3_600.0
STALE = 600.0
HEADER = {"boot_id": "b1"}
GARBAGE = st.sampled_from(
    [
        "notes.ndjson.gz",
        "1-2-3.ndjson.gz",
        ".ndjson.gz",
        "x.ndjson.gz.claimed-y",
        "1800000000000-7-0-2.ndjson.gz.claimed-",
        "1800000000000-7-0-two.ndjson.gz",
        "1800000000000-7-0-2.ndjson.gz.corrupt.old",
        ".hidden.ndjson.gz.part",
    ]
) | st.text(st.characters(blacklist_characters="/\0", codec="utf-8"), min_size=1, max_size=20).filter(
    lambda name: name not in (".", "..")
)


class Killed(BaseException):
    """The process is gone in the middle of what it did."""


@dataclass
class Kept:
    """A segment as the model knows it."""

    events: list[bytes]
    written_at: float
    readable: bool = True
    owner: int | None = None
    claimed_at: float = 0.0
    size: int = 0


@dataclass
class Process:
    pid: int
    spool: Spool
    claims: dict[str, Segment] = field(default_factory=dict)


class SpoolModel(RuleBasedStateMachine):
    """Processes come and go; what each may expect of the directory is worked out beside it, by name of the segment."""

    processes = Bundle("processes")

    def __init__(self) -> None:
        super().__init__()
        self._home = tempfile.TemporaryDirectory()
        self.directory = Path(self._home.name)
        self.now = 1_800_000_000.0
        self.pids = iter(range(100, 10_000))
        self.living: dict[int, Process] = {}
        self.kept: dict[str, Kept] = {}
        self.corrupt: dict[str, int] = {}  # bytes, by name
        self.lost: Counter[str] = Counter()
        self.buried: Counter[str] = Counter()  # losses counted by processes that are gone
        self.numbers = iter(range(1_000_000))
        self.delivered: list[bytes] = []
        self.stored: set[bytes] = set()
        self.garbage: set[str] = set()

    def teardown(self) -> None:
        self._home.cleanup()

    # --- processes ------------------------------------------------------------------------------------------------

    def _born(self) -> Process:
        pid = next(self.pids)
        spool = Spool(
            self.directory,
            max_bytes=MAX_BYTES,
            max_age=MAX_AGE,
            pid=lambda: pid,
            alive=lambda other: other in self.living,
        )
        self.living[pid] = Process(pid, spool)
        return self.living[pid]

    @initialize(target=processes)
    def first(self) -> Process:
        return self._born()

    @rule(target=processes)
    def another(self) -> Process:
        return self._born()

    @rule(target=processes, process=consumes(processes))
    def is_killed_and_another_starts(self, process: Process) -> Process:
        self._bury(process)
        return self._born()

    def _bury(self, process: Process) -> None:
        del self.living[process.pid]
        self.buried += process.spool.losses

    @rule(seconds=st.sampled_from([0.001, 1.0, 599.0, 602.0, 1_800.0, 3_601.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    # --- writing --------------------------------------------------------------------------------------------------

    def _events(self, count: int) -> list[bytes]:
        return [b'{"id":"%d","x":"%s"}' % (next(self.numbers), os.urandom(20).hex().encode()) for _ in range(count)]

    @rule(process=processes, count=st.integers(0, 5))
    def writes(self, process: Process, count: int) -> None:
        events = self._events(count)
        before = set(self._names())
        process.spool.write(HEADER, events, now=self.now)
        self.stored.update(events)
        (name,) = set(self._names()) - before - {base(each) for each in before}
        self.kept[name] = Kept(events, self._written_at(name), size=(self.directory / name).stat().st_size)
        self._free_stale(process)
        self._make_room(name)

    @rule(target=processes, process=consumes(processes), count=st.integers(1, 5))
    def is_killed_before_the_segment_has_its_name(self, process: Process, count: int) -> Process:
        with mock.patch.object(Path, "rename", side_effect=Killed):
            try:
                process.spool.write(HEADER, self._events(count), now=self.now)
            except Killed:
                self._bury(process)
        return self._born()

    def _make_room(self, newest: str) -> None:
        total = sum(kept.size for kept in self.kept.values()) + self._quarantined()
        for name in sorted(self._all_bases()):
            if total <= MAX_BYTES:
                return
            kept = self.kept.get(name)
            if name == newest or (kept is not None and kept.owner is not None):
                continue
            if kept is None:
                total -= self.corrupt.pop(name)
            else:
                total -= kept.size
                self.lost["overflow"] += len(kept.events)
                del self.kept[name]

    # --- sending --------------------------------------------------------------------------------------------------

    @rule(process=processes)
    def claims(self, process: Process) -> None:
        self._free_stale(process)
        expected = None
        for name, kept in sorted(self.kept.items()):
            if kept.owner is not None:
                continue
            if self.now - kept.written_at > MAX_AGE:
                self.lost["expired"] += len(kept.events)
                del self.kept[name]
            elif not kept.readable:
                self.lost["spool_corrupt"] += len(kept.events)
                self.corrupt[name] = kept.size
                del self.kept[name]
            else:
                expected = name
                break
        claimed = process.spool.claim(now=self.now)
        if expected is None:
            assert claimed is None
            return
        assert claimed is not None
        segment, header, events = claimed
        kept = self.kept[expected]
        assert (base(segment.path.name), header, events) == (expected, HEADER, kept.events)
        kept.owner, kept.claimed_at = process.pid, self.now
        process.claims[expected] = segment

    @rule(process=processes)
    def delivers(self, process: Process) -> None:
        for name, segment in list(process.claims.items())[:1]:
            del process.claims[name]
            segment.done()
            if self._still_has(process, name):
                self.delivered += self.kept.pop(name).events

    @rule(process=processes)
    def gives_back(self, process: Process) -> None:
        for name, segment in list(process.claims.items())[:1]:
            del process.claims[name]
            segment.release()
            if self._still_has(process, name):
                self.kept[name].owner = None

    def _still_has(self, process: Process, name: str) -> bool:
        """Whoever was too slow may have lost its claim to another."""
        return name in self.kept and self.kept[name].owner == process.pid

    def _free_stale(self, process: Process) -> None:
        for kept in self.kept.values():
            if kept.owner is None or kept.owner == process.pid:
                continue
            if kept.owner not in self.living or self.now - kept.claimed_at > STALE:
                kept.owner = None

    # --- what else happens to a directory ---------------------------------------------------------------------------

    @rule(place=st.integers(0, 20), how=st.sampled_from(["torn", "empty", "noise", "other header"]))
    def is_spoilt(self, place: int, how: str) -> None:
        waiting = sorted(name for name, kept in self.kept.items() if kept.owner is None)
        if not waiting:
            return
        name = waiting[place % len(waiting)]
        path = self.directory / name
        data = path.read_bytes()
        spoilt = {"torn": data[:-5], "empty": b"", "noise": os.urandom(40), "other header": gzip.compress(b"[1]\n")}[
            how
        ]
        path.write_bytes(spoilt)
        self.kept[name].readable = False
        self.kept[name].size = len(spoilt)

    @rule(number=st.integers(0, 9), what=st.sampled_from(["directory", "link"]))
    def something_that_is_no_file_has_the_name_of_a_segment(self, number: int, what: str) -> None:
        self.somebody_leaves_something(name=f"180000000000{number}-7-0-2.ndjson.gz", what=what)

    @rule(name=GARBAGE, what=st.sampled_from(["file", "directory", "link"]))
    def somebody_leaves_something(self, name: str, what: str) -> None:
        path = self.directory / name
        if os.path.lexists(path) or base(name) in self._all_bases():
            return
        if what == "file":
            path.write_bytes(b"x" * 50)
        elif what == "directory":
            path.mkdir()
        else:
            path.symlink_to(self.directory / "nowhere")
        self.garbage.add(name)

    # --- what holds always ------------------------------------------------------------------------------------------

    @invariant()
    def every_event_stored_is_there_or_delivered_or_counted_as_lost(self) -> None:
        on_disk = [event for kept in self.kept.values() for event in kept.events]
        assert len(self.delivered) == len(set(self.delivered))
        assert not set(on_disk) & set(self.delivered)
        assert len(self.stored) == len(on_disk) + len(self.delivered) + sum(self.lost.values())
        counted = self.buried + sum((process.spool.losses for process in self.living.values()), Counter())
        assert +counted == +self.lost

    @invariant()
    def the_directory_holds_what_the_model_says(self) -> None:
        expected = {
            *(name if kept.owner is None else f"{name}.claimed-{kept.owner}" for name, kept in self.kept.items()),
            *(f"{name}.corrupt" for name in self.corrupt),
        }
        unfinished = {name for name in self._names() if name.startswith(".1") and name.endswith(".part")}
        assert set(self._names()) - unfinished - self.garbage == expected
        assert self.garbage <= set(self._names())

    def _names(self) -> list[str]:
        return os.listdir(self.directory)  # noqa: PTH208  # names, as they are

    def _written_at(self, name: str) -> float:
        return int(name.partition("-")[0]) / 1000

    def _quarantined(self) -> int:
        return sum(self.corrupt.values())

    def _all_bases(self) -> set[str]:
        return {*self.kept, *self.corrupt}


def base(name: str) -> str:
    """The name of the segment, whatever became of it."""
    return name.partition(".claimed-")[0].removesuffix(".corrupt")


TestSpool: Any = SpoolModel.TestCase
TestSpool.settings = settings(
    max_examples=150, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
