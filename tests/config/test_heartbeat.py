"""The heartbeat reaches a real server while all is well, and stops when something is not."""

import logging
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from django.utils import timezone
from pytest_django.fixtures import Settings

from alerting.models import Alert, Notification, Transition
from config import heartbeat, schedule
from config.heartbeat import HeartbeatError
from config.jobs import JOBS
from config.models import Job
from projects.models import Recipient
from tests import factories

pytestmark = pytest.mark.django_db


class Monitor(ThreadingHTTPServer):
    """Answers /ok, /gone with 410, /away with a redirect to another host, /on with one to /ok, /slow never."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[str] = []
        self.stopped = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        monitor = self.server
        assert isinstance(monitor, Monitor)
        monitor.asked.append(self.path)
        if self.path.startswith("/slow"):
            monitor.stopped.wait(10)
            return
        status, location = {
            "/gone": (410, ""),
            "/away": (302, f"http://localhost:{monitor.server_address[1]}/ok"),
            "/on": (302, "/ok"),
        }.get(self.path, (200, ""))
        self.send_response(status)
        if location:
            self.send_header("Location", location)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def monitor() -> Iterator[Monitor]:
    server = Monitor()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.stopped.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def now() -> datetime:
    moment = timezone.now()
    schedule.sync_jobs(moment)
    Job.objects.update(finished_at=moment - timedelta(seconds=5))
    return moment


def test_all_is_well_and_the_monitor_hears_it(monitor: Monitor, now: datetime, settings: Settings) -> None:
    settings.HEARTBEAT_URL = f"{monitor.url}/ok"
    assert heartbeat.send(now=now)
    assert monitor.asked == ["/ok"]


def test_it_is_a_job_of_every_minute() -> None:
    [job] = [job for job in JOBS if job.verb == "config.heartbeat.send"]
    assert (job.name, job.every) == ("heartbeat", 60)


def test_without_an_address_nobody_is_asked(now: datetime, settings: Settings) -> None:
    settings.HEARTBEAT_URL = ""
    assert not heartbeat.send(now=now)


def test_numbers_that_are_behind_stop_it(
    monitor: Monitor, now: datetime, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    settings.HEARTBEAT_URL = f"{monitor.url}/secret"
    factories.stored(factories.project(), at=now - timedelta(minutes=20), now=now - timedelta(minutes=6))
    with caplog.at_level(logging.WARNING):
        assert not heartbeat.send(now=now)
    assert monitor.asked == []
    assert "No heartbeat: counting is 360 s behind; is the worker running?" in caplog.text
    assert "secret" not in caplog.text


def test_rules_that_are_not_judged_stop_it(now: datetime) -> None:
    assert heartbeat.stale(now) == []
    Job.objects.filter(name="evaluate").update(finished_at=now - timedelta(minutes=5, seconds=1))
    Job.objects.filter(name="deliver").update(failures=1)
    assert heartbeat.stale(now) == ["evaluate has not ended a run for 5 minutes", "deliver fails"]
    Job.objects.filter(name="evaluate").update(finished_at=None)
    Job.objects.filter(name="deliver").delete()
    assert heartbeat.stale(now) == [
        "evaluate has not ended a run for 5 minutes",
        "deliver has not ended a run for 5 minutes",
    ]


@pytest.mark.parametrize(("age", "said"), [(15 * 60, []), (15 * 60 + 1, ["mails are not sent"])])
def test_a_mail_that_waits_too_long_stops_it(now: datetime, age: int, said: list[str]) -> None:
    at = now - timedelta(seconds=age)
    owner = factories.project()
    alert = Alert.objects.create(
        project=owner, subject="rule:1", title="x", severity="warning", state="firing", since=at, opened_at=at
    )
    step = Transition.objects.create(alert=alert, seq=0, at=at, from_state="ok", to_state="firing", why="x")
    somebody = Recipient.objects.create(project=owner, email="a@example.com")
    Notification.objects.create(
        transition=step, recipient=somebody, reason="firing", key="k", created_at=at, available_at=now
    )
    assert heartbeat.stale(now) == said


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/gone", "The monitor in HEARTBEAT_URL answered 410."),
        ("/away", "The monitor in HEARTBEAT_URL answered 302 and sent us elsewhere."),
        ("/slow-secret", "The monitor in HEARTBEAT_URL cannot be reached: TimeoutError."),
    ],
)
def test_a_monitor_that_does_not_take_it_is_told_without_its_address(
    monitor: Monitor, now: datetime, settings: Settings, monkeypatch: pytest.MonkeyPatch, path: str, said: str
) -> None:
    monkeypatch.setattr(heartbeat, "TIMEOUT", 0.3)
    settings.HEARTBEAT_URL = f"{monitor.url}{path}"
    with pytest.raises(HeartbeatError) as caught:
        heartbeat.send(now=now)
    assert str(caught.value) == said
    assert monitor.asked == [path]


def test_a_redirect_on_the_same_host_is_followed(monitor: Monitor, now: datetime, settings: Settings) -> None:
    settings.HEARTBEAT_URL = f"{monitor.url}/on"
    assert heartbeat.send(now=now)
    assert monitor.asked == ["/on", "/ok"]


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://127.0.0.1:1/secret", "The monitor in HEARTBEAT_URL cannot be reached: URLError."),
        ("file:///etc/passwd", "HEARTBEAT_URL must begin with http:// or https://."),
    ],
)
def test_an_address_that_leads_nowhere(now: datetime, settings: Settings, url: str, said: str) -> None:
    settings.HEARTBEAT_URL = url
    with pytest.raises(HeartbeatError) as caught:
        heartbeat.send(now=now)
    assert str(caught.value) == said
