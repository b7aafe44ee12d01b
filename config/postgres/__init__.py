"""The embedded PostgreSQL: one server per data directory, running exactly as long as somebody holds it.

Whoever needs the database enters `running()`. Holders are counted by shared locks on a file, which the kernel drops
when a process dies in any way, so the count is never wrong. Starting and stopping is decided under a second, exclusive
lock, so three starters at once make one server and nobody attaches to a server that is being stopped.
"""

import fcntl
import hashlib
import logging
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from config.postgres import files, server
from config.postgres.files import Cluster, PostgresError

__all__ = ["DATABASE", "PostgresError", "revive", "running", "socket_dir", "url"]

log = logging.getLogger(__name__)

DATABASE = "vitals"


def socket_dir(data_dir: Path) -> Path:
    """Where the server of this data directory listens: short, because a socket's path may have only 107 bytes."""
    name = hashlib.sha256(str(data_dir).encode()).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"llm-vitals-{name}"


def url(data_dir: Path) -> str:
    """The DATABASE_URL of the embedded server. Pure: it names the address and starts nothing."""
    return f"postgres://{files.SUPERUSER}@/{DATABASE}?host={socket_dir(data_dir)}"


@contextmanager
def running(data_dir: Path) -> Iterator[None]:
    """A healthy server for the length of the block; the last holder to leave stops it.

    Raises PostgresError with one plain line when there can be no server.
    """
    data_dir.parent.mkdir(parents=True, exist_ok=True)
    locks = _Locks.beside(data_dir)
    try:
        with locks.deciding():
            fcntl.flock(locks.holders, fcntl.LOCK_SH)
            _ensure(data_dir)
        yield
    finally:
        with locks.deciding():
            try:
                fcntl.flock(locks.holders, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                pass  # Somebody else still holds the server; it stays.
            else:
                server.stop(files.data_of(data_dir))
        locks.close()


def revive(data_dir: Path) -> None:
    """Start the server again when it died under its holders. To be called by a holder."""
    locks = _Locks.beside(data_dir)
    try:
        with locks.deciding():
            _ensure(data_dir)
    finally:
        locks.close()


@dataclass(frozen=True)
class _Locks:
    holders: int
    decision: int

    @classmethod
    def beside(cls, data_dir: Path) -> "_Locks":
        holders, decision = files.lock_files(data_dir)
        return cls(files.open_lock(holders), files.open_lock(decision))

    @contextmanager
    def deciding(self) -> Iterator[None]:
        try:
            fcntl.flock(self.decision, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            log.debug("Waiting for another process that is starting or stopping PostgreSQL")
            fcntl.flock(self.decision, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(self.decision, fcntl.LOCK_UN)

    def close(self) -> None:
        os.close(self.holders)
        os.close(self.decision)


def _ensure(data_dir: Path) -> None:
    """A server that answers, whatever state the last one was left in. The decision lock is held."""
    cluster = files.prepared(data_dir, socket_dir(data_dir))
    while True:
        pid = server.live(cluster.data)
        started = pid is None
        if pid is None:
            pid = _start(cluster, data_dir)
        elif not server.reachable(cluster):
            log.warning("PostgreSQL lost its socket; restarting it")
            server.stop(cluster.data)
            continue
        if server.wait_until_ready(cluster, pid):
            break
        if started:
            raise PostgresError(server.why_it_died(cluster))
    server.create_database(cluster, DATABASE)


def _start(cluster: Cluster, data_dir: Path) -> int:
    server.wait_until_unused(cluster)
    server.sweep(cluster)
    files.make_socket_dir(cluster)
    files.write_settings(cluster)
    return server.launch(cluster, *files.lock_files(data_dir))
