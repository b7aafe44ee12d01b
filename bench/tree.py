"""A running product in a home of its own, for the benches that look at its processes."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Product:
    """A started tree: its supervisor, its address, its home, and how long it took to the first page."""

    supervisor: subprocess.Popen[bytes]
    port: int
    home: Path
    seconds_to_page: float


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def home() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="vitals-bench-"))
    path.chmod(0o755)  # PostgreSQL's own user must be able to enter when root runs this.
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


@contextmanager
def product(home: Path, page: str = "/login/", *options: str, root: Path = ROOT) -> Iterator[Product]:
    """`manage.py up` of a checkout until the block ends; ready when the page was served."""
    port = free_port()
    environment = {**os.environ, "VITALS_HOME": str(home)}
    environment.pop("DATABASE_URL", None)
    begun = time.monotonic()
    command = [sys.executable, str(root / "manage.py"), "up", "--port", str(port), *options]
    supervisor = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    try:
        while not fetched(port, page):
            if supervisor.poll() is not None:
                raise SystemExit("The product did not start.")
            time.sleep(0.005)
        yield Product(supervisor, port, home, time.monotonic() - begun)
    finally:
        supervisor.send_signal(signal.SIGTERM)
        supervisor.wait(60)


def fetched(port: int, page: str) -> bool:
    """Whether the page is served with status 200."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
            connection.sendall(f"GET {page} HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n".encode())
            return b" 200 " in connection.recv(64)
    except OSError:
        return False


def processes(product: Product) -> list[tuple[str, psutil.Process]]:
    """Every process of the tree, with PostgreSQL and its keeper, each with a name to read."""
    supervisor = psutil.Process(product.supervisor.pid)
    found = [("supervisor", supervisor)]
    found += [(_name(child), child) for child in supervisor.children(recursive=True)]
    for process in psutil.process_iter():
        words = _words(process)
        if "postgres/keeper" in " ".join(words) and any(word.startswith(str(product.home)) for word in words):
            found.append(("postgres keeper", process))
            found += [("postgres", server) for server in process.children(recursive=True)]
    return found


def _words(process: psutil.Process) -> list[str]:
    try:
        return list(process.cmdline())
    except psutil.Error:  # It ended this moment, or is somebody else's.
        return []


def _name(process: psutil.Process) -> str:
    words = " ".join(_words(process))
    for part, name in (("granian", "web"), ("config.beat", "beat"), ("worker", "worker")):
        if part in words:
            return name
    return process.name()
