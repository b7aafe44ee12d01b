"""What holds when workers are killed, and when several of them work at once. Real processes, real mail server."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.conf import settings as configured
from django.db import connection
from django.db.models import F

from alerting.evaluate import evaluate
from alerting.models import Alert, AlertRule, Notification, Transition
from alerting.notify import LEASE, deliver
from budgets.models import Budget, Threshold
from metrics.rollup import roll_up_minutes
from projects.models import Project, Recipient
from tests.alerting.conftest import MailServer, at, traffic

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.processes]

ROOT = Path(__file__).resolve().parents[2]
PREAMBLE = """
import os, signal, sys
from datetime import datetime
import django
django.setup()
from django.db import transaction
from alerting.evaluate import evaluate
from alerting.notify import deliver
now = datetime.fromisoformat(sys.argv[1])
"""
DIE = "os.kill(os.getpid(), signal.SIGKILL)"


def worker(mail_server: MailServer, now: datetime, work: str) -> subprocess.Popen[bytes]:
    """Another process of the product, on the database of this test."""
    database = urlsplit(configured.DATABASE_URL)._replace(path="/" + connection.settings_dict["NAME"]).geturl()
    environment = os.environ | {
        "DATABASE_URL": database,
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "EMAIL_URL": f"smtp://127.0.0.1:{mail_server.port}",
        "EMAIL_FROM": "LLM Vitals <vitals@example.com>",
        "SECRET_KEY": "for tests only",
        "VITALS_HOME": str(configured.VITALS_HOME),
    }
    return subprocess.Popen([sys.executable, "-c", PREAMBLE + work, now.isoformat()], cwd=ROOT, env=environment)


def killed(mail_server: MailServer, now: datetime, work: str) -> None:
    assert worker(mail_server, now, work).wait(60) == -signal.SIGKILL


@pytest.fixture
def burst(project: Project, rule: AlertRule, anna: Recipient) -> AlertRule:
    """Every other call fails for eight minutes, nothing is judged yet; the rule fires at the first window."""
    rule.for_minutes = rule.keep_firing_minutes = 0
    rule.save()
    for minute in range(8):
        traffic(project, minute, ok=10, failed=10)
    roll_up_minutes(now=at(8))
    return rule


@pytest.fixture
def overspent(project: Project, anna: Recipient) -> Budget:
    budget = Budget.objects.create(project=project, name="Daily", period="day", amount_nanousd=60_000_000)
    Threshold.objects.create(budget=budget, percent=100, severity="critical")
    for minute in range(8):
        traffic(project, minute, ok=20)
    roll_up_minutes(now=at(8))
    return budget


def calm(project: Project) -> None:
    """Five good minutes later, the window holds no failure."""
    for minute in range(8, 14):
        traffic(project, minute, ok=20)
    roll_up_minutes(now=at(14))


@pytest.mark.parametrize("cause", ["burst", "overspent"])
def test_a_worker_killed_between_decision_and_delivery_costs_no_mail_and_doubles_none(
    cause: str, request: pytest.FixtureRequest, mail_server: MailServer
) -> None:
    request.getfixturevalue(cause)
    killed(mail_server, at(8), f"assert evaluate(now=now) == 1\n{DIE}")
    assert mail_server.received == []
    assert evaluate(now=at(8)) == 0
    assert deliver(now=at(8)) == 1
    assert deliver(now=at(8) + LEASE) == 0
    assert [subject[:8] for subject in mail_server.subjects] == ["[FIRING "]


def test_the_end_survives_the_same_kill(project: Project, burst: AlertRule, mail_server: MailServer) -> None:
    evaluate(now=at(8))
    deliver(now=at(8))
    calm(project)
    killed(mail_server, at(14), f"assert evaluate(now=now) == 1\n{DIE}")
    assert evaluate(now=at(14)) == 0
    assert deliver(now=at(14)) == 1
    assert [subject[:9] for subject in mail_server.subjects] == ["[FIRING ·", "[RESOLVED"]


def test_a_worker_killed_before_it_commits_leaves_nothing_and_the_next_decides(
    burst: AlertRule, mail_server: MailServer
) -> None:
    killed(mail_server, at(8), f"with transaction.atomic():\n    assert evaluate(now=now) == 1\n    {DIE}")
    assert not Alert.objects.exists()
    assert not Notification.objects.exists()
    assert evaluate(now=at(8)) == 1
    assert deliver(now=at(8)) == 1
    assert len(mail_server.received) == 1


def test_a_worker_killed_while_it_sends_is_followed_by_another_when_its_lease_is_over(
    burst: AlertRule, mail_server: MailServer
) -> None:
    evaluate(now=at(8))
    started: list[subprocess.Popen[bytes]] = []
    # The server has the text but has not said yes when the worker dies.
    mail_server.before_taking = partial(kill_first, started)
    started.append(worker(mail_server, at(8), "deliver(now=now)"))
    assert started[0].wait(60) == -signal.SIGKILL
    mail_server.before_taking = None
    assert mail_server.received == []
    assert deliver(now=at(8) + LEASE - timedelta(seconds=1)) == 0
    assert deliver(now=at(8) + LEASE) == 1
    assert len(mail_server.received) == 1


def test_a_worker_killed_after_the_servers_yes_repeats_the_mail_under_the_same_id(
    burst: AlertRule, mail_server: MailServer
) -> None:
    evaluate(now=at(8))
    started: list[subprocess.Popen[bytes]] = []
    # Dead by the time the yes is said: the mail is taken, and nobody has written it down.
    mail_server.after_taking = partial(kill_first, started)
    started.append(worker(mail_server, at(8), "deliver(now=now)"))
    assert started[0].wait(60) == -signal.SIGKILL
    mail_server.after_taking = None
    assert deliver(now=at(8) + LEASE) == 1
    first, second = mail_server.received
    assert first["Message-ID"] == second["Message-ID"]


def kill_first(started: list[subprocess.Popen[bytes]]) -> None:
    started[0].kill()


def test_a_worker_that_lost_its_lease_cannot_report(burst: AlertRule, mail_server: MailServer) -> None:
    evaluate(now=at(8))

    def take_over() -> None:
        Notification.objects.update(tries=F("tries") + 1)
        connection.close()

    mail_server.after_taking = take_over
    assert deliver(now=at(8)) == 0
    taken = Notification.objects.get()
    assert [taken.state, taken.tries, taken.sent_at] == ["waiting", 2, None]


def at_once(work: Callable[[], Any], workers: int = 4) -> list[Any]:
    """Run the same work in several threads that start together, each with a connection of its own."""
    barrier = threading.Barrier(workers)
    results: list[Any] = []

    def run() -> None:
        try:
            barrier.wait(30)
            results.append(work())
        finally:
            connection.close()

    threads = [threading.Thread(target=run) for _ in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(results) == workers
    return results


@pytest.mark.parametrize("cause", ["burst", "overspent"])
def test_evaluators_at_once_take_one_step_and_deliverers_at_once_send_one_mail(
    cause: str, request: pytest.FixtureRequest, mail_server: MailServer
) -> None:
    request.getfixturevalue(cause)
    assert sorted(at_once(lambda: evaluate(now=at(8)))) == [0, 0, 0, 1]
    assert Transition.objects.count() == Notification.objects.count() == 1
    assert sum(at_once(lambda: deliver(now=at(8)))) == 1
    assert len(mail_server.received) == 1


def test_evaluators_at_once_end_an_episode_once(project: Project, burst: AlertRule, mail_server: MailServer) -> None:
    evaluate(now=at(8))
    calm(project)
    assert sorted(at_once(lambda: evaluate(now=at(14)))) == [0, 0, 0, 1]
    assert [step.to_state for step in Transition.objects.order_by("seq")] == ["firing", "ok"]


def test_a_rule_deleted_under_several_evaluators_is_closed_once(
    project: Project, burst: AlertRule, mail_server: MailServer
) -> None:
    evaluate(now=at(8))
    burst.delete()
    assert sorted(at_once(lambda: evaluate(now=at(9)))) == [0, 0, 0, 1]
    assert sum(at_once(lambda: deliver(now=at(9)))) == 2
    assert [subject[:9] for subject in mail_server.subjects] == ["[FIRING ·", "[RESOLVED"]


def test_deliverers_at_once_share_the_work(project: Project, burst: AlertRule, mail_server: MailServer) -> None:
    for number in range(60):
        Recipient.objects.create(project=project, email=f"person-{number}@example.com")
    evaluate(now=at(8))
    assert sum(at_once(lambda: deliver(now=at(8)))) == 61
    assert len({mail["To"] for mail in mail_server.received}) == len(mail_server.received) == 61
