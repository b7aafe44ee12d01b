"""Prompts through a queue, with a worker in a thread and a broker in memory."""

import logging
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import anthropic
import pytest
from celery import Celery
from celery.backends import cache as cache_backend
from celery.contrib.testing.worker import start_worker
from celery.exceptions import TimeLimitExceeded
from kombu import Connection
from kombu.exceptions import OperationalError
from kombu.transport.memory import Channel

import llmclient
from llmclient._asked import Job
from llmclient._envelope import put_in
from llmclient._exceptions import Deferred
from llmclient.contrib import celery as fitting
from llmclient.contrib._tickets import TASKS
from llmclient.contrib.celery import (
    BACKGROUND,
    DeadLetter,
    GivenUp,
    PromptTask,
    Setup,
    Ticket,
    background_client,
    prompt_task,
    queue,
)
from llmclient.fallback import Asked, Defer, ask
from llmclient.testing import Answer, FakeAnthropic, fail, reply
from tests.llmclient.backend import Backend, configured, wait_until
from tests.llmclient.conftest import QUICK, client_of
from tests.llmclient.driving import drive

ROOT = Path(__file__).resolve().parents[2]
SOON = {"retry-after-ms": "20"}
ASK: dict[str, Any] = {
    "model": "claude-haiku-5-5",
    "max_tokens": 9,
    "messages": [{"role": "user", "content": "a question nobody else may read"}],
}
# One attempt per run of a job, and nothing held back: what is tested is the queue.
PLAIN = replace(QUICK, retry=replace(QUICK.retry, attempts=1), breaker=None, limits=None)


QUEUES = [f"reports-{number}" for number in range(60)]
_names = iter(QUEUES)


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr("llmclient._fate.FIRST_WAIT", 0.02)
    yield
    TASKS.clear()


def app_of(**options: Any) -> Celery:
    app = Celery("host", broker="memory://localhost", backend="cache+memory://")
    app.conf.update(
        broker_transport_options={"polling_interval": 0.01},
        worker_hijack_root_logger=False,
        worker_prefetch_multiplier=1,
        **options,
    )
    return app


@pytest.fixture(scope="module")
def app() -> Iterator[Celery]:
    """An application and its worker; `update` makes the worker know what was registered since."""
    app = app_of()
    with working("celery", *QUEUES, app=app) as worker:
        vars(app)["update"] = worker.consumer.update_strategies
        yield app


@contextmanager
def working(*queues: str, app: Celery) -> Iterator[Any]:
    # It is asked every 2 s whether it should stop, so there is one worker for nearly all tests.
    with start_worker(app, pool="solo", perform_ping_check=False, queues=queues, loglevel="ERROR") as worker:
        yield worker


class Helpdesk:
    """An application with one queue of its own: what its fake Claude answers, and what it got."""

    def __init__(self, app: Any, fake: FakeAnthropic, *, queue: str = "", **options: Any) -> None:
        self.fake = fake
        self.answers: list[tuple[dict[str, Any], Job]] = []
        self.dead: list[DeadLetter] = []
        self.clients = 0
        self.queue = queue or next(_names)
        settings = {"on_result": self.take, "on_dead": self.dead.append, "make_client": self.client, **options}
        self.answer = prompt_task(app, self.queue, **settings)
        assert self.answer.name in app.tasks
        if not queue:
            app.update()

    def client(self) -> Any:
        self.clients += 1
        return client_of(self.fake, PLAIN)

    def take(self, message: dict[str, Any], job: Job) -> None:
        self.answers.append((message, job))

    @property
    def texts(self) -> list[str]:
        return [message["content"][0]["text"] for message, _ in self.answers]


@contextmanager
def helpdesk(app: Celery, script: list[Answer], **options: Any) -> Iterator[Helpdesk]:
    with FakeAnthropic(script) as fake:
        yield Helpdesk(app, fake, **options)


