"""What tests of processes ask: is it alive, who serves, is it so by now."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psycopg

from config import postgres
from config.postgres import server
from config.postgres.files import data_of

ROOT = Path(__file__).resolve().parents[2]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def postmaster(data_dir: Path) -> int | None:
    return server.live(data_of(data_dir))


def alive(pid: int) -> bool:
    return server.alive(pid)


def eventually(condition: Callable[[], object], seconds: float = 30) -> None:
    """Wait until the condition holds; fail when it does not in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.02)


def connect(data_dir: Path) -> psycopg.Connection:
    return psycopg.connect(postgres.url(data_dir), autocommit=True)


def rows(data_dir: Path, query: str) -> list[tuple[object, ...]]:
    with connect(data_dir) as connection:
        return connection.execute(query.encode()).fetchall()


def serves(data_dir: Path) -> bool:
    try:
        return rows(data_dir, "SELECT 1") == [(1,)]
    except psycopg.OperationalError:
        return False


def hold(data_dir: Path, *within: str) -> "subprocess.Popen[str]":
    """Another process that holds the server, perhaps run by another program; it lets go when its input ends."""
    return subprocess.Popen(
        [*within, sys.executable, "-m", "tests.config.holder", str(data_dir)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def told_pid(holder: "subprocess.Popen[str]") -> int:
    assert holder.stdout is not None
    return int(holder.stdout.readline())


def let_go(holder: "subprocess.Popen[str]") -> None:
    holder.communicate("\n", timeout=60)
