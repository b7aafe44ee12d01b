"""The page of one call: how good the answer was, what was hidden, who was asked, and what proves the texts."""

import re
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from dashboard import judgement, request_facts, search
from dashboard.search import Call
from ingest import wire
from ingest.models import FailureGroup, Score
from ingest.store import Origin, store
from ingest.vocabulary import ErrorCategory
from projects.models import Project
from tests import factories

pytestmark = pytest.mark.django_db

S = "\N{NARROW NO-BREAK SPACE}"
HOSTILE = "<script>alert(1)</script>"


def made(project: Project, now: datetime, **fields: Any) -> Call:
    event = factories.event(now - timedelta(minutes=1), **fields)
    factories.stored(project, event, now=now)
    found = search.find(project, wire.event_of(event).id)
    assert found is not None
    return found


def scored(call: Call, now: datetime, *told: dict[str, Any]) -> None:
    documents = [{"call_id": str(call.id), "at": now.isoformat(), **one} for one in told]
    good, bad = wire.read_scores(documents, now=now)
    assert bad == []
    store([], origin=Origin(call.names.project_id, "production"), now=now, scored=good)


def shown(viewer: Client, call: Call) -> str:
    return viewer.get(f"/logs/{call.id}/").content.decode()


@pytest.mark.parametrize(
    ("quality", "told", "said"),
    [
        (None, [], ""),
        ({"repairs": 0}, [], ""),
        ({"valid": True, "repairs": 0}, [], "The answer had the form asked for."),
        ({"valid": True, "repairs": 1}, [], "The answer had the form asked for, after it was asked for again once."),
        (
            {"valid": False, "repairs": 2},
            [],
            "The answer did not have the form asked for, though it was asked for again twice.",
        ),
        ({"repairs": 3}, [], "The answer did not do at first: it was asked for again 3 times."),
        (None, [{"name": "valid", "value": 0}], "The answer did not have the form asked for."),
        ({"valid": True}, [{"name": "valid", "value": 0}], "The answer had the form asked for."),
    ],
)
def test_whether_the_answer_had_the_form_asked_for_is_said_in_a_sentence(
    viewer: Client,
    project: Project,
    now: datetime,
    quality: dict[str, Any] | None,
    told: list[dict[str, Any]],
    said: str,
) -> None:
    call = made(project, now, quality=quality)
    scored(call, now, *told)
    assert judgement.judgement(call).form == said
    page = shown(viewer, call)
    assert ("Quality and scores" in page) == (said != "")
    assert said in page


def test_scores_are_listed_by_name_with_comment_and_time(viewer: Client, project: Project, now: datetime) -> None:
    call = made(project, now)
    scored(
        call,
        now,
        {"name": "tone", "label": "friendly", "comment": "as asked"},
        {"name": "liked", "value": 1},
        {"name": "delta", "value": -1234.5},
        {"name": "tiny", "value": 1 / 3e9},
    )
    page = shown(viewer, call)
    rows = re.findall(r'<th scope="row">(\w+)</th><td data-label="Value">(.*?)</td><td[^>]*>(.*?)</td>', page)
    assert rows == [
        ("delta", "−1,234.5", ""),
        ("liked", "1", ""),
        ("tiny", "3.33333e−10", ""),
        ("tone", "friendly", "as asked"),
    ]
    assert page.count(f'<td data-label="When"><time datetime="{now.isoformat()}">') == 4


def test_a_call_with_very_many_scores_shows_fifty_and_says_how_many_more(
    viewer: Client, project: Project, now: datetime
) -> None:
    call = made(project, now)
    scored(call, now, *[{"name": f"s{number:02}", "value": number} for number in range(51)])
    page = shown(viewer, call)
    assert page.count('<td data-label="Value">') == 50
    assert "And 1 more score." in page
    Score.objects.filter(name="s50").delete()
    assert "more score" not in shown(viewer, call)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, ""),
        (
            {"source": "model_fallback", "model_requested": "claude-sonnet-5", "model": "claude-haiku-4-5"},
            "claude-sonnet-5 could not answer (circuit open), claude-haiku-4-5 did instead.",
        ),
        ({"source": "cache"}, "Claude could not answer (circuit open); an earlier answer was given again."),
        (
            {"source": "stale_cache"},
            "Claude could not answer (circuit open); an earlier answer was given again, past its time.",
        ),
        ({"source": "rule"}, "Claude could not answer (circuit open); a rule of the application answered instead."),
        ({"source": "deferred"}, "Claude could not answer (circuit open); the call was put off until later."),
        ({"source": "notice"}, "Claude could not answer (circuit open); a notice was given instead of an answer."),
        ({"source": "api"}, "Claude could not answer (circuit open); the caller was spared the failure."),
    ],
)
def test_what_the_fallback_hid_is_said_in_a_sentence(
    viewer: Client, project: Project, now: datetime, fields: dict[str, Any], said: str
) -> None:
    fallback = {"fallback_from": "circuit_open", "outcome": "degraded"} if fields else {}
    call = made(project, now, **fallback, **fields)
    assert request_facts.hidden(call) == said
    page = shown(viewer, call)
    assert said in page
    assert ("Hidden by the fallback:" in page) == (said != "")


