"""The log of calls: what it finds, how it turns its pages, and who may read a prompt."""

import re
from datetime import datetime, timedelta
from uuid import UUID

import pytest
from django.db import connection
from django.http import QueryDict
from django.test import Client
from django.test.utils import CaptureQueriesContext

from dashboard.address import parse
from dashboard.query import DashboardQuery
from dashboard.search import find, search, words_of_failure_group
from dashboard.views.asked import environments
from ingest.models import Price
from projects import audit
from projects.models import AuditEvent, Project
from tests import factories

pytestmark = pytest.mark.django_db


def asked(project: Project, now: datetime, address: str = "") -> DashboardQuery:
    return parse(
        QueryDict(address), projects=[project], environments=environments, failure_group=words_of_failure_group, now=now
    )


def many(project: Project, now: datetime, number: int) -> list[str]:
    """That many calls, a second apart, and their ids, newest first."""
    events = [factories.event(now - timedelta(seconds=n + 1)) for n in range(number)]
    factories.stored(project, *events, now=now)
    return [event["id"] for event in events]


def test_pages_are_cut_by_key_and_together_hold_every_call_once(project: Project, now: datetime) -> None:
    made = many(project, now, 125)
    seen: list[str] = []
    older: UUID | None = None
    for expected in (50, 50, 25):
        found = search(asked(project, now, f"before={older}" if older else ""))
        assert len(found.calls) == expected
        seen += [str(call.id) for call in found.calls]
        older = found.older
    assert older is None
    assert seen == made


def test_a_full_last_page_has_no_next(project: Project, now: datetime) -> None:
    many(project, now, 50)
    assert search(asked(project, now)).older is None


def test_calls_that_arrive_meanwhile_do_not_shift_the_next_page(project: Project, now: datetime) -> None:
    made = many(project, now, 60)
    first = search(asked(project, now))
    factories.stored(project, factories.event(now), now=now)
    second = search(asked(project, now + timedelta(seconds=1), f"before={first.older}"))
    assert [str(call.id) for call in second.calls] == made[50:]


@pytest.mark.parametrize(
    ("address", "number"),
    [
        ("", 40),
        ("user=anna", 30),
        ("user=ben", 10),
        ("feature=search", 6),
        ("status=failed", 4),
        ("status=ok", 36),
        ("status=rejected", 0),
        ("err=overloaded", 4),
        ("err=timeout", 0),
        ("model=claude-sonnet-4-5-20250929", 36),
        ("prompt_type=triage", 40),
        ("env=production", 40),
        ("version=7", 40),
        ("version=8", 0),
        ("release=1.4.2", 40),
        ("release=1.4.3", 0),
        ("key=main", 0),
        ("key=%28none%29", 40),
        ("user=ben&status=failed", 4),
        ("user=anna&feature=search", 0),
        ("feature=never-used", 0),
        ("session=session-1", 40),
        ("from=now-1h", 40),
        ("from=now-2d&to=now-1d", 0),
    ],
)
def test_each_filter_finds_exactly_its_calls(calls: Project, now: datetime, address: str, number: int) -> None:
    assert len(search(asked(calls, now, address)).calls) == number


def test_a_key_or_a_release_finds_its_calls_and_those_stored_before_there_was_one_have_none(
    project: Project, now: datetime
) -> None:
    keyed = [{"n": 1, "status": 200, "key_alias": "main"}]
    events = [factories.event(now - timedelta(seconds=n + 1), release=f"{n}", attempts=keyed) for n in range(3)]
    factories.stored(project, *events, now=now)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE request_log SET key_id = NULL, release_id = NULL WHERE id = %s", [events[2]["id"]])
    for address, expected in (
        ("key=main", [0, 1]),
        ("release=1", [1]),
        ("key=(none)", [2]),
        ("release=(none)&key=(none)", [2]),
        ("release=(none)&key=main", []),
    ):
        found = search(asked(project, now, address)).calls
        assert [str(call.id) for call in found] == [events[place]["id"] for place in expected]


def test_another_project_is_never_seen(calls: Project, now: datetime) -> None:
    other = factories.project("other")
    assert search(asked(other, now)).calls == []
    mine = search(asked(calls, now)).calls[0]
    assert find(other, mine.id) is None


def test_a_search_touches_only_the_days_asked_for(calls: Project, now: datetime) -> None:
    with CaptureQueriesContext(
        connection,
    ) as captured:
        search(asked(calls, now, "user=anna&from=now-6h"))
    (sql,) = [query["sql"] for query in captured if "request_log" in query["sql"]]
    assert re.search(r'"id" >= \'?[0-9a-f-]{32,36}', sql)
    assert re.search(r'"id" < \'?[0-9a-f-]{32,36}', sql)
    assert "OFFSET" not in sql
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {sql}")
        plan = "\n".join(row[0] for row in cursor.fetchall())
    assert len(set(re.findall(r"request_log_(\d{8})", plan))) <= 2


def test_the_page_says_what_it_searched(viewer: Client, calls: Project) -> None:
    page = viewer.get("/logs/?user=ben").content.decode()
    assert "10 found, that is all" in page
    assert page.count('<span class="status is-crit">') == 4
    nothing = viewer.get("/logs/?user=nobody").content.decode()
    assert "No call matches." in nothing
    assert 'href="?project=helpdesk"' in nothing


