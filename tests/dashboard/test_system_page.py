"""The System page: every figure by hand, what is wrong comes first, what cannot be asked fails alone."""

import csv
import io
import re
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django.fixtures import Settings

from alerting.models import Alert, Notification, Transition
from config.models import Job
from config.schedule import sync_jobs
from dashboard.system import standing
from dashboard.system.limited import limited
from ingest.models import ClientInstance, Quarantined
from ingest.partitions import ensure_ahead
from projects.models import Project, Recipient
from tests import factories
from tests.dashboard.conftest import count

pytestmark = pytest.mark.django_db

MINUTE = timedelta(minutes=1)


def text(client: Client, address: str = "/system/") -> str:
    response = client.get(address)
    assert response.status_code == 200
    return response.content.decode()


def answer(page: str) -> tuple[str, str]:
    """The tone and the sentence of the answer."""
    [(tone, sentence)] = re.findall(r'class="answer is-(\w+)".*?<h2 role="status">(.*?)</h2>', page, re.DOTALL)
    return tone, sentence


def tiles(page: str) -> dict[str, str]:
    return dict(re.findall(r'<h3>(.*?)</h3><p class="value"[^>]*>(.*?)</p>', page))


def panel(page: str, key: str) -> str:
    return page[page.index(f'id="p-{key}"') :].partition("</section>")[0]


def takeaway(page: str, key: str) -> str:
    return panel(page, key).partition('<p class="takeaway">')[2].partition("</p>")[0]


def cells(page: str, key: str) -> list[list[str]]:
    """The rows of a panel's grid, tags taken away."""
    rows = panel(page, key).partition("<tbody>")[2].split("<tr>")[1:]
    return [
        [re.sub(r"<.*?>", "", cell).strip() for cell in re.findall(r"<t[hd].*?</t[hd]>", row, re.DOTALL)]
        for row in rows
    ]


def file(client: Client, key: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(client.get(f"/system/{key}.csv").content.decode())))


def running(now: datetime) -> None:
    """All jobs have just run, and the days ahead are there."""
    sync_jobs(now)
    Job.objects.update(due_at=now + MINUTE, started_at=now, finished_at=now, duration_ms=12)
    ensure_ahead(now=now)


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> datetime:
    """The page looks at this very moment: some of its numbers are of whole minutes."""
    moment = timezone.now()
    monkeypatch.setattr("django.utils.timezone.now", lambda: moment)
    return moment


@pytest.fixture
def healthy(project: Project, now: datetime) -> Project:
    """Twelve calls, two a minute in six minutes, each 1,200 ms long and here 3 s after its end; all priced."""
    running(now)
    for number in range(12):
        begun = now.replace(second=0, microsecond=0) - 6 * MINUTE + number * MINUTE / 2
        factories.stored(project, factories.event(begun), now=begun + timedelta(milliseconds=4_200))
    count(now)
    return project


def test_when_all_is_well_the_page_says_up_to_when(viewer: Client, healthy: Project, now: datetime) -> None:
    page = text(viewer)
    tone, sentence = answer(page)
    assert tone == "good"
    assert re.fullmatch(r"The numbers are complete to \d\d:\d\d:\d\d; nothing is lost\.", sentence)
    shown = tiles(page)
    assert shown["p95 delay"] == "3.0\u202fs"
    assert shown["Received"] == "2"
    assert shown["Given up"] == "–"
    assert shown["Cost known"] == "100\u202f%"
    assert takeaway(page, "delivery") == (
        "Half of the calls of the last hour were here 3.0\u202fs after they ended, 95 of 100 after 3.0\u202fs."
    )
    assert cells(page, "delivery") == [["helpdesk", "12", "0", "3.0\u202fs", "3.0\u202fs", "agrees"]]
    assert takeaway(page, "prices") == "The cost of all 12 calls of the last day is known."
    assert cells(page, "watermarks")[0][0::3] == ["Minutes", "3 days"]
    assert takeaway(page, "work") == "All of it runs as it should."
    assert takeaway(page, "mails") == "No mail is waiting."
    assert takeaway(page, "aside").startswith("Every event of the last day had a time that is kept.")
    assert takeaway(page, "versions") == "All tables are as this version needs them."