def done(ticket: Ticket) -> dict[str, Any]:
    """The message; without the half second Celery waits between two looks into this result backend."""
    wait_until(ticket.ready)
    return ticket.get(5)


def waiting(queue: str) -> list[dict[str, Any]]:
    return list(Channel.queues[queue].queue) if queue in Channel.queues else []


# --- the ordinary case ------------------------------------------------------------------------------------------------


def test_a_prompt_put_into_the_queue_is_answered(app: Celery, backend: Backend) -> None:
    configured(backend)
    with helpdesk(app, [reply("forty-two")]) as desk:
        with llmclient.context(feature="inbox", prompt_type="triage", user_id=7, tags={"plan": "pro"}):
            ticket = desk.answer.ask(**ASK)
        message = done(ticket)
        assert ticket.ready()
        assert message["content"] == [{"text": "forty-two", "type": "text"}]
        assert message["usage"]["output_tokens"] > 0
        job = Job(
            ASK,
            {"feature": "inbox", "prompt_type": "triage", "user_id": "7", "tags": {"plan": "pro"}},
            call_id=UUID(ticket.id),
        )
        assert desk.answers == [(message, job)]
        assert desk.fake.requests[0].body == ASK
    assert llmclient.flush(30)
    (event,) = backend.events
    assert (event["feature"], event["prompt_type"], event["user_id"]) == ("inbox", "triage", "7")
    assert event["tags"] == {"plan": "pro", "job": ticket.id}
    assert event["id"] != ticket.id


def test_one_client_serves_all_jobs_of_a_process(app: Celery) -> None:
    with helpdesk(app, []) as desk:
        for ticket in [desk.answer.ask(**ASK) for _ in range(3)]:
            done(ticket)
        assert desk.clients == 1


def test_a_call_claude_did_not_answer_is_deferred_and_answered_later(app: Celery) -> None:
    call_id = uuid4()
    with helpdesk(app, [reply("later")]) as desk:
        steps = Defer(desk.queue).steps(Asked(ASK, {"feature": "inbox"}, "overloaded", call_id=call_id), 0.0)
        with pytest.raises(Deferred) as raised:
            drive(steps)
        ticket = raised.value.ticket
        assert ticket == Ticket(str(call_id), desk.queue)
        assert done(ticket)["content"][0]["text"] == "later"
        assert desk.answers[0][1] == Job(ASK, {"feature": "inbox"}, "overloaded", "", call_id)


