"""Processes under test: started with what they need, killed at the end; and a Redis of their own."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import missing
from tests.llmclient.backend import Backend, wait_until

ROOT = Path(__file__).resolve().parents[3]
QUIET = ["--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "WARNING"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.processes)


class Started:
    """Starts programs; each is the leader of a session of its own, so that it can be killed with its children."""

    def __init__(self, backend: Backend, environment: dict[str, str]) -> None:
        self._environment = {**os.environ, "PYTHONPATH": str(ROOT), "LLMCLIENT_DSN": backend.dsn, **environment}
        self._processes: list[subprocess.Popen[str]] = []

    def start(self, *command: str, **environment: str) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, *command],
            cwd=ROOT,
            env={**self._environment, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self._processes.append(process)
        return process

    def program(self, text: str, *arguments: str, **environment: str) -> "subprocess.Popen[str]":
        return self.start("-c", textwrap.dedent(text), *arguments, **environment)

    def run(self, text: str, *arguments: str, **environment: str) -> tuple[str, str]:
        """Runs a program to its end, which must be a good one; what it said on both channels."""
        process = self.program(text, *arguments, **environment)
        output, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors
        return output, errors

    def end(self) -> None:
        for process in self._processes:
            kill_all(process)
            process.communicate()


def kill_all(process: "subprocess.Popen[str]") -> None:
    """Ends a program and all its children, without a chance to do anything about it."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    process.wait(30)


@pytest.fixture
def started(backend: Backend) -> Iterator[Started]:
    processes = Started(backend, {})
    yield processes
    processes.end()


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Redis of our own, so that nobody's data is flushed."""
    program = shutil.which("redis-server") or ""
    if not program:
        missing("redis-server")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    home = str(tmp_path_factory.mktemp("redis"))
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", home]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        wait_until(lambda: _listens(port))
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        server.terminate()
        server.wait(30)


@pytest.fixture
def broker(redis_server: str) -> str:
    """The same, empty."""
    import redis

    redis.Redis.from_url(redis_server).flushdb()
    return redis_server


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def accounts(backend: Backend) -> dict[str, dict[str, Any]]:
    """By process: calls measured, delivered, and dropped by reason, as its last batch has it."""
    delivered = Counter[str]()
    found: dict[str, dict[str, Any]] = {}
    for batch in backend.batches:
        client = batch["client"]
        delivered[client["boot_id"]] += len(batch["events"])
        found[client["boot_id"]] = {
            "emitted": client["emitted"],
            "delivered": delivered[client["boot_id"]],
            "dropped": client["dropped"],
        }
    return found


def assert_all_accounted_for(backend: Backend) -> None:
    """Every call each process measured has arrived, or its loss was told; and none has arrived twice."""
    ids = [event["id"] for event in backend.events]
    assert len(ids) == len(set(ids))
    for account in accounts(backend).values():
        assert account["emitted"] == account["delivered"] + sum(account["dropped"].values()), account
