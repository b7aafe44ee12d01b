"""What the processes of the product are: the command of each, and what it finds in its environment."""

import os
import sys

from config import settings
from config.processes import Child

WORKER_STATEMENT_TIMEOUT_MS = 60_000  # A job may take longer than a page; threads are bounded here and only here.


def environment(host: str, port: int, *, demo: bool) -> dict[str, str]:
    """Ours, with the address the product has now. Everything a person set stays as it is."""
    shown = host if host not in {"0.0.0.0", "::"} else "127.0.0.1"  # noqa: S104  compared, not listened on
    given = {
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "BASE_URL": f"http://{shown}:{port}",
        "LOG_LEVEL": "WARNING",
        "PYTHONPATH": str(settings.BASE_DIR),
        # Many threads that rest most of the time: one arena each would keep what they once used.
        "MALLOC_ARENA_MAX": "2",
    }
    fixed = {"VITALS_HOME": str(settings.VITALS_HOME)}  # A relative one would depend on where we were started.
    return given | os.environ | fixed | ({"DEMO": "on"} if demo else {})


def manage(*words: str) -> list[str]:
    return [sys.executable, str(settings.BASE_DIR / "manage.py"), *words]


def web(environment: dict[str, str], host: str, port: int) -> Child:
    """Threads, because most of a request is waiting for PostgreSQL, which does not hold Python's lock."""
    command = [sys.executable, "-m", "granian", "--interface", "wsgi", "--host", host, "--port", str(port)]
    command += ["--workers", "1", "--blocking-threads", "4", "--http", "1", "--no-ws", "--respawn-failed-workers"]
    command += ["--workers-kill-timeout", "3", "--log-level", "warning", "config.wsgi:application"]
    return Child("web", command, environment)


def worker(environment: dict[str, str]) -> Child:
    """Two threads in one process: the jobs wait for PostgreSQL, and one slow job must not hold up the rest."""
    command = [sys.executable, "-m", "celery", "--app", "config.celery", "--quiet", "worker", "--pool", "threads"]
    command += ["--concurrency", "2", "--without-gossip", "--without-mingle", "--without-heartbeat"]
    command += ["--loglevel", "WARNING"]
    own = {"STATEMENT_TIMEOUT_MS": str(WORKER_STATEMENT_TIMEOUT_MS)}
    return Child("worker", command, environment | own, stop_patience=8.0, silent=True)


def beat(environment: dict[str, str]) -> Child:
    return Child("beat", [sys.executable, "-m", "config.beat"], environment, silent=True)


def traffic(environment: dict[str, str]) -> Child:
    return Child("demo traffic", manage("demo_traffic"), environment)