def test_calls_are_counted_in_the_minute_of_their_receipt(viewer: Client, healthy: Project, now: datetime) -> None:
    first = now.replace(second=0, microsecond=0) - 6 * MINUTE
    counted = {row["Time (UTC)"]: int(row["Received"]) for row in file(viewer, "received")}
    assert sum(counted.values()) == 12
    assert {at: number for at, number in counted.items() if number} == {
        (first + n * MINUTE).isoformat(): 2 for n in range(6)
    }


def test_an_hour_busier_than_is_read_says_so(viewer: Client, healthy: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingest.arrivals.MOST_CALLS", 5)
    page = text(viewer)
    assert "Shown are the newest 5 calls." in takeaway(page, "received")
    assert cells(page, "delivery")[0][1] == "5"
    # The newest five begin at half past a minute: the two whole minutes after it hold four of them.
    assert sum(int(row["Received"]) for row in file(viewer, "received")) == 4


def test_without_a_worker_the_numbers_are_behind_and_that_is_the_answer(
    viewer: Client, project: Project, now: datetime
) -> None:
    ensure_ahead(now=now)
    factories.stored(project, at=now - timedelta(minutes=20), now=now - timedelta(minutes=10))
    page = text(viewer)
    tone, sentence = answer(page)
    assert tone == "bad"
    assert re.match(r"The numbers are 10\u202fmin( \d+\u202fs)? behind: complete to ", sentence)
    assert "No worker has ever run." in page
    assert cells(page, "work")[0][5] == "not known to a worker yet"


def test_a_job_that_fails_and_one_that_does_not_run_are_named(viewer: Client, healthy: Project, now: datetime) -> None:
    Job.objects.filter(name="deliver").update(failures=3, last_error="OSError: <b>no route</b>")
    Job.objects.filter(name="evaluate").update(due_at=now - timedelta(minutes=5))
    Job.objects.filter(name="seal").update(due_at=now - timedelta(hours=1), lease_until=now + MINUTE)
    page = text(viewer)
    assert answer(page) == (
        "bad",
        "The job deliver failed 3 times in a row: OSError: &lt;b&gt;no route&lt;/b&gt;.",
    )
    assert "The job evaluate should have run 5\u202fmin" in page
    assert takeaway(page, "work") == "Not as it should be: deliver, evaluate."
    states = {row[0]: row[5] for row in cells(page, "work")}
    assert states["deliver"] == "failed 3 times: OSError: &lt;b&gt;no route&lt;/b&gt;"
    assert (states["evaluate"], states["seal"], states["partitions"]) == ("late", "running", "waiting")
    [told] = [row for row in file(viewer, "work") if row["Job"] == "deliver"]
    assert (told["Every (ms)"], told["Took (ms)"], told["Failed in a row"]) == ("5000", "12", "3")


def test_what_clients_made_gave_up_and_what_is_here(viewer: Client, healthy: Project, now: datetime) -> None:
    client(healthy, "web-1", 1, now, emitted=100, received=90, dropped={"overflow": 6, "too_large": 1})
    client(healthy, "<i>web-2", 2, now, emitted=50, received=50)
    client(healthy, "before", 3, now, emitted=7, received=None)
    client(healthy, "gone", 4, now - timedelta(hours=2), emitted=9, received=0, dropped={"exit": 9})
    page = text(viewer)
    assert answer(page) == ("warn", "Clients gave up 7 calls, which no number contains.")
    assert tiles(page)["Given up"] == "7"
    assert takeaway(page, "clients") == (
        "3 processes were heard in the last 1\u202fh. They gave up 7 calls since they started: overflow 6, too large 1."
    )
    by_name = {row[0]: row[2:] for row in cells(page, "clients")}
    assert by_name == {
        "web-1": ["100", "90", "3", "7 (overflow 6, too large 1)"],
        "&lt;i&gt;web-2": ["50", "50", "0", "0"],
        "before": ["7", "–", "–", "0"],
    }
    by_process = {row["Process"]: row for row in file(viewer, "clients")}
    assert by_process["web-1"]["Events on the way"] == "3"
    assert by_process["before"]["Events here"] == ""


def client(project: Project, instance: str, boot: int, seen: datetime, **counted: Any) -> None:
    ClientInstance.objects.create(
        project=project, instance=instance, boot_id=UUID(int=boot), first_seen_at=seen, last_seen_at=seen, **counted
    )


def test_a_clock_that_is_ahead_is_told_by_what_is_certain(viewer: Client, healthy: Project, now: datetime) -> None:
    # Ended 5 s after it was received: the clock is ahead by that and the time on the way.
    factories.stored(
        healthy, factories.event(now - 2 * MINUTE, app="batch"), now=now - 2 * MINUTE - timedelta(milliseconds=3_800)
    )
    count(now)
    page = text(viewer)
    assert answer(page) == ("warn", "The clock of batch is at least 5.0\u202fs ahead.")
    assert cells(page, "delivery")[1] == ["batch", "1", "0", "−5.0\u202fs", "−5.0\u202fs", "5.0\u202fs ahead"]


def test_calls_from_a_spool_are_late_and_say_nothing_about_the_way(
    viewer: Client, healthy: Project, now: datetime
) -> None:
    factories.stored(healthy, factories.event(now - 40 * MINUTE), factories.event(now - 41 * MINUTE), now=now)
    count(now)
    page = text(viewer)
    assert answer(page)[0] == "good"
    assert takeaway(page, "delivery") == (
        "Half of the calls of the last hour were here 3.0\u202fs after they ended, 95 of 100 after 3.0\u202fs. "
        "2 calls came more than 1\u202fmin late, from a spool or a file, and are left out."
    )
    assert cells(page, "delivery") == [["helpdesk", "14", "2", "3.0\u202fs", "3.0\u202fs", "agrees"]]


def test_calls_without_a_price_and_events_put_aside(viewer: Client, healthy: Project, now: datetime) -> None:
    factories.stored(
        healthy,
        factories.event(now - MINUTE, model="no-such-model", model_requested="no-such-model"),
        now=now - MINUTE / 2,
    )
    count(now)
    Quarantined.objects.create(
        project=healthy, event_id=UUID(int=1), received_at=now - timedelta(hours=3), reason="Too old.", event=b"{}"
    )
    page = text(viewer)
    assert answer(page) == ("warn", "1 call of the last day is put aside, because of their time.")
    assert "1 call of the last day has no known cost." in page
    assert cells(page, "aside") == [["Too old.", "1"]]
    # One of 13.
    assert tiles(page)["Cost known"] == "92.31\u202f%"
    assert cells(page, "prices")[0][:3] == ["no-such-model", "1", "1"]
    assert file(viewer, "prices")[0] == {"Model": "no-such-model", "Calls": "1", "Calls without a known cost": "1"}


def mail(project: Project, key: str, state: str, created_at: datetime, **fields: Any) -> None:
    alert, _ = Alert.objects.get_or_create(
        project=project,
        subject="rule:1",
        defaults={"title": "x", "severity": "warning", "state": "firing", "since": created_at, "opened_at": created_at},
    )
    seq = alert.transitions.count()
    step = Transition.objects.create(alert=alert, seq=seq, at=created_at, from_state="ok", to_state="firing", why="x")
    recipient, _ = Recipient.objects.get_or_create(project=project, email="a@example.com")
    Notification.objects.create(
        transition=step,
        recipient=recipient,
        reason="firing",
        key=key,
        state=state,
        created_at=created_at,
        available_at=created_at,
        **fields,
    )


def test_mails_that_wait_and_mails_that_were_given_up(viewer: Client, healthy: Project, now: datetime) -> None:
    mail(healthy, "1", "waiting", now - timedelta(minutes=20))
    mail(healthy, "2", "waiting", now - timedelta(minutes=1))
    mail(healthy, "3", "dead", now - timedelta(days=2))
    mail(healthy, "4", "dead", now - timedelta(days=8))
    mail(healthy, "5", "sent", now - timedelta(days=1), sent_at=now - timedelta(hours=3))
    mail(factories.project(), "6", "waiting", now - timedelta(days=1))
    page = text(viewer)
    tone, sentence = answer(page)
    assert tone == "bad"
    assert re.fullmatch(r"2 mails have not been sent, the oldest for 20\u202fmin( \d\u202fs)?\.", sentence)
    assert "1 mail was given up in the last 7 days." in page
    assert takeaway(page, "mails") == "2 mails are waiting. 1 mail is given up; the admin has the reasons."
    assert [row[:2] for row in cells(page, "mails")] == [
        ["waiting", "2"],
        ["sent in 7 days", "1"],
        ["given up in 7 days", "1"],
    ]


def test_two_projects_are_told_apart(viewer: Client, healthy: Project, now: datetime) -> None:
    other = factories.project("other")
    factories.stored(other, at=now - timedelta(minutes=3), now=now - timedelta(minutes=3))
    client(other, "theirs", 9, now, emitted=5, received=0, dropped={"exit": 5})
    assert cells(text(viewer), "delivery")[0][1] == "12"
    page = text(viewer, "/system/?project=other")
    assert cells(page, "delivery")[0][1] == "1"
    assert answer(page)[0] == "bad"  # Theirs are not counted yet.
    assert "theirs" in page
    assert "theirs" not in text(viewer)


def test_the_size_of_the_database_is_that_of_its_files(
    viewer: Client, healthy: Project, now: datetime, settings: Settings
) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT sum(pg_total_relation_size(inhrelid)) FROM pg_inherits WHERE inhparent = %s::regclass",
            ["request_log"],
        )
        (size,) = cursor.fetchone()
    rows = {row["Table"]: row for row in file(viewer, "size")}
    assert int(rows["request_log"]["Size in bytes"]) == size
    assert int(rows["request_log"]["Days kept"]) == 90
    assert rows["dim"]["Days"] == ""
    settings.EMBEDDED_POSTGRES = None
    page = text(viewer)
    assert "how much room its disk has is not known here" in takeaway(page, "size")
    assert tiles(page)["Disk"] == "–"