@pytest.mark.parametrize(
    ("unit", "spent", "limit", "words", "share", "tone"),
    [
        ("tokens", 12_340, 50_000, f"team-a: 12.3{S}k of 50.0{S}k tokens spent, 24.7{S}%", 24, "good"),
        ("nanousd", 4_000_000_000, 5_000_000_000, f"team-a: $4.00 of $5.00 spent, 80.0{S}%", 80, "warn"),
        ("tokens", 600, 500, f"team-a: 600 of 500 tokens spent, 120.0{S}%", 100, "bad"),
        ("tokens", 0, 0, f"team-a: 0 of 0 tokens spent, 100{S}%", 100, "bad"),
    ],
)
def test_the_budget_of_the_client_is_shown_as_it_was(
    viewer: Client,
    project: Project,
    now: datetime,
    unit: str,
    spent: int,
    limit: int,
    words: str,
    share: int,
    tone: str,
) -> None:
    call = made(project, now, budget={"key": "team-a", "unit": unit, "spent": spent, "limit": limit})
    assert request_facts.budget(call) == request_facts.Spent(words, share, tone)
    page = shown(viewer, call)
    assert words in page
    assert f'aria-label="{share} percent of the budget"' in page


def test_hashes_are_short_and_can_be_copied_whole(viewer: Client, project: Project, now: datetime) -> None:
    call = made(project, now, hashes={"input": "0123456789abcdef" * 4, "output": "FEDCBA9876543210" * 4})
    page = shown(viewer, call)
    for half in ("0123456789abcdef" * 2, "fedcba9876543210" * 2):
        assert f'<summary title="{half}"><code>{half[:12]}…</code></summary><code>{half}</code>' in page
    only = made(project, now, hashes={"output": "1" * 64})
    assert request_facts.hashes(only) == [("Hash of the response", "1" * 32)]
    assert request_facts.hashes(made(project, now)) == []


def test_attempts_name_their_model_and_key(viewer: Client, project: Project, now: datetime) -> None:
    tries = [
        {"n": 1, "category": "overloaded", "status": 529, "key_alias": "blue", "model": "claude-sonnet-5"},
        {"n": 2, "status": 200, "key_alias": "green"},
    ]
    page = shown(viewer, made(project, now, attempts=tries))
    assert re.findall(r'<span class="what">(.*?)</span><svg', page) == [
        '1. overloaded, HTTP 529 <span class="muted">claude-sonnet-5, key blue</span>',
        '2. answered, HTTP 200 <span class="muted">key green</span>',
    ]
    # The only attempt of a call that worked at once keeps its key, too.
    only = shown(viewer, made(project, now, attempts=[{"n": 1, "status": 200, "key_alias": "blue"}]))
    assert '1. answered, HTTP 200 <span class="muted">key blue</span>' in only


def test_the_wait_in_the_queue_of_the_limiter_is_said(viewer: Client, project: Project, now: datetime) -> None:
    words = f"It waited 400{S}ms of its 1.2{S}s in the queue of the client's limiter."
    assert words in shown(viewer, made(project, now, queue_ms=400))
    assert "in the queue of" not in shown(viewer, made(project, now, queue_ms=0))


def test_whatever_clients_write_is_text(viewer: Client, project: Project, now: datetime) -> None:
    call = made(
        project,
        now,
        outcome="degraded",
        source="model_fallback",
        fallback_from=HOSTILE,
        model_requested=HOSTILE,
        attempts=[{"n": 1, "category": HOSTILE, "key_alias": HOSTILE, "model": HOSTILE}],
        budget={"key": HOSTILE, "unit": "tokens", "spent": 1, "limit": 2},
    )
    scored(call, now, {"name": HOSTILE, "label": HOSTILE, "comment": HOSTILE})
    page = shown(viewer, call)
    assert HOSTILE not in page
    assert page.count("&lt;script&gt;alert(1)&lt;/script&gt;") >= 8


@pytest.mark.parametrize("is_old", [False, True], ids=["names", "words of before migration 0006"])
def test_where_a_call_came_from_is_told(project: Project, now: datetime, is_old: bool) -> None:
    tries = [{"n": 1, "status": 200, "key_alias": "blue"}]
    call = made(project, now, app="helpdesk", release="1.4.2", sdk="anthropic/2.12.0", attempts=tries)
    if is_old:
        call.row.app_id = call.row.release_id = call.row.sdk_id = call.row.key_id = None
        call.row.detail = {"app": "shop", "sdk": "anthropic/2.9.0", "key_alias": "green"}
    told = dict(request_facts.facts(call))
    assert (told["Application"], told["SDK"], request_facts.attempts(call)[0].key) == (
        ("shop", "anthropic/2.9.0", "green") if is_old else ("helpdesk 1.4.2", "anthropic/2.12.0", "blue")
    )


def test_a_failed_call_leads_to_those_it_looks_like(viewer: Client, project: Project, now: datetime) -> None:
    event = factories.failed(
        at=now - timedelta(minutes=1), error={"category": "overloaded", "message": f"{HOSTILE} at 12"}
    )
    factories.stored(project, event, factories.failed("timeout", None, now - timedelta(minutes=2)), now=now)
    number = FailureGroup.objects.get(error=ErrorCategory.OVERLOADED).pk
    page = viewer.get(f"/logs/{event['id']}/?user=user-1&from=now-1h").content.decode()
    link = f"/logs/?project=helpdesk&from=now-1h&failure={number}"
    words = "overloaded: &lt;script&gt;alert(#)&lt;/script&gt; at #"
    assert f'<dt>Failures that look alike</dt><dd><a href="{link.replace("&", "&amp;")}">{words}</a></dd>' in page
    found = viewer.get(link).content.decode()
    assert re.findall(r'<a href="/logs/([0-9a-f-]{36})/', found) == [event["id"]]


def test_a_call_that_did_not_fail_looks_like_no_failure(viewer: Client, project: Project, now: datetime) -> None:
    assert "Failures that look alike" not in shown(viewer, made(project, now))
