"""Workers of Celery, as people run them: they fork, recycle their children, and are killed."""

import signal
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
from billiard.exceptions import TimeLimitExceeded

from llmclient._asked import Job
from llmclient._envelope import Seal, put_in
from llmclient.contrib._tickets import TASKS
from llmclient.contrib.celery import DeadLetter, PromptTask, Ticket, prompt_task
from llmclient.testing import FakeAnthropic, Request, fail, reply, slow
from llmclient.testing._answers import Answer
from tests.llmclient.backend import Backend, wait_until
from tests.llmclient.processes.conftest import QUIET, Started, accounts, assert_all_accounted_for, kill_all
from tests.llmclient.processes.queue_app import ASK, app_for


class Site:
    """An application whose workers are processes: the side that puts jobs in, and what came of them."""

    def __init__(self, broker: str, claude: FakeAnthropic, started: Started, taken: Path) -> None:
        self.app = app_for(broker)
        self.answer: PromptTask = prompt_task(self.app, "reports", make_client=object)
        self._environment = {"BROKER": broker, "CLAUDE": claude.url, "TAKEN": str(taken)}
        self._started = started
        self._taken = taken

    def worker(
        self, *options: str, queues: str = "reports,calls", module: str = "celery", **environment: str
    ) -> "subprocess.Popen[str]":
        command = ["--app", "tests.llmclient.processes.queue_app", "worker"] if module == "celery" else []
        options = ("--pool", "prefork", "--queues", queues, *(options or ("--concurrency", "1")), *QUIET)
        return self._started.start("-m", module, *command, *options, **self._environment, **environment)

    def call(self, times: int) -> None:
        for _ in range(times):
            self.app.send_task("call", queue="calls")

    @property
    def taken(self) -> list[str]:
        return self._taken.read_text().splitlines() if self._taken.exists() else []

    def dead(self) -> list[DeadLetter]:
        with self.answer.dead_letters() as letters:
            return list(letters)


class Claude:
    """What the fake answers: set by the test, read by the fake's thread."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []

    def __call__(self, request: Request) -> Answer | None:
        return self.answers.pop(0) if self.answers else reply("hello")


@pytest.fixture
def claude() -> Claude:
    return Claude()


@pytest.fixture
def fake(claude: Claude) -> Iterator[FakeAnthropic]:
    with FakeAnthropic(claude, limits=None) as fake:
        yield fake


@pytest.fixture
def site(broker: str, fake: FakeAnthropic, started: Started, tmp_path: Path) -> Iterator[Site]:
    yield Site(broker, fake, started, tmp_path / "taken")
    TASKS.clear()


def stopped(worker: "subprocess.Popen[str]", how: signal.Signals = signal.SIGTERM) -> str:
    """Stops a worker as its operators do; what it wrote on its way."""
    worker.send_signal(how)
    return worker.communicate(timeout=60)[1]


def test_children_that_do_one_task_each_lose_nothing(site: Site, backend: Backend) -> None:
    """Billiard ends such a child by os._exit, which runs none of Python's own hooks."""
    site.worker("--concurrency", "2", "--max-tasks-per-child", "1")
    site.call(6)
    wait_until(lambda: len(backend.events) == 6)
    assert [account["emitted"] for account in accounts(backend).values()] == [1] * 6
    assert_all_accounted_for(backend)


def test_a_process_that_heard_of_celery_late_loses_nothing(site: Site, backend: Backend, fake: FakeAnthropic) -> None:
    worker = site.worker(
        "--concurrency", "1", "--max-tasks-per-child", "5", module="tests.llmclient.processes.late_celery"
    )
    site.call(7)
    wait_until(lambda: len(fake.requests) == 8)
    errors = stopped(worker)
    assert worker.returncode == 0, errors
    assert "llmclient" not in errors
    assert sorted(account["emitted"] for account in accounts(backend).values()) == [1, 2, 5]
    assert_all_accounted_for(backend)


def test_a_worker_stopped_in_a_hurry_loses_nothing(site: Site, backend: Backend, fake: FakeAnthropic) -> None:
    worker = site.worker("--concurrency", "2")
    site.call(4)
    wait_until(lambda: len(fake.requests) == 4)
    stopped(worker, signal.SIGQUIT)
    assert len(backend.events) == 4
    assert_all_accounted_for(backend)


def test_a_job_whose_child_is_killed_is_done_again_and_handed_on_once(
    site: Site, claude: Claude, fake: FakeAnthropic, backend: Backend
) -> None:
    claude.answers = [reply("before"), slow(600), reply("after all")]
    worker = site.worker()
    first, second = site.answer.ask(**ASK), site.answer.ask(**ASK)
    wait_until(lambda: len(fake.requests) == 2)
    (child,) = psutil.Process(worker.pid).children()
    child.kill()
    wait_until(second.ready)  # Celery takes up to five seconds to notice
    stopped(worker)
    # Celery counts the loss as a retry, which is how a job that kills every worker is told from others.
    assert site.taken == [f"{first.id} before, retries: 0", f"{second.id} after all, retries: 1"]
    assert len(fake.requests) == 3
    # The first job was over before its process was killed: nothing of it is missing.
    assert [event["tags"] for event in backend.events] == [{"job": first.id}, {"job": second.id}]


def test_a_job_whose_worker_is_killed_is_done_by_the_next_one_and_handed_on_once(
    site: Site, claude: Claude, fake: FakeAnthropic
) -> None:
    claude.answers = [slow(600), reply("after all")]
    worker = site.worker()
    ticket = site.answer.ask(**ASK)
    wait_until(lambda: len(fake.requests) == 1)
    kill_all(worker)
    # Redis gives the job to somebody else after a while only, as long as we say.
    worker = site.worker(VISIBILITY="1")
    assert ticket.get(30)["content"][0]["text"] == "after all"
    stopped(worker)
    assert site.taken == [f"{ticket.id} after all, retries: 0"]
    assert len(fake.requests) == 2


def test_a_job_ended_by_the_time_limit_lies_among_the_dead_letters(site: Site, claude: Claude) -> None:
    claude.answers = [slow(600)]
    site.worker(TIME_LIMIT="0.5")
    late, next_one = site.answer.ask(**ASK), site.answer.ask(**ASK)
    wait_until(next_one.ready)
    assert [(letter.id, letter.reason) for letter in site.dead()] == [(late.id, "time_limit")]
    with pytest.raises(TimeLimitExceeded):
        late.get(5)


def test_who_waits_is_served_before_the_background_and_a_worker_can_do_dead_letters(
    site: Site, claude: Claude, fake: FakeAnthropic
) -> None:
    def asked(text: str, **options: Any) -> Ticket:
        return site.answer.ask(**{**ASK, "messages": [{"role": "user", "content": text}]}, **options)

    dead = put_in(Job(ASK, {}), Seal(), now=0.0, max_bytes=10_000)
    site.answer.bury(replace(dead, given_up={"reason": "expired"}), "given up before")
    claude.answers = [fail(429, headers={"retry-after-ms": "20"})]  # whoever it is, it is done later
    tickets = [
        asked("one"),
        asked("two"),
        asked("urgent", priority="interactive"),
        Ticket("given up before", "reports"),
    ]
    site.worker(queues="reports,reports.dead")
    wait_until(lambda: all(ticket.ready() for ticket in tickets))
    asked_for = [(request.body or {})["messages"][0]["content"] for request in fake.requests]
    assert asked_for[0] == "urgent"
    assert sorted(asked_for) == ["hi", "one", "two", "urgent", "urgent"]
    assert len(site.taken) == 4
    assert site.dead() == []
