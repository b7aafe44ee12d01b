"""The whole product with one command: database, web, worker and beat as one process tree, ended by one Ctrl-C.

This is the supervisor and stays small: it never loads Django. What needs Django (migrations, static files, the first
login) runs in a short-lived `manage.py prepare`.
"""

import argparse
import errno
import fcntl
import json
import logging
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from config import children, database, postgres, processes, settings
from config.complaints import one_line
from config.postgres import server
from config.postgres.files import PostgresError, data_of
from config.processes import StopRequest, Tree

log = logging.getLogger(__name__)

POSTGRES = settings.VITALS_HOME / "postgres"
LOOK_EVERY = 1.0  # seconds between two looks at PostgreSQL
RETRY_EVERY = 5.0  # seconds between two tries to start it when it cannot
HISTORY_DONE = settings.VITALS_HOME / "demo-history"


class StartError(PostgresError):
    """The product cannot start; the message is one plain line with what to do."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: only this machine)")
    parser.add_argument("--port", type=int, default=8000, help="port to listen on (default: 8000)")
    parser.add_argument("--demo", action="store_true", help="with four weeks of made-up history and live traffic")


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="manage.py up", description="Run the whole product until Ctrl-C.")
    add_arguments(parser)
    options = parser.parse_args(arguments)
    run(host=options.host, port=options.port, demo=options.demo)


def run(*, host: str, port: int, demo: bool) -> None:
    """Until Ctrl-C or SIGTERM. Raises what `config.complaints` tells in one line."""
    logging.basicConfig(format="%(message)s", level=logging.INFO)
    stop = StopRequest()
    settings.VITALS_HOME.mkdir(parents=True, exist_ok=True)
    with suppress(KeyboardInterrupt), ExitStack() as stack:
        stack.enter_context(_only_one(settings.VITALS_HOME))
        check_port(host, port)
        with stop.interrupting():
            stack.enter_context(database.ready(POSTGRES))
        tree = Tree()
        stack.callback(tree.stop)
        _serve(tree, stop, host, port, demo=demo)
    _say("Stopped.")


def _serve(tree: Tree, stop: StopRequest, host: str, port: int, *, demo: bool) -> None:
    environment = children.environment(host, port, demo=demo)
    with stop.interrupting():
        login = _prepare(environment)
    look = _looker(tree, stop)
    tree.add(children.web(environment, host, port))
    _wait(stop, look, lambda: _answers(host, port), lambda: _web_works(tree))
    # Ticks of an earlier run are worthless, and the names of the files are ordered only since the last boot.
    shutil.rmtree(settings.VITALS_HOME / "broker", ignore_errors=True)
    tree.add(children.worker(environment))
    tree.add(children.beat(environment))
    if demo and not HISTORY_DONE.exists():
        _write_history(stop, look, environment)
    if demo:
        tree.add(children.traffic(environment))
    _say(start_message(environment["BASE_URL"], login, settings.VITALS_HOME))
    _wait(stop, look, lambda: False)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def start_message(address: str, login: dict[str, str], home: Path) -> str:
    kept = "your own PostgreSQL (DATABASE_URL), files in" if database.given_url() else "embedded PostgreSQL in"
    return f"""
  LLM Vitals is running

    Open     {address}
    Log in   {login["user"]} / {login["password"] or "your password"}
             {login["remark"]}
    Data     {kept} {home}

  Ctrl-C stops everything.
"""


def _prepare(environment: dict[str, str]) -> dict[str, str]:
    """Migrations, static files and the first login; who can log in."""
    process = processes.spawn(children.manage("prepare"), environment, stdout=subprocess.PIPE)
    try:
        answer, _ = process.communicate()
    finally:
        processes.end_group(process, processes.KILL)
        process.wait()
    if process.returncode != 0:
        raise StartError("LLM Vitals is not running: the step above failed.")
    login: dict[str, str] = json.loads(answer.splitlines()[-1])
    return login


def _looker(tree: Tree, stop: StopRequest) -> Callable[[], None]:
    """One look at everything that must be alive; whatever died is started again."""
    next_look = 0.0

    def look() -> None:
        nonlocal next_look
        if not database.given_url() and time.monotonic() >= next_look:
            next_look = time.monotonic() + (LOOK_EVERY if _postgres_lives(stop) else RETRY_EVERY)
        tree.look()

    return look


def _postgres_lives(stop: StopRequest) -> bool:
    """Start it again when it died. A reason that a person can mend (a full disk) is told, and then tried again."""
    if server.live(data_of(POSTGRES)) is not None:
        return True
    log.warning("PostgreSQL ended; starting it again")
    try:
        with stop.interrupting():
            postgres.revive(POSTGRES)
    except (PostgresError, OSError) as error:
        log.warning("%s", one_line(error))
        return False
    return True


def _wait(stop: StopRequest, look: Callable[[], None], *done: Callable[[], bool]) -> None:
    """Look after the processes until one of the conditions holds. Raises KeyboardInterrupt when asked to stop."""
    while not any(condition() for condition in done):
        with stop.interrupting():
            time.sleep(processes.TICK if len(done) == 1 else 0.02)
        look()


def _web_works(tree: Tree) -> bool:
    if tree.children[0].deaths > 2:
        raise StartError("LLM Vitals is not running: the web process ends at once; its own words are above.")
    return False


def _answers(host: str, port: int) -> bool:
    """Whether anything at all comes back over HTTP."""
    with suppress(OSError), socket.create_connection((_reachable(host), port), timeout=2) as connection:
        connection.sendall(b"GET /healthz HTTP/1.0\r\nHost: localhost\r\n\r\n")
        return connection.recv(4) == b"HTTP"
    return False


def _reachable(host: str) -> str:
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  compared, not listened on


def _write_history(stop: StopRequest, look: Callable[[], None], environment: dict[str, str]) -> None:
    """Once in the life of this home, and before live traffic."""
    process = processes.spawn(children.manage("demo_history"), environment)
    try:
        _wait(stop, look, lambda: process.poll() is not None, lambda: False)
    finally:
        processes.end_group(process, processes.KILL)
        process.wait()
    if process.returncode != 0:
        raise StartError("LLM Vitals is not running: the made-up history could not be written; the reason is above.")
    HISTORY_DONE.touch()


@contextmanager
def _only_one(home: Path) -> Iterator[None]:
    """The right to be the process tree of this home."""
    with (home / "up.lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StartError(f"LLM Vitals already runs on {home}. Stop it first, or set VITALS_HOME.") from None
        yield


def check_port(host: str, port: int) -> None:
    """Ask the system for the address before anything is started."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # A connection that is fading out is no owner.
            probe.bind(address)
    except (OSError, OverflowError) as error:
        raise StartError(_about_port(host, port, error)) from None


def _about_port(host: str, port: int, error: OSError | OverflowError) -> str:
    match getattr(error, "errno", None):
        case errno.EADDRINUSE:
            other = port + 1
            return (
                f"Port {port} is taken by another program. Stop that program, or choose a port:"
                f" HTTP_PORT={other} with make, --port {other} with manage.py up."
            )
        case errno.EACCES:
            return f"This user may not listen on port {port}. Choose one above 1023: --port 8000."
        case errno.EADDRNOTAVAIL:
            return f"{host} is no address of this machine. Use --host 127.0.0.1, or 0.0.0.0 for all."
    return f"Cannot listen on {host}:{port}: {error}."
