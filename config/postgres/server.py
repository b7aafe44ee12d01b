"""The postmaster as a process: is it there, is it ours, does it answer; start it, stop it, say why it died."""

import fcntl
import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psycopg
from psycopg import sql

from config.postgres import keeper
from config.postgres.files import SUPERUSER, Cluster, PostgresError, open_lock

log = logging.getLogger(__name__)

PORT = 5432  # Only a part of the socket's name; there is no TCP.
REPORT_EVERY = 5.0  # seconds between "still recovering" lines
LAST_ONES_PATIENCE = 60.0  # seconds for the children of a killed server, which may be in the middle of a statement
STOP_PATIENCE = 30.0  # seconds for the fast stop, then the immediate one


def live(data: Path) -> int | None:
    """The pid of the running postmaster of this data directory, or None.

    A pid file proves nothing: its process may be gone, a zombie, or another program that got the same number.
    """
    fields = _pid_file(data)
    if not fields or not fields[0].isdigit():
        return None
    pid = int(fields[0])
    state, command = _process(pid)
    if not state or state in "ZX" or len(command) < 3 or Path(command[0]).name != "postgres":
        return None
    return pid if command[1:3] == ["-D", str(data)] else None


def alive(pid: int) -> bool:
    state, _ = _process(pid)
    return bool(state) and state not in "ZX"


def _pid_file(data: Path) -> list[str]:
    try:
        return [line.strip() for line in (data / "postmaster.pid").read_text().splitlines()]
    except FileNotFoundError:
        return []


def _process(pid: int) -> tuple[str, list[str]]:
    """State letter and command line of a process; an empty state when there is none."""
    if not Path("/proc/self/stat").exists():
        return _process_by_ps(pid)
    proc = Path("/proc") / str(pid)
    try:
        # The name in the second field may hold spaces and brackets; the state follows the last bracket.
        state = (proc / "stat").read_text().rpartition(")")[2].split()[0]
        return state, (proc / "cmdline").read_bytes().decode(errors="replace").split("\0")[:-1]
    except (FileNotFoundError, ProcessLookupError):
        return "", []


def _process_by_ps(pid: int) -> tuple[str, list[str]]:
    """The same where there is no /proc (macOS). A path with a space in it is split, and then not taken for ours."""
    answer = subprocess.run(
        ["ps", "-ww", "-o", "stat=,command=", "-p", str(pid)], check=False, capture_output=True, text=True
    )
    state, *command = answer.stdout.split() or [""]
    return state[:1], command


def wait_until_unused(cluster: Cluster) -> None:
    """Wait for the last children of a killed server; refuse to be the second server on these files.

    A server in another container shows here as no process at all, but it holds the lock of the shared file.
    """
    lock = open_lock(cluster.server_lock)
    begun = time.monotonic()
    reported = begun - REPORT_EVERY + 1
    try:
        while not _locked(lock):
            now = time.monotonic()
            if now - begun > LAST_ONES_PATIENCE:
                raise PostgresError(
                    f"Another server, perhaps in another container, uses {cluster.data}."
                    " Stop it, or set VITALS_HOME to a directory of your own."
                )
            if now - reported > REPORT_EVERY:
                reported = now
                log.warning("Waiting for the last processes of the earlier PostgreSQL to end")
            time.sleep(0.05)
    finally:
        os.close(lock)


