"""A real worker and a real beat: the broker carries ticks, PostgreSQL holds the truth."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

import pytest
import redis
from django.db import connection
from django.utils import timezone

from config import schedule
from config.models import Job
from tests.config.asking import ROOT, eventually, free_port, listens
from tests.config.small_jobs import JOBS
from tests.conftest import missing

pytestmark = [pytest.mark.processes, pytest.mark.django_db(transaction=True)]

Start = Callable[[str], "subprocess.Popen[bytes]"]


def database_url() -> str:
    """The test database, as the processes under test must be told it."""
    is_at = connection.settings_dict
    host = is_at["HOST"] or is_at["OPTIONS"].get("host", "")
    login = f"{quote(is_at['USER'])}:{quote(is_at['PASSWORD'] or '')}"
    return f"postgres://{login}@/{is_at['NAME']}?host={host}&port={is_at['PORT'] or 5432}"


@contextmanager
def processes(home: Path, broker: str) -> Iterator[Start]:
    """Start `worker` or `beat`; whatever still runs at the end is killed."""
    commands = {
        "worker": [
            "-m",
            "celery",
            "--app",
            "tests.config.ticking",
            "worker",
            "--pool",
            "threads",
            "--concurrency",
            "2",
        ],
        "beat": ["-m", "config.beat"],
    }
    environment = {**os.environ, "VITALS_HOME": str(home), "DATABASE_URL": database_url(), "CELERY_BROKER_URL": broker}
    environment["LOG_LEVEL"] = "ERROR"
    started = []

    def start(name: str) -> "subprocess.Popen[bytes]":
        process = subprocess.Popen([sys.executable, *commands[name]], cwd=ROOT, env=environment)
        started.append(process)
        return process

    try:
        yield start
    finally:
        for process in started:
            process.kill()
            process.wait()


def runs(name: str = "steady") -> int:
    return Job.objects.get(name=name).fence


def runs_on() -> None:
    before = runs()
    eventually(lambda: runs() >= before + 2, seconds=60)


@pytest.fixture
def redis_url(home: Path) -> Iterator[str]:
    """The address of a Redis of our own, so that nobody's data is flushed."""
    program = shutil.which("redis-server") or ""
    if not program:
        missing("redis-server")
    port = free_port()
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(home)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        eventually(lambda: listens(port))
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        server.terminate()
        server.wait(30)


@pytest.fixture(autouse=True)
def _jobs() -> None:
    schedule.sync_jobs(timezone.now(), JOBS)


def test_worker_and_beat_run_the_jobs_over_a_directory_as_broker(home: Path) -> None:
    with processes(home, broker="") as start:
        start("worker")
        start("beat")
        runs_on()
        eventually(lambda: Job.objects.get(name="failing").last_error == "RuntimeError: as always")
    assert Job.objects.get(name="steady").failures == 0


def test_a_worker_makes_the_rows_of_its_jobs(home: Path) -> None:
    Job.objects.all().delete()
    with processes(home, broker="") as start:
        start("worker")
        eventually(lambda: {job.name for job in Job.objects.all()} == {job.name for job in JOBS})


def test_worker_and_beat_run_the_jobs_over_redis(home: Path, redis_url: str) -> None:
    with processes(home, broker=redis_url) as start:
        start("worker")
        start("beat")
        runs_on()
    assert not (home / "broker").exists()


def test_wiping_the_directory_of_the_broker_loses_nothing(home: Path) -> None:
    with processes(home, broker="") as start:
        worker, beat = start("worker"), start("beat")
        runs_on()
        shutil.rmtree(home / "broker")
        runs_on()
        assert (worker.poll(), beat.poll()) == (None, None)


def test_flushing_redis_loses_nothing(home: Path, redis_url: str) -> None:
    with processes(home, broker=redis_url) as start:
        start("worker")
        start("beat")
        runs_on()
        redis.Redis.from_url(redis_url).flushdb()
        runs_on()


def test_a_killed_worker_with_a_wiped_broker_continues_after_a_restart(home: Path) -> None:
    with processes(home, broker="") as start:
        worker = start("worker")
        start("beat")
        runs_on()
        worker.kill()
        worker.wait()
        shutil.rmtree(home / "broker")
        start("worker")
        runs_on()


def test_a_job_whose_worker_was_killed_in_the_middle_runs_again_when_its_lease_ends(home: Path) -> None:
    Job.objects.filter(name="steady").update(fence=7, lease_until=timezone.now() + timedelta(seconds=JOBS[0].lease))
    with processes(home, broker="") as start:
        start("worker")
        start("beat")
        runs_on()
    assert runs() > 8


def test_a_worker_that_is_asked_to_stop_ends_cleanly(home: Path) -> None:
    with processes(home, broker="") as start:
        worker, beat = start("worker"), start("beat")
        runs_on()
        worker.send_signal(signal.SIGTERM)
        beat.send_signal(signal.SIGTERM)
        assert (worker.wait(30), beat.wait(30)) == (0, 0)
    assert set(Job.objects.values_list("lease_until", flat=True)) == {None}