def test_an_empty_project_is_led_to_its_first_call(viewer: Client, project: Project) -> None:
    assert "first-steps" in text(viewer)


def test_a_project_that_fell_silent_has_nothing_to_judge_by(viewer: Client, project: Project, now: datetime) -> None:
    running(now)
    factories.stored(project, at=now - timedelta(hours=3), now=now - timedelta(hours=2))
    count(now)
    page = text(viewer)
    assert answer(page) == (
        "unknown",
        "No call has begun in the last hour, so there is nothing to judge their arrival by.",
    )
    assert (tiles(page)["Received"], tiles(page)["p95 delay"]) == ("0", "–")


def test_the_page_takes_twelve_queries(viewer: Client, healthy: Project) -> None:
    text(viewer)
    with CaptureQueriesContext(connection) as asked:
        text(viewer)
    # Savepoints are the test's own: it is one transaction, and the page has none.
    not_counted = ("auth_user", "django_session", "SAVEPOINT")
    own = [one["sql"] for one in asked if not any(word in one["sql"] for word in not_counted)]
    assert len(own) <= 12, [sql[:150] for sql in own]


@pytest.mark.django_db(transaction=True)
def test_a_question_that_takes_too_long_fails_alone(admin: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    now = timezone.now()
    owner = factories.project("helpdesk", name="Help desk")
    running(now)
    factories.stored(owner, at=now - MINUTE, now=now - MINUTE + timedelta(seconds=5))
    count(now)
    monkeypatch.setattr(standing, "LIMIT_MS", 300)
    monkeypatch.setattr("ingest.room._SQL", "SELECT pg_sleep(30)")
    page = text(admin)
    assert answer(page) == (
        "unknown",
        "The size of the database could not be read, which does not mean that something is wrong with it.",
    )
    assert tiles(page)["Disk"] == "–"
    assert cells(page, "size") == [["Database", "not reachable"]]
    assert re.search(r"Reference [0-9a-f]{8}", panel(page, "size"))
    assert takeaway(page, "prices") == "The cost of all 1 call of the last day is known."


@pytest.mark.django_db(transaction=True)
def test_a_limit_ends_with_its_block() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SHOW statement_timeout")
        before = cursor.fetchone()
    with limited(1_234), connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('statement_timeout'), %s", ["100 %"])
        assert cursor.fetchone() == ("1234ms", "100 %")
    with connection.cursor() as cursor:
        cursor.execute("SHOW statement_timeout")
        assert cursor.fetchone() == before


def test_nobody_looks_without_signing_in(healthy: Project) -> None:
    assert Client().get("/system/")["Location"].startswith("/login/")