def with_body(project: Project, now: datetime) -> str:
    event = factories.event(
        now - timedelta(minutes=1),
        content={
            "input": '[{"role":"user","content":"Hello <b>you</b>"}]',
            "output": '"Good morning"',
            "redactions": {"email": 2},
        },
    )
    factories.stored(project, event, now=now)
    return str(event["id"])


def test_a_prompt_is_shown_to_those_who_may_read_it_and_the_reading_is_noted(
    reader: Client, project: Project, now: datetime
) -> None:
    made = with_body(project, now)
    page = reader.get(f"/logs/{made}/").content.decode()
    assert "Good morning" not in page
    assert "Removed before it left the application: 2 email." in page
    assert not AuditEvent.objects.exists()
    response = reader.post(f"/logs/{made}/body/")
    assert "Good morning" in response.content.decode()
    assert "Hello &lt;b&gt;you&lt;/b&gt;" in response.content.decode()
    assert response["Cache-Control"] == "private, no-store"
    assert "<h3>User</h3>" in response.content.decode()
    event = AuditEvent.objects.get()
    assert (event.action, event.target, event.project) == ("read.body", made, project)
    assert event.actor is not None
    assert event.actor.get_username() == "reader"


def test_without_the_permission_nobody_reads_a_prompt_and_the_page_says_who_can_give_it(
    viewer: Client, project: Project, now: datetime
) -> None:
    made = with_body(project, now)
    assert "You may see the numbers of a call, not its text." in viewer.get(f"/logs/{made}/").content.decode()
    response = viewer.post(f"/logs/{made}/body/")
    assert response.status_code == 403
    assert "Good morning" not in response.content.decode()
    assert not AuditEvent.objects.exists()


def test_a_reading_that_cannot_be_noted_does_not_happen(
    reader: Client, project: Project, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = with_body(project, now)

    def full(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(audit, "record", full)
    with pytest.raises(OSError, match="no space left"):
        reader.post(f"/logs/{made}/body/")


def test_a_prompt_is_never_read_by_a_link(reader: Client, project: Project, now: datetime) -> None:
    assert reader.get(f"/logs/{with_body(project, now)}/body/").status_code == 405


def test_the_cost_of_a_call_is_shown_line_by_line(viewer: Client, project: Project, now: datetime) -> None:
    usage = {"input_tokens": 1000, "output_tokens": 200, "cache_read_input_tokens": 5000, "service_tier": "batch"}
    event = factories.event(now - timedelta(minutes=1), usage=usage)
    factories.stored(project, event, now=now)
    page = viewer.get(f"/logs/{event['id']}/").content.decode()
    found = re.findall(
        r'<th scope="row">([^<]*)</th><td class="n">(.*?)</td><td class="n">(.*?)</td><td class="n">(.*?)<', page
    )
    # claude-sonnet-4-5: 3, 0.30 and 15 dollars per million tokens; a batch costs half.
    assert found == [
        ("Input", "1,000", "$3.00 / M", "$0.0015"),
        ("Cache read", "5,000", "$0.30 / M", "$0.00075"),
        ("Output", "200", "$15.00 / M", "$0.0015"),
    ]
    assert "batch: × 0.5" in page
    assert "do not make up the total" not in page


def test_lines_that_no_longer_explain_the_cost_say_so(viewer: Client, project: Project, now: datetime) -> None:
    event = factories.event(now - timedelta(minutes=1))
    factories.stored(project, event, now=now)
    Price.objects.filter(model="claude-sonnet-4-5").update(input=1)
    assert "do not make up the total" in viewer.get(f"/logs/{event['id']}/").content.decode()


def test_an_unknown_cost_is_said_to_be_unknown_and_not_nothing(viewer: Client, project: Project, now: datetime) -> None:
    event = factories.event(now - timedelta(minutes=1), model="claude-next-9", model_requested="claude-next-9")
    factories.stored(project, event, now=now)
    assert "Unknown is not zero" in viewer.get(f"/logs/{event['id']}/").content.decode()


def test_attempts_lie_where_they_were_in_time(viewer: Client, project: Project, now: datetime) -> None:
    attempts = [
        {"n": 1, "start_ms": 0, "duration_ms": 500, "status": 529, "category": "overloaded", "request_id": "req_a"},
        {"n": 2, "start_ms": 1000, "duration_ms": 1000, "status": 200, "wait_ms": 500, "request_id": "req_b"},
    ]
    event = factories.event(now - timedelta(minutes=1), duration_ms=2000, attempts=attempts)
    factories.stored(project, event, now=now)
    page = viewer.get(f"/logs/{event['id']}/").content.decode()
    assert re.findall(r'class="fill" x="(\d+)" width="(\d+)"', page) == [("0", "250"), ("500", "500")]
    assert "1. overloaded, HTTP 529" in page
    assert "2. answered, HTTP 200, waited 500\u202fms before" in page


def test_a_call_that_is_not_there_is_told_plainly(viewer: Client, project: Project) -> None:
    response = viewer.get(f"/logs/{factories.call_id()}/")
    assert response.status_code == 404
    assert "There is no call with this id in the project" in response.content.decode()
