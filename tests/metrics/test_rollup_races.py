"""Rollups beside writers, other rollers and kills: nothing is lost, nothing is counted twice."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from urllib.parse import urlencode

import psycopg
import pytest
from django.conf import settings
from django.db import connection, connections, transaction

from ingest.vocabulary import Grain
from metrics.rollup import roll_up_hours, roll_up_minutes
from tests import factories
from tests.factories import NOW
from tests.metrics import rollups, world
from tests.metrics.world import DAY, MIDNIGHT, settle

pytestmark = [pytest.mark.storage, pytest.mark.django_db(transaction=True)]
MINUTE = timedelta(minutes=1)
# Other databases of the same server have locks of their own.
_LOCKS = "SELECT 1 FROM pg_locks WHERE database = (SELECT oid FROM pg_database WHERE datname = current_database())"


def test_a_call_stored_while_its_minute_is_rolled_up_is_not_lost() -> None:
    """Ingest commits after the marks were read and before the calls are: the second mark must survive."""
    owner = factories.project()
    factories.stored(owner)
    with _locked("facet_minute") as release, _thread(lambda: roll_up_minutes(now=NOW)) as worker:
        _until(lambda: _waiting_for("facet_minute"))
        factories.stored(owner)
        release()
        worker.join()
    assert [mark[:2] for mark in rollups.marks()] == [(Grain.MINUTE, NOW), (Grain.HOUR, NOW)]
    settle()
    assert rollups.requests_by_minute(owner) == {"10:00": 2}
    rollups.assert_totals_equal_the_calls()


def test_a_call_that_commits_after_the_roll_up_is_counted_by_the_next() -> None:
    owner = factories.project()
    factories.stored(owner)
    with transaction.atomic():
        factories.stored(owner)
        with _thread(lambda: roll_up_minutes(now=NOW)) as worker:
            worker.join()
    assert rollups.requests_by_minute(owner) == {"10:00": 1}
    settle()
    assert rollups.requests_by_minute(owner) == {"10:00": 2}


def test_of_two_rollers_at_once_one_works_and_the_other_leaves() -> None:
    owner = factories.project()
    factories.stored(owner)
    done: list[int] = []
    with _locked("facet_minute") as release, _thread(lambda: done.append(roll_up_minutes(now=NOW))) as worker:
        _until(lambda: _waiting_for("facet_minute"))
        assert roll_up_minutes(now=NOW) == 0
        release()
        worker.join()
    assert done == [1]
    assert rollups.requests_by_minute(owner) == {"10:00": 1}


@pytest.mark.parametrize("table", ["facet_minute", "cube_hour", "user_day"])
def test_a_roller_killed_before_its_commit_leaves_everything_to_be_done_again(table: str) -> None:
    owner = factories.project()
    factories.stored(owner, at=NOW - DAY, now=NOW)
    # Up to the step that will be killed, as it would be in life.
    steps = {"facet_minute": (), "cube_hour": (roll_up_minutes,), "user_day": (roll_up_minutes,)}
    for step in steps[table]:
        step(now=NOW)
    verb = "roll_up_minutes" if table == "facet_minute" else "roll_up_hours"
    with _locked(table) as release:
        killed = _roller(verb)
        _until(lambda: _waiting_for(table))
        killed.send_signal(signal.SIGKILL)
        killed.wait()
        release()
    # Its server process ends the statement it is in, finds nobody there, and rolls back.
    _until(lambda: not rollups.rows(f"{_LOCKS} AND locktype = 'advisory'"))
    assert rollups.marks() != []
    settle()
    assert rollups.marks() == []
    rollups.assert_totals_equal_the_calls()


def test_writers_and_rollers_side_by_side_end_with_exact_totals() -> None:
    """Three writers send overlapping halves of the same calls while two rollers never stop."""
    owners = world.projects()
    made = [call for call in world.calls(owners, seed=11) if call.at > MIDNIGHT - 3 * DAY][:360]
    writing = threading.Event()
    writing.set()

    def write(part: int) -> None:
        mine = [call for number, call in enumerate(made) if number % 3 != part]
        for start in range(0, len(mine), 24):
            world.store(mine[start : start + 24])

    def roll() -> None:
        while writing.is_set():
            roll_up_minutes(now=NOW)
            roll_up_hours(now=NOW + 6 * MINUTE)

    with _thread(roll), _thread(roll):
        with _thread(lambda: write(0)), _thread(lambda: write(1)), _thread(lambda: write(2)):
            pass
        writing.clear()
    settle()
    assert rollups.rows("SELECT count(*) FROM request_log") == [(360,)]
    assert sorted(rollups.marks()) == [(Grain.MONTH, MIDNIGHT, owner.pk) for owner in owners]
    rollups.assert_totals_equal_the_calls()


@contextmanager
def _thread(work: Callable[[], object]) -> Iterator[threading.Thread]:
    """Work on a connection of its own; joined at the end, and what it raised is raised here."""
    failures: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 — raised again below, in the thread pytest watches
            failures.append(error)
        finally:
            connections.close_all()

    worker = threading.Thread(target=run)
    worker.start()
    try:
        yield worker
    finally:
        worker.join()
    if failures:
        raise failures[0]


@contextmanager
def _locked(table: str) -> Iterator[Callable[[], None]]:
    """A third party that stops everyone who wants to write to a table, until it is released."""
    with psycopg.connect(**connection.get_connection_params() | {"cursor_factory": None}) as other:
        other.execute(f"LOCK TABLE {table} IN SHARE ROW EXCLUSIVE MODE")
        yield other.rollback


def _waiting_for(table: str) -> bool:
    return bool(rollups.rows(f"{_LOCKS} AND relation = %s::regclass AND NOT granted", table))


def _until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def _roller(verb: str) -> subprocess.Popen[bytes]:
    """A worker process that runs one job of the rollup on the test's database."""
    script = f"""
import django
django.setup()
from datetime import datetime
from django.conf import settings
from metrics import rollup
rollup.{verb}(now=datetime.fromisoformat({NOW.isoformat()!r}))
"""
    ours = connection.get_connection_params()
    where = urlencode({name: ours[name] for name in ("host", "port", "password") if ours.get(name)})
    environment = os.environ | {
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "DATABASE_URL": f"postgres://{ours['user']}@/{ours['dbname']}?{where}",
    }
    return subprocess.Popen([sys.executable, "-c", script], env=environment, cwd=settings.BASE_DIR)