def test_a_call_goes_from_the_caller_into_the_queue_and_comes_back_from_a_worker(
    app: Celery, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    configured(backend)
    with FakeAnthropic([fail(529, should_retry=False), reply("better late")]) as fake:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", fake.url)
        monkeypatch.setenv("ANTHROPIC_API_KEY", "x")
        desk = Helpdesk(app, fake, make_client=background_client)
        caller = client_of(fake, replace(PLAIN, fallback=[Defer(desk.queue)]))
        with llmclient.context(feature="digest"), pytest.raises(Deferred) as raised:
            caller.messages.create(**ASK)
        assert done(raised.value.ticket)["content"][0]["text"] == "better late"
        assert desk.answers[0][1].category == "overloaded"
    assert llmclient.flush(30)
    first, second = sorted(backend.events, key=lambda event: event["started_at"])
    assert (first["source"], first["outcome"], first["id"]) == ("deferred", "degraded", raised.value.ticket.id)
    assert (second["source"], second["outcome"], second["tags"]) == ("api", "ok", {"job": first["id"]})
    assert (first["feature"], second["feature"]) == ("digest", "digest")


def test_a_beta_is_asked_for_as_it_was(app: Celery) -> None:
    with helpdesk(app, [reply("beta")]) as desk:
        ticket = desk.answer.put(Job({**ASK, "stream": True}, {}, variant="beta=true one-beta,another-beta"))
        assert done(ticket)["content"][0]["text"] == "beta"
        request = desk.fake.requests[0]
        assert request.headers["anthropic-beta"] == "one-beta,another-beta"
        assert request.body == ASK


def taken(message: dict[str, Any], job: Job) -> None:
    TAKEN.append((message["content"][0]["text"], job.body, "by name"))


TAKEN: list[tuple[str, Any, str]] = []


def test_the_answer_can_go_to_a_task_and_to_a_dotted_name(app: Celery) -> None:
    @app.task
    def keep(message: dict[str, Any], job: dict[str, Any], folder: str = "") -> None:
        TAKEN.append((message["content"][0]["text"], job["body"], folder))

    for word, taker in (("one", keep), ("two", keep.s(folder="f")), ("three", f"{__name__}.taken")):
        with helpdesk(app, [reply(word)], on_result=taker) as desk:
            done(desk.answer.ask(**ASK))
    wait_until(lambda: len(TAKEN) == 3)
    assert sorted(TAKEN, key=str) == [("one", ASK, ""), ("three", ASK, "by name"), ("two", ASK, "f")]


# --- when there is no room --------------------------------------------------------------------------------------------


def test_waiting_for_room_costs_no_attempt(app: Celery) -> None:
    full: list[Answer] = [fail(429, headers=SOON), fail(529, headers=SOON), fail(529)] * 2
    with helpdesk(app, [*full, reply("at last")], attempts=1) as desk:
        assert done(desk.answer.ask(**ASK))["content"][0]["text"] == "at last"
        assert len(desk.fake.requests) == 7
        assert desk.dead == []


def test_faults_are_counted_and_the_last_one_ends_it(app: Celery) -> None:
    script: list[Answer] = [fail(500), fail(429, headers=SOON), fail(500), fail(500)]
    with helpdesk(app, script, attempts=3) as desk:
        ticket = desk.answer.ask(**ASK)
        with pytest.raises(GivenUp, match="attempts: InternalServerError: ") as raised:
            done(ticket)
        assert raised.value.reason == "attempts"
        assert len(desk.fake.requests) == 4
        assert [(letter.id, letter.reason, letter.category) for letter in desk.dead] == [
            (ticket.id, "attempts", "server_error")
        ]


def test_a_job_that_would_get_too_old_is_given_up(app: Celery) -> None:
    with helpdesk(app, [fail(429, headers={"retry-after": "30"})], max_age="10s") as desk:
        with pytest.raises(GivenUp, match="expired"):
            done(desk.answer.ask(**ASK))
        assert len(desk.fake.requests) == 1


def in_the_queue_since(at: float, desk: Helpdesk) -> Ticket:
    envelope = put_in(Job(ASK, {}, "overloaded"), desk.answer.setup.seal, now=at, max_bytes=10_000)
    ticket = Ticket(str(uuid4()), desk.queue)
    desk.answer.send(envelope.as_dict(), ticket.id)
    return ticket


def test_a_job_that_got_too_old_in_the_queue_is_not_asked(app: Celery) -> None:
    with helpdesk(app, [], max_age="1h") as desk:
        with pytest.raises(GivenUp, match="expired"):
            done(in_the_queue_since(time.time() - 3_601, desk))
        assert len(desk.fake.requests) == 0
        assert [(letter.reason, letter.category) for letter in desk.dead] == [("expired", "overloaded")]
        assert done(in_the_queue_since(time.time() - 3_500, desk))["role"] == "assistant"


def test_a_job_that_kills_its_workers_is_given_up(app: Celery) -> None:
    """Each loss of a worker is a retry Celery makes by itself: more of them than we counted are losses."""
    with helpdesk(app, [reply("alive")]) as desk:
        for retries, lost in ((2, False), (3, True)):
            ticket = Ticket(str(uuid4()), desk.queue)
            envelope = put_in(Job(ASK, {}), desk.answer.setup.seal, now=time.time(), max_bytes=10_000)
            tried = replace(envelope, waits=1, faults=1)
            desk.answer.send(tried.as_dict(), ticket.id, retries=2 + retries)
            if lost:
                with pytest.raises(GivenUp, match="worker_lost: WorkerLostError: the process doing it died 3 times"):
                    done(ticket)
            else:
                assert done(ticket)["content"][0]["text"] == "alive"


def test_an_open_circuit_is_waited_out_and_costs_no_attempt(app: Celery) -> None:
    with FakeAnthropic([reply("before"), reply("it works again")]) as fake:
        client = client_of(fake, BACKGROUND)
        desk = Helpdesk(app, fake, make_client=lambda: client, attempts=1)
        client.messages.create(**ASK)
        llmclient.open_circuit(ASK["model"], 0.2)
        assert done(desk.answer.ask(**ASK))["content"][0]["text"] == "it works again"
        assert len(fake.requests) == 2


# --- dead letters -----------------------------------------------------------------------------------------------------


def test_what_can_never_work_is_given_up_at_once_and_can_be_looked_at(
    app: Celery, caplog: pytest.LogCaptureFixture
) -> None:
    with helpdesk(app, [fail(400)]) as desk:
        ticket = desk.answer.ask(**ASK)
        with pytest.raises(GivenUp, match="permanent: BadRequestError"):
            done(ticket)
        assert f"the job {ticket.id} of the queue {desk.queue} was given up (permanent, invalid_request)" in caplog.text
        assert f"it lies in {desk.queue}.dead" in caplog.text
        (told,) = desk.dead
        assert (told.queue, told.reason, told.category) == (desk.queue, "permanent", "invalid_request")
        assert told.job == Job(ASK, {}, call_id=UUID(ticket.id))
        assert told.error.startswith("BadRequestError: Error code: 400")
        assert told.call_id is not None
        for _ in range(2):  # looking does not take them away
            with desk.answer.dead_letters() as letters:
                assert len(letters) == 1
                assert list(letters) == [told]
        assert told.as_dict()["job"]["body"] == ASK


def test_a_dead_letter_can_be_put_back_or_dropped(app: Celery) -> None:
    with helpdesk(app, [fail(400), fail(400), reply("now it works")]) as desk:
        first, second = desk.answer.ask(**ASK), desk.answer.ask(**ASK)
        wait_until(lambda: len(desk.dead) == 2)
        with desk.answer.dead_letters() as letters:
            kept, dropped = list(letters)
            assert (kept.id, dropped.id) == (first.id, second.id)
            letters.redrive(kept)
            letters.drop(dropped)
            with pytest.raises(KeyError):
                letters.drop(dropped)
        with desk.answer.dead_letters() as letters:
            assert len(letters) == 0
            assert list(letters) == []
        wait_until(lambda: desk.answers)
        assert desk.texts == ["now it works"]
        wait_until(first.ready)
        assert done(first)["content"][0]["text"] == "now it works"


def test_where_nothing_was_given_up_there_are_no_dead_letters(app: Celery) -> None:
    with helpdesk(app, []) as desk, desk.answer.dead_letters() as letters:
        assert len(letters) == 0
        assert list(letters) == []


def test_no_more_dead_letters_are_taken_out_than_wanted(app: Celery) -> None:
    with helpdesk(app, [fail(400)] * 3) as desk:
        for _ in range(3):
            desk.answer.ask(**ASK)
        wait_until(lambda: len(waiting(f"{desk.queue}.dead")) == 3)
        with desk.answer.dead_letters(limit=2) as letters:
            assert len(list(letters)) == 2
        assert len(waiting(f"{desk.queue}.dead")) == 3


def test_what_is_no_job_is_given_up_as_it_came(app: Celery) -> None:
    with helpdesk(app, []) as desk:
        for given in ("nonsense", {"job": {"json": "{"}, "at": time.time()}):
            desk.answer.apply_async((given,))
        wait_until(lambda: len(desk.dead) == 2)
        assert [(letter.reason, letter.job) for letter in desk.dead] == [("unreadable", None)] * 2
        with desk.answer.dead_letters() as letters:
            assert [letter.reason for letter in letters] == ["unreadable"] * 2


def test_a_message_of_somebody_else_among_the_dead_letters_stays_there(app: Celery) -> None:
    with helpdesk(app, []) as desk:
        with Connection("memory://localhost") as connection:
            connection.SimpleQueue(f"{desk.queue}.dead").put({"some": "thing"})
        for _ in range(2):
            with desk.answer.dead_letters() as letters:
                assert [(letter.reason, letter.job) for letter in letters] == [("unreadable", None)]


def test_a_listener_that_fails_harms_nothing(app: Celery, caplog: pytest.LogCaptureFixture) -> None:
    def broken(letter: DeadLetter) -> None:
        raise RuntimeError("the pager is away")

    with helpdesk(app, [fail(400)], on_dead=broken) as desk:
        with pytest.raises(GivenUp):
            done(desk.answer.ask(**ASK))
        assert "the pager is away" in caplog.text
        with desk.answer.dead_letters() as letters:
            assert len(letters) == 1


def test_a_task_can_hear_of_dead_letters(app: Celery) -> None:
    heard: list[dict[str, Any]] = []

    @app.task
    def hear(letter: dict[str, Any]) -> None:
        heard.append(letter)

    with helpdesk(app, [fail(400)], on_dead=hear) as desk:
        ticket = desk.answer.ask(**ASK)
        wait_until(lambda: heard)
        assert (heard[0]["id"], heard[0]["reason"]) == (ticket.id, "permanent")
        assert heard[0]["job"]["body"] == ASK


def test_what_a_time_limit_ended_is_no_job_lost(app: Celery) -> None:
    """Celery tells the worker's main process of it, which is not the one that did the job."""
    with helpdesk(app, []) as desk:
        envelope = put_in(Job(ASK, {}), desk.answer.setup.seal, now=time.time(), max_bytes=10_000).as_dict()
        desk.answer.on_failure(TimeLimitExceeded(300), "the-id", (envelope,), {}, None)
        desk.answer.on_failure(ValueError("Celery's own"), "another", (), {}, None)
        desk.answer.on_failure(GivenUp("expired"), "known already", (envelope,), {}, None)
        with desk.answer.dead_letters() as letters:
            assert [(letter.id, letter.reason, letter.job) for letter in letters] == [
                ("the-id", "time_limit", Job(ASK, {})),
                ("another", "permanent", None),
            ]


# --- done once --------------------------------------------------------------------------------------------------------


def test_a_job_put_in_twice_is_done_once(app: Celery) -> None:
    call_id = uuid4()
    with helpdesk(app, []) as desk:
        tickets = [desk.answer.put(Job(ASK, {}, call_id=call_id)) for _ in range(3)]
        assert tickets[0] == tickets[2]
        first = done(tickets[0])
        last = desk.answer.ask(**ASK)
        done(last)  # what was put in before it has been looked at
        assert [job.call_id for _, job in desk.answers] == [call_id, UUID(last.id)]
        assert len(desk.fake.requests) == 2
        assert done(tickets[2]) == first


class Clumsy(Helpdesk):
    """Drops the first answers it is handed."""

    drops = 2

    def take(self, message: dict[str, Any], job: Job) -> None:
        if self.drops > 0:
            self.drops -= 1
            raise ConnectionError("the database is away")
        super().take(message, job)


@pytest.mark.parametrize("ignore_result", [False, True])
def test_an_answer_that_could_not_be_handed_on_is_not_asked_for_again(app: Celery, ignore_result: bool) -> None:
    with FakeAnthropic([reply("paid for")]) as fake:
        desk = Clumsy(app, fake, ignore_result=ignore_result)
        desk.answer.ask(**ASK)
        wait_until(lambda: desk.answers)
        assert desk.texts == ["paid for"]
        assert len(fake.requests) == 1


def test_an_answer_nobody_ever_takes_lies_with_its_job_among_the_dead_letters(app: Celery) -> None:
    with FakeAnthropic([reply("paid for")]) as fake:
        desk = Clumsy(app, fake, attempts=2)
        with pytest.raises(GivenUp, match="attempts: ConnectionError: the database is away"):
            done(desk.answer.ask(**ASK))
        with desk.answer.dead_letters() as letters:
            (letter,) = letters
            assert letter.message is not None
            assert letter.message["content"][0]["text"] == "paid for"
            letters.redrive(letter)
        wait_until(lambda: desk.answers)
        assert desk.texts == ["paid for"]
        assert len(fake.requests) == 1


def test_a_worker_that_died_while_it_handed_on_an_answer_has_not_lost_it(app: Celery) -> None:
    with helpdesk(app, []) as desk:
        ticket = Ticket(str(uuid4()), desk.queue)
        answer = {"id": "msg_1", "content": [{"type": "text", "text": "already paid for"}]}
        app.backend.store_result(f"{ticket.id}.answer", answer, "SUCCESS")
        desk.answer.put(Job(ASK, {}, call_id=UUID(ticket.id)))
        assert done(ticket) == answer
        assert desk.texts == ["already paid for"]
        assert len(desk.fake.requests) == 0


def test_one_copy_of_an_answer_is_kept(app: Celery) -> None:
    with helpdesk(app, []) as desk:
        ticket = desk.answer.ask(**ASK)
        done(ticket)
        wait_until(lambda: [key for key in kept_results() if ticket.id in key] == [f"celery-task-meta-{ticket.id}"])


def kept_results() -> dict[str, Any]:
    return {key.decode(): value for key, value in vars(cache_backend)["_DUMMY_CLIENT_CACHE"].items()}


def test_without_a_result_backend_a_ticket_says_so(app: Celery) -> None:
    with helpdesk(app, [], ignore_result=True) as desk:
        ticket = desk.answer.ask(**ASK)
        for ask in (ticket.ready, ticket.get):
            with pytest.raises(RuntimeError, match="keeps no results: give the Celery app a result backend"):
                ask()
        wait_until(lambda: desk.answers)
    answer = prompt_task(Celery("host", broker="memory://localhost"), "idle", make_client=object)
    with pytest.raises(RuntimeError, match="keeps no results"):
        answer.ask(**ASK).ready()


def test_a_ticket_can_be_waited_for_no_longer_than_one_wants(app: Celery) -> None:
    with helpdesk(app, [], queue="idle") as desk, pytest.raises(TimeoutError, match="is not done yet"):
        desk.answer.ask(**ASK).get(0.05)


# --- itself -----------------------------------------------------------------------------------------------------------


def test_a_worker_whose_own_client_defers_does_not_put_the_job_in_again(
    app: Celery, caplog: pytest.LogCaptureFixture
) -> None:
    class Defers(Helpdesk):
        def client(self) -> Any:
            return client_of(self.fake, replace(PLAIN, fallback=[Defer(self.queue)]))

    with FakeAnthropic([fail(529, headers=SOON), reply("once")]) as fake:
        desk = Defers(app, fake, attempts=1)
        assert done(desk.answer.ask(**ASK))["content"][0]["text"] == "once"
        assert "this call is a job of a queue already, and is not put into one again" in caplog.text
        assert desk.texts == ["once"]
        assert len(fake.requests) == 2


def test_handing_on_an_answer_may_put_in_the_next_job(app: Celery) -> None:
    class Chains(Helpdesk):
        def take(self, message: dict[str, Any], job: Job) -> None:
            super().take(message, job)
            if len(self.answers) == 1:
                self.answer.defer(Job(ASK, {}))

    with FakeAnthropic([reply("one"), reply("two")]) as fake:
        desk = Chains(app, fake)
        desk.answer.ask(**ASK)
        wait_until(lambda: len(desk.answers) == 2)
        assert desk.texts == ["one", "two"]


def test_an_async_client_is_refused(app: Celery) -> None:
    def make() -> Any:
        return anthropic.AsyncAnthropic(api_key="x", base_url="http://127.0.0.1:9")

    with (
        helpdesk(app, [], make_client=make, attempts=1) as desk,
        pytest.raises(GivenUp, match="TypeError: make_client has to make a sync client, not AsyncAnthropic"),
    ):
        done(desk.answer.ask(**ASK))


def test_a_queue_needs_no_task_before_it_is_used(app: Celery) -> None:
    put = queue("idle")
    with pytest.raises(LookupError, match=r"no prompt_task\(app, 'idle'\) was made in this process"):
        put(Job(ASK, {}))
    with helpdesk(app, [], queue="idle"):
        ticket = put(Job(ASK, {}))
        assert ticket == Ticket(ticket.id, "idle")


def test_a_task_may_be_a_class_of_ones_own(app: Any) -> None:
    with FakeAnthropic([reply("mine")]) as fake:
        queue_of_its_own = next(_names)

        class Reports(PromptTask):
            name = "reports.answer"
            setup = Setup(queue_of_its_own, make_client=lambda: client_of(fake))

        TASKS[queue_of_its_own] = answer = app.register_task(Reports())
        app.update()
        assert done(answer.ask(**ASK))["content"][0]["text"] == "mine"


def test_an_app_that_does_all_at_once_ends_too() -> None:
    eager = app_of(task_always_eager=True)
    with helpdesk(eager, [fail(429, headers=SOON), reply("at once")], queue="eager") as desk:
        desk.answer.ask(**ASK)
        assert desk.texts == ["at once"]
    with helpdesk(eager, [fail(429, headers=SOON)] * 9, queue="eager-too", attempts=3) as desk:
        desk.answer.ask(**ASK)
        assert [letter.reason for letter in desk.dead] == ["attempts"]
        assert len(desk.fake.requests) == 3


# --- what lies in the broker, and what is logged ----------------------------------------------------------------------


def test_neither_prompt_nor_answer_is_in_headers_or_logs(app: Celery, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "celery")
    script: list[Answer] = [fail(429, headers=SOON), fail(500), reply("an answer nobody else may read"), fail(400)]
    with helpdesk(app, script) as desk:
        done(desk.answer.ask(**ASK))
        with pytest.raises(GivenUp):
            done(desk.answer.ask(**ASK))
    assert "succeeded" in caplog.text
    assert "nobody else" not in caplog.text
    with helpdesk(app, [], queue="looked-at") as desk:
        desk.answer.ask(**ASK)
        (message,) = waiting("looked-at")
        assert message["headers"]["argsrepr"] == "(a prompt)"
        assert "nobody else" not in str(message["headers"])
        assert "nobody else" not in str(message["properties"])


def reverse(data: bytes) -> bytes:
    return data[::-1]


def test_what_is_encrypted_is_nowhere_in_clear(app: Celery) -> None:
    script: list[Answer] = [fail(429, headers=SOON), reply("a secret answer"), fail(400, message="a secret error")]
    with FakeAnthropic(script) as fake:
        desk = Clumsy(app, fake, encrypt=reverse, decrypt=reverse)
        ticket = desk.answer.ask(**ASK)
        assert done(ticket)["content"][0]["text"] == "a secret answer"
        assert desk.texts == ["a secret answer"]
        other = desk.answer.ask(**ASK)
        with pytest.raises(GivenUp, match=r"permanent: BadRequestError$"):
            done(other)
        (letter,) = desk.dead
        assert letter.job is not None
        assert letter.job.body == ASK
        kept = {key: value for key, value in kept_results().items() if ticket.id in key or other.id in key}
        assert len(kept) == 2
        for place in (kept, waiting(f"{desk.queue}.dead")):
            assert "secret" not in str(place)
            assert "nobody else" not in str(place)


def test_a_job_nobody_can_decrypt_waits_among_the_dead_letters_for_the_key(app: Celery) -> None:
    keys = [None, reverse]

    def decrypt(data: bytes) -> bytes:
        if keys[0] is None:
            raise KeyError("rotated")
        return keys[0](data)

    with helpdesk(app, [reply("found again")], encrypt=reverse, decrypt=decrypt) as desk:
        with pytest.raises(GivenUp, match="unreadable"):
            done(desk.answer.ask(**ASK))
        keys.pop(0)
        with desk.answer.dead_letters() as letters:
            for letter in letters:
                letters.redrive(letter)
        wait_until(lambda: desk.answers)
        assert desk.texts == ["found again"]


def test_a_job_that_is_too_large_is_refused_before_it_is_sent(app: Celery) -> None:
    with helpdesk(app, [], queue="never-used", max_bytes=1_000) as desk:
        big = {**ASK, "messages": [{"role": "user", "content": "x" * 2_000}]}
        with pytest.raises(ValueError, match="more than the 1,000 that one may have in the broker"):
            desk.answer.ask(**big)
        with pytest.raises(TypeError, match="not JSON serializable"):
            desk.answer.ask(**{**ASK, "messages": [b"bytes"]})
        assert waiting("never-used") == []


@pytest.mark.parametrize(
    ("broker", "numbers"), [("redis://localhost", (0, 6)), ("amqp://localhost", (9, 3)), ("memory://", (9, 3))]
)
def test_priorities_are_spelled_as_the_broker_spells_them(broker: str, numbers: tuple[int, int]) -> None:
    answer = prompt_task(Celery("host", broker=broker), "idle", make_client=object)
    assert (answer._number("interactive"), answer._number("background")) == numbers


def test_a_job_has_the_priority_it_was_given(app: Celery) -> None:
    with helpdesk(app, [], queue="in-order") as desk:
        desk.answer.ask(**ASK)
        desk.answer.ask(**ASK, priority="interactive")
        queue("in-order", priority="interactive")(Job(ASK, {}))
        assert [message["properties"]["priority"] for message in waiting("in-order")] == [3, 9, 9]


def test_a_broker_that_is_away_is_told_at_once() -> None:
    answer = prompt_task(Celery("host", broker="redis://127.0.0.1:1"), "away", make_client=object)
    with pytest.raises(OperationalError, match="Connection refused"):
        answer.ask(**ASK)
    assert drive(ask(Defer("away"), Asked(ASK, {}, "overloaded"), 0.0)) is None


# --- settings ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"priority": "high"}, "priority: 'high' must be one of interactive, background"),
        ({"attempts": 0}, "attempts"),
        ({"max_age": "soon"}, "max_age"),
        ({"encrypt": reverse}, "give both encrypt and decrypt"),
        (
            {"encrypt": reverse, "decrypt": reverse, "on_result": Celery("x").signature("keep")},
            "would bring into the broker what encrypt hides",
        ),
    ],
)
def test_settings_that_cannot_be_are_told_at_once(app: Celery, options: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        prompt_task(app, "idle", **options)
    with pytest.raises(ValueError, match="needs the name of a queue"):
        prompt_task(app, "")


def test_a_process_that_only_puts_jobs_in_does_not_load_the_sdk() -> None:
    program = """
import sys
from celery import Celery
from llmclient.contrib.celery import prompt_task
prompt_task(Celery("host", broker="memory://localhost"), "reports").ask(model="claude-haiku-5-5", max_tokens=9)
print([name for name in ("anthropic", "httpx2", "pydantic", "redis") if name in sys.modules])
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT)
    assert (ran.stdout.strip(), ran.returncode) == ("[]", 0), ran.stderr


def test_everything_offered_is_there() -> None:
    assert all(hasattr(fitting, name) for name in fitting.__all__)
    assert BACKGROUND.priority == "background"
    assert BACKGROUND.fallback == ()