def _locked(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def sweep(cluster: Cluster) -> None:
    """Remove what a dead server left: PostgreSQL itself would believe a reused pid. The decision lock is held, and
    the server's own lock was seen free."""
    for path in (cluster.data / "postmaster.pid", _socket(cluster), _socket(cluster).with_suffix(f".{PORT}.lock")):
        path.unlink(missing_ok=True)


def _socket(cluster: Cluster) -> Path:
    return cluster.socket_dir / f".s.PGSQL.{PORT}"


def reachable(cluster: Cluster) -> bool:
    """Whether a live server still has the socket we would use (temporary directories get cleaned)."""
    fields = _pid_file(cluster.data)
    if len(fields) < 8 or fields[7] != "ready":
        return True  # Starting or stopping: waiting will tell.
    if fields[4] != str(cluster.socket_dir):
        raise PostgresError(
            f"PostgreSQL already runs with its socket in {fields[4]};"
            f" set TMPDIR to {Path(fields[4]).parent} to join it."
        )
    return _socket(cluster).exists()


def launch(cluster: Cluster, holders: Path, decision: Path) -> int:
    """Start the server under its keeper; the pid of the postmaster."""
    if cluster.log_file.exists() and cluster.log_file.stat().st_size > 1_000_000:
        cluster.log_file.replace(cluster.log_file.with_suffix(".log.1"))
    command: list[str | Path] = [
        sys.executable,
        "-I",
        "-S",
        keeper.__file__,
        holders,
        decision,
        cluster.server_lock,
        cluster.log_file,
    ]
    command += [str(cluster.user.uid), str(cluster.user.gid), cluster.programs / "postgres", "-D", cluster.data]
    answer = subprocess.run(command, check=False, capture_output=True, text=True)
    if not answer.stdout.strip().isdigit():
        raise PostgresError(f"The keeper of PostgreSQL did not start: {answer.stderr.strip().splitlines()[-1:]}")
    return int(answer.stdout)


def wait_until_ready(cluster: Cluster, pid: int) -> bool:
    """True when the server takes connections, False when its process ended. Recovery may take as long as it takes."""
    begun = reported = time.monotonic()
    pause = 0.01
    while True:
        try:
            _connect(cluster).close()
        except psycopg.OperationalError as error:
            if not alive(pid):
                return False
            if time.monotonic() - reported > REPORT_EVERY:
                reported = time.monotonic()
                log.warning("PostgreSQL is still recovering (%.0f s): %s", reported - begun, _reason(error))
        else:
            return True
        time.sleep(pause)
        pause = min(pause * 1.5, 0.2)


def _connect(cluster: Cluster, database: str = "postgres") -> psycopg.Connection:
    connection = psycopg.connect(
        host=str(cluster.socket_dir), port=PORT, user=SUPERUSER, dbname=database, connect_timeout=5, autocommit=True
    )
    served = connection.execute("SHOW data_directory").fetchone()
    if served != (str(cluster.data),):
        connection.close()
        raise PostgresError(f"The socket in {cluster.socket_dir} belongs to another server.")
    return connection


def _reason(error: psycopg.OperationalError) -> str:
    return str(error).strip().splitlines()[-1].rpartition("FATAL:")[2].strip()


def create_database(cluster: Cluster, name: str) -> None:
    with _connect(cluster) as connection:
        if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone() is None:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))


def stop(data: Path) -> None:
    """Stop the server of this data directory if there is one: fast, and at once when that takes too long."""
    pid = live(data)
    if pid is None:
        return
    socket_dir = Path(_pid_file(data)[4])
    os.kill(pid, signal.SIGINT)
    deadline = time.monotonic() + STOP_PATIENCE
    try:
        while alive(pid):
            if time.monotonic() > deadline:
                log.warning("PostgreSQL does not stop; ending it at once, it will recover at the next start")
                _kill(pid, signal.SIGQUIT)
                deadline = float("inf")
            time.sleep(0.01)
    except KeyboardInterrupt:
        _kill(pid, signal.SIGQUIT)
        raise
    with suppress(OSError):  # Somebody keeps something there; the next start will look at it.
        socket_dir.rmdir()


def _kill(pid: int, how: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, how)


def why_it_died(cluster: Cluster) -> str:
    free = shutil.disk_usage(cluster.data).free
    if free < 32 << 20:
        return f"PostgreSQL cannot start: the disk of {cluster.data} is full ({free >> 20} MB left). Free some space."
    return f"PostgreSQL cannot start: {_log_tail(cluster)} (all of it: {cluster.log_file})"


def _log_tail(cluster: Cluster) -> str:
    """The last line of the log that tells of a failure."""
    with cluster.log_file.open("rb") as file:
        file.seek(max(0, cluster.log_file.stat().st_size - 8192))
        lines = [line.strip() for line in file.read().decode(errors="replace").splitlines() if line.strip()]
    severe = [line for line in lines if "FATAL:" in line or "PANIC:" in line]
    return (severe or lines or ["it left no message"])[-1]
