"""The Errors page: every figure against what was sent, what fails alike, what is new, and when nothing failed."""

import re
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.test import Client
from pytest_django.fixtures import Settings

from dashboard.errors.remedies import REMEDIES, remedy
from ingest import wire
from ingest.models import FailureGroup
from ingest.store import Origin, store
from ingest.vocabulary import ErrorCategory
from metrics.windows import floor
from projects.models import Project
from tests import factories
from tests.dashboard import reading
from tests.dashboard.conftest import count
from tests.dashboard.reading import section, takeaway, text

pytestmark = pytest.mark.django_db

SPACE = "\u202f"
EVIL = "<script>alert(1)</script>"


def rows(client: Client, panel: str, options: str = "from=now-1h") -> list[dict[str, str]]:
    return reading.rows(client, f"/errors/{panel}.csv?{options}")


def tried(*categories: str) -> list[dict[str, Any]]:
    """The attempts of a call: each category failed, an empty one answered."""
    return [
        {"n": n, "start_ms": 100 * n, "duration_ms": 100, **({"category": one} if one else {"status": 200})}
        for n, one in enumerate(categories, start=1)
    ]


@pytest.fixture
def failing(project: Project, now: datetime) -> list[dict[str, Any]]:
    """A hundred calls of the last half hour: 88 answered, 4 of them after a retry and 2 by another model; 12 failed."""
    start = now - timedelta(minutes=30)

    def at(n: int) -> datetime:
        return start + timedelta(seconds=10 * n)

    events = [factories.event(at(n)) for n in range(82)]
    events += [factories.event(at(n), attempts=tried("overloaded", "")) for n in range(82, 86)]
    events += [
        factories.event(at(n), outcome="degraded", source="model_fallback", fallback_from="claude-opus-4-5")
        for n in (86, 87)
    ]
    events += [
        factories.failed(
            at=at(88 + n),
            user_id=f"user-{n % 2}",
            attempts=tried("overloaded", "overloaded"),
            error={"category": "overloaded", "status": 529, "message": f"Overloaded, try {n} of 3"},
        )
        for n in range(7)
    ]
    events += [
        factories.failed("invalid_request", 400, at(95 + n), feature="search", prompt_version="8", user_id=None)
        for n in range(3)
    ]
    events += [
        factories.failed("context_window", 400, at(98 + n), error={"category": "context_window", "message": message})
        for n, message in enumerate(("prompt is too long: 210013 tokens > 200000 maximum", EVIL))
    ]
    factories.stored(project, *events, now=now)
    count(now)
    return events


