"""Live traffic: real calls over a socket, and an end when it is asked for."""

import os
import signal
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from pathlib import Path

import pytest
from django.db import connection
from pytest_django.live_server_helper import LiveServer

from config.demo import live, story
from llmclient.testing import FakeAnthropic, capture
from llmclient.testing.arrivals import steady
from projects.models import IngestKey

ROOT = Path(__file__).parents[3]


def until(condition: object, seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def test_calls_are_made_until_told_to_stop() -> None:
    stop, made = threading.Event(), []
    with FakeAnthropic(limits=None, speed=1000) as fake, capture() as calls:
        runner = threading.Thread(target=lambda: made.append(live.run(fake.url, per_second=100, stop=stop)))
        runner.start()
        until(lambda: len(calls) >= 30)
        stop.set()
        runner.join(10)
        assert made[0] >= 30
        assert {call.outcome for call in calls} <= {"ok", "error"}
        assert len({call.id for call in calls}) == len(calls)
        assert {call.labels["feature"] for call in calls} <= {
            "support-chat",
            "doc-summary",
            "code-review",
            "extract",
            "classify",
        }


def test_something_goes_wrong_every_quarter_of_an_hour_and_never_twice_at_a_time() -> None:
    start = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
    incidents = list(islice(story.live_incidents(start), 12))
    assert incidents[0].start == start + timedelta(minutes=5)
    for before, after in pairwise(incidents):
        assert after.start - before.start == timedelta(minutes=15)
        assert before.end < after.start


def test_steady_arrivals_have_the_rate_asked_for() -> None:
    start = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
    rows = list(islice(steady(start, per_second=4.0, seed=2), 4000))
    assert 900 < (rows[-1].at - start).total_seconds() < 1100


@pytest.mark.processes
@pytest.mark.django_db(transaction=True)
def test_the_command_delivers_what_it_measured_and_ends_with_sigterm(live_server: LiveServer) -> None:
    is_at = connection.settings_dict
    host = is_at["HOST"] or is_at["OPTIONS"].get("host", "")
    database = f"postgres://{is_at['USER']}@/{is_at['NAME']}?host={host}&port={is_at['PORT'] or 5432}"
    environment = os.environ | {"DATABASE_URL": database, "BASE_URL": live_server.url}
    process = subprocess.Popen(
        [sys.executable, "manage.py", "demo_traffic", "--rate", "8"],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )

    def stored() -> int:
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM request_log")
            return int(cursor.fetchone()[0])

    try:
        until(lambda: stored() > 0, 60)
    finally:
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=20)
    assert process.returncode == 0, output
    assert "Live traffic ended after" in output
    assert IngestKey.objects.filter(revoked_at=None).count() == 1