def failures(events: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    return (event for event in events if event["outcome"] in {"error", "rejected"})


def test_the_answer_names_rate_type_and_whether_a_retry_helps(
    viewer: Client, failing: list[dict[str, Any]], project: Project
) -> None:
    page = text(viewer, "/errors/?from=now-1h")
    # 12 of 100 calls; 7 of these 12 overloaded.
    assert f"12.0{SPACE}% of calls failed; overloaded leads (58.3{SPACE}%), which retries usually cure." in page
    assert "12 of 100 calls." in page
    assert 'class="answer is-bad"' in page
    assert 'href="/logs/?project=helpdesk&amp;from=now-1h&amp;status=failed"' in page


def test_the_tiles_count_calls_and_attempts(viewer: Client, failing: list[dict[str, Any]]) -> None:
    values = re.findall(r'<h3>(.*?)</h3><p class="value"[^>]*>(.*?)</p>', text(viewer, "/errors/?from=now-1h"))
    attempts = sum(len(event["attempts"]) for event in failing)
    # 84 answers at once, 4 after two attempts, 7 calls of two failed attempts, 5 of one: 84 + 8 + 14 + 5.
    assert attempts == 111
    assert values == [
        ("Error rate", f"12.0{SPACE}%"),
        ("Failed calls", "12"),
        # 111 attempts brought 88 answers: 23 of 111.
        ("Failed attempts", f"20.7{SPACE}%"),
        ("Retried", f"11.0{SPACE}%"),
        ("Fallback", f"2.00{SPACE}%"),
        ("Degraded", f"2.00{SPACE}%"),
    ]
    page = text(viewer, "/errors/?from=now-1h")
    assert "of 111 attempts" in page
    assert "1.11 attempts per call" in page


def test_every_failure_is_in_the_files_once(viewer: Client, failing: list[dict[str, Any]]) -> None:
    of_type = Counter(event["error"]["category"] for event in failures(failing))
    over_time = rows(viewer, "errors")
    assert len(over_time) == 60
    for name, expected in of_type.items():
        assert sum(int(row[name.replace("_", " ")] or 0) for row in over_time) == expected
    listed = rows(viewer, "types")
    assert {row["Type"]: int(row["Calls"]) for row in listed} == of_type
    assert [row["Type"] for row in listed] == ["overloaded", "invalid_request", "context_window"]
    assert listed[0]["Does a retry help?"] == "yes"
    assert {(row["Type"], row["Feature"]): int(row["Calls"]) for row in rows(viewer, "matrix")} == Counter(
        (event["error"]["category"], event["feature"]) for event in failures(failing)
    )


def test_the_rates_over_time_are_those_of_each_minute(
    viewer: Client, failing: list[dict[str, Any]], now: datetime
) -> None:
    minute = timedelta(minutes=1)
    calls = Counter(floor(datetime.fromisoformat(event["started_at"]), minute) for event in failing)
    failed = Counter(floor(datetime.fromisoformat(event["started_at"]), minute) for event in failures(failing))
    for row in rows(viewer, "attempts"):
        start = datetime.fromisoformat(row["Time (UTC)"])
        expected = "" if calls[start] == 0 else f"{failed[start] / calls[start]:.6f}"
        assert (row["calls (0..1)"] and f"{float(row['calls (0..1)']):.6f}") == expected


def test_each_panel_says_in_a_sentence_what_it_shows(viewer: Client, failing: list[dict[str, Any]]) -> None:
    page = text(viewer, "/errors/?from=now-1h")
    assert takeaway(page, "types") == (
        f"Of 12 failed calls, 58.3{SPACE}% are of types that pass when tried again, at once or after a wait."
    )
    assert takeaway(page, "errors") == f"12 in total of 3 types; overloaded has the largest share, 58.3{SPACE}%."
    assert (
        takeaway(page, "attempts") == f"12.0{SPACE}% of calls failed in the end, 20.7{SPACE}% of attempts on the way."
    )
    assert takeaway(page, "matrix") == "Most often overloaded in inbox: 7 of 12."


def test_cells_of_the_matrix_are_numbers_with_heat_and_lead_on(viewer: Client, failing: list[dict[str, Any]]) -> None:
    matrix = section(text(viewer, "/errors/?from=now-1h"), "matrix")
    cells = re.findall(r'<td class="(.*?)" data-label="(.*?)">(.*?)</td>', matrix)
    # 7 is the most: 3 of 7 is the third fifth, 2 of 7 the second.
    kinds = [(label, re.sub("<.*?>", "", cell), kind.split()[-1]) for kind, label, cell in cells]
    assert kinds == [
        ("inbox", "7", "heat-5"),
        ("search", "0", "is-muted"),
        ("inbox", "0", "is-muted"),
        ("search", "3", "heat-3"),
        ("inbox", "2", "heat-2"),
        ("search", "0", "is-muted"),
    ]
    assert "feature=search&amp;err=invalid_request" in matrix


def test_failures_that_look_alike_are_one_group(viewer: Client, failing: list[dict[str, Any]], now: datetime) -> None:
    groups = rows(viewer, "groups")
    told = [
        (row["Message"], row["Type"], row["Prompt version"], row["State"], row["Calls"], row["Users"]) for row in groups
    ]
    assert told == [
        ("Overloaded, try # of #", "overloaded", "7", "new", "7", "2"),
        ("invalid_request for a test", "invalid_request", "8", "new", "3", "0"),
        (EVIL.replace("1", "#"), "context_window", "7", "new", "1", "1"),
        ("prompt is too long: # tokens > # maximum", "context_window", "7", "new", "1", "1"),
    ]
    first, last = failing[88], failing[94]
    assert groups[0]["Last call"] == last["id"]
    assert datetime.fromisoformat(groups[0]["First seen (UTC)"]) == datetime.fromisoformat(first["started_at"])
    assert datetime.fromisoformat(groups[0]["Last seen (UTC)"]) == datetime.fromisoformat(last["started_at"])
    page = text(viewer, "/errors/?from=now-1h")
    assert takeaway(page, "groups") == "4 groups, all of them new: not among the failures of the week before."
    found = section(page, "groups")
    assert f'href="/logs/{last["id"]}/?project=helpdesk&amp;from=now-1h"' in found
    number = FailureGroup.objects.get(template="Overloaded, try # of #").pk
    link = f"/logs/?project=helpdesk&from=now-1h&failure={number}"
    assert f'href="{link.replace("&", "&amp;")}"' in found
    log = text(viewer, link)
    assert re.findall(r'<a href="/logs/([0-9a-f-]{36})/', log) == [event["id"] for event in reversed(failing[88:95])]
    assert "<span>failure group</span> <b>overloaded: Overloaded, try # of #</b>" in log
    assert "<script>alert(#)" not in page
    assert "&lt;script&gt;alert(#)&lt;/script&gt;" in page


def test_a_group_is_new_ongoing_or_quiet(viewer: Client, project: Project, now: datetime) -> None:
    def failed(minutes: int, message: str) -> dict[str, Any]:
        error = {"category": "server_error", "message": message}
        return factories.failed("server_error", 500, now - timedelta(minutes=minutes), error=error)

    factories.stored(
        project,
        *(failed(200, f"old {word}") for word in ("noise", "pain")),
        *(failed(50, f"old {word}") for word in ("noise", "pain")),
        failed(50, "young"),
        failed(2, "old noise"),
        now=now,
    )
    count(now)
    told = {row["Message"]: (row["State"], row["Calls"]) for row in rows(viewer, "groups")}
    assert told == {"old noise": ("ongoing", "2"), "old pain": ("quiet", "1"), "young": ("new", "1")}
    first = {row["Message"]: row["First seen (UTC)"] for row in rows(viewer, "groups")}
    assert datetime.fromisoformat(first["old pain"]) == pytest.approx(
        now - timedelta(minutes=200), abs=timedelta(milliseconds=1)
    )


def test_more_failures_than_are_read_call_by_call_are_told(
    viewer: Client, project: Project, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("metrics.failure_rows.MOST_CALLS", 3)
    monkeypatch.setattr("metrics.failures.MOST_CALLS", 3)
    events = [factories.failed(at=now - timedelta(minutes=n + 1), prompt_version=str(n)) for n in range(5)]
    factories.stored(project, *events, now=now)
    count(now)
    # The rollups know all of them; of a feature the newest are read.
    assert {row["Last call"] for row in rows(viewer, "groups")} == {event["id"] for event in events}
    assert "are counted." not in text(viewer, "/errors/?from=now-1h")
    of_feature = rows(viewer, "groups", "from=now-1h&feature=inbox")
    assert {row["Last call"] for row in of_feature} == {event["id"] for event in events[:3]}
    assert [row["Users"] for row in of_feature] == ["", "", ""]
    told = takeaway(text(viewer, "/errors/?from=now-1h&feature=inbox"), "groups")
    assert told.endswith("With these filters only the newest 5,000 failures of the range are counted.")


def test_when_nothing_failed_that_is_the_answer_and_the_last_failure_is_a_link(
    viewer: Client, project: Project, now: datetime
) -> None:
    earlier = factories.failed("rate_limit", 429, now - timedelta(hours=5))
    factories.stored(project, earlier, factories.event(now - timedelta(minutes=2)), now=now)
    count(now)
    page = text(viewer, "/errors/?from=now-1h")
    assert '<h2 role="status">No call failed in this range.</h2>' in page
    assert "1 call, and none of them failed. The last failure before it was rate limit, " in page
    assert f'<a class="next" href="/logs/{earlier["id"]}/?project=helpdesk&amp;from=now-1h">See that call' in page
    assert page.count('<circle cx="12" cy="12" r="9"/>') == 7
    assert 'class="answer is-good"' in page


def test_without_calls_the_answer_is_unknown(viewer: Client, failing: list[dict[str, Any]]) -> None:
    page = text(viewer, "/errors/?from=now-4h&to=now-2h")
    assert 'class="answer is-unknown"' in page
    assert "No call was made in this range." in page


def test_few_calls_are_counted_and_not_made_a_share(viewer: Client, project: Project, now: datetime) -> None:
    factories.stored(project, factories.failed("billing", 402, now - timedelta(minutes=3)), now=now)
    count(now)
    page = text(viewer, "/errors/?from=now-1h")
    assert "1 call failed; all of them billing, which no retry cures before the bill is settled." in page


def test_a_group_is_no_filter_of_the_numbers_and_the_page_says_so(
    viewer: Client, failing: list[dict[str, Any]]
) -> None:
    number = FailureGroup.objects.get(template="Overloaded, try # of #").pk
    page = text(viewer, f"/errors/?from=now-1h&failure={number}")
    assert (
        "The filter failure group “overloaded: Overloaded, try # of #” applies to the logs only;"
        " the numbers here are without it." in page
    )
    assert "12 of 100 calls." in page


def test_users_beyond_those_counted_are_said_to_be_more(
    viewer: Client, failing: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("metrics.failures.MOST_USED", 3)
    assert '<td class="n" data-label="Users">2+</td>' in section(text(viewer, "/errors/?from=now-1h"), "groups")
    # A file has exact numbers only.
    assert [row["Users"] for row in rows(viewer, "groups")] == ["", "", "1", "1"]


def test_a_call_that_is_only_counted_has_no_link(
    viewer: Client, project: Project, now: datetime, settings: Settings
) -> None:
    event = factories.failed(at=now - timedelta(days=5))
    factories.stored(project, event, factories.event(now - timedelta(minutes=2)), now=now)
    count(now)
    assert f'href="/logs/{event["id"]}/' in section(text(viewer, "/errors/?from=now-7d"), "groups")
    settings.RETENTION_DAYS = settings.RETENTION_DAYS | {"request_log": 1}
    found = section(text(viewer, "/errors/?from=now-7d"), "groups")
    assert event["id"] not in found
    assert "overloaded for a test" in found


def test_a_filter_narrows_every_panel(viewer: Client, failing: list[dict[str, Any]]) -> None:
    page = text(viewer, "/errors/?from=now-1h&feature=search")
    assert "3 calls failed; all of them invalid request, which no retry cures: the request itself is wrong." in page
    assert [row["Type"] for row in rows(viewer, "groups", "from=now-1h&feature=search")] == ["invalid_request"]
    assert [row["Calls"] for row in rows(viewer, "matrix", "from=now-1h&err=context_window")] == ["2"]
    page = text(viewer, "/errors/?from=now-1h&err=overloaded&version=7")
    assert "7 calls failed; all of them overloaded" in page


def test_projects_do_not_see_each_other(viewer: Client, failing: list[dict[str, Any]], now: datetime) -> None:
    other = factories.project("other")
    factories.stored(other, factories.failed("not_found", 404, now - timedelta(minutes=1)), now=now)
    told(other, 1, now, change(now - timedelta(minutes=5), "closed", "open"))
    count(now)
    assert [row["Type"] for row in rows(viewer, "types", "from=now-1h&project=other")] == ["not_found"]
    assert "not_found" not in text(viewer, "/errors/?from=now-1h&project=helpdesk")
    assert rows(viewer, "breakers", "from=now-1h&project=helpdesk") == []


# --- Breakers


def change(
    at: datetime, before: str, after: str, reason: str = "failure_share", group: str = "sonnet-5"
) -> dict[str, Any]:
    return {"at": at.isoformat(), "group": group, "before": before, "after": after, "reason": reason}


def told(project: Project, boot: int, now: datetime, *transitions: dict[str, Any]) -> None:
    client = wire.Client(instance=f"web-{boot}", boot_id=UUID(int=boot), guards={}, transitions=list(transitions))
    store([], origin=Origin(project.pk, "production"), now=now, client=client)


def test_the_strip_shows_when_calls_were_held_back(
    viewer: Client, failing: list[dict[str, Any]], project: Project, now: datetime
) -> None:
    minute = timedelta(minutes=1)
    told(
        project,
        1,
        now,
        change(now - 30 * minute, "closed", "open"),
        change(now - 22 * minute, "open", "half_open", "cooldown_over"),
        change(now - 20 * minute, "half_open", "closed", "probes_succeeded"),
        change(now - 9 * minute, "closed", "open", EVIL, group=EVIL),
        change(now - 6 * minute, "open", "closed", "reset", group=EVIL),
    )
    page = text(viewer, "/errors/?from=now-1h")
    ten = f"10{SPACE}min"
    assert takeaway(page, "breakers") == f"Calls to sonnet-5 were held back longest: {ten}, once."
    strips = section(page, "breakers")
    assert re.findall(r'<b>(.*?)</b> <span class="muted">(.*?)</span>', strips) == [
        ("sonnet-5", f"{ten}, once"),
        (EVIL.replace("<", "&lt;").replace(">", "&gt;"), f"3{SPACE}min, once"),
    ]
    # 240 places of 15 seconds each: 8 minutes stopped are 32 or 33 of them, 2 minutes tried 8 or 7.
    parts = [
        (tone, int(width)) for tone, width in re.findall(r'<rect class="(bad|warn)" x="\d+" width="(\d+)"', strips)
    ]
    assert [tone for tone, _ in parts] == ["bad", "warn", "bad"]
    assert parts[0][1] in (32, 33)
    assert parts[0][1] + parts[1][1] in (40, 41)
    newest, oldest = rows(viewer, "breakers")
    assert (oldest["Models"], oldest["Held back (ms)"], oldest["Tries"], oldest["Clients"]) == (
        "sonnet-5",
        "600000",
        "1",
        "1",
    )
    assert (oldest["Why"], newest["Why"]) == ("too many of them failed", EVIL)


def test_a_breaker_that_is_open_now_has_no_end(
    viewer: Client, failing: list[dict[str, Any]], project: Project, now: datetime
) -> None:
    told(project, 1, now, change(now - timedelta(minutes=5), "closed", "open"))
    page = text(viewer, "/errors/?from=now-1h&feature=inbox")
    assert ", once, now too. Breakers know no filters: this is about the whole project." in takeaway(page, "breakers")
    assert rows(viewer, "breakers")[0]["To (UTC)"] == ""


# --- Words


def test_every_category_has_a_remedy() -> None:
    assert set(REMEDIES) == set(ErrorCategory) - {ErrorCategory.NONE}
    assert remedy("no such word") is REMEDIES[ErrorCategory.OTHER]
    for found in REMEDIES.values():
        assert found.action.endswith(".")
        assert found.phrase == found.phrase.rstrip(".")
