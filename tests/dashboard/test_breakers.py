"""The Overview says which calls clients hold back just now, and nothing when all go through."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.test import Client

from dashboard.breakers import Held, written
from ingest import wire
from ingest.store import Origin, store
from projects.models import Project

AT = datetime(2026, 11, 22, 14, 2, 59, tzinfo=UTC)
LATER = AT + timedelta(hours=1)


@pytest.mark.parametrize(
    ("held", "now", "said"),
    [
        (
            Held("sonnet-5", 2, 0, AT, "failure_share"),
            LATER,
            "Calls to sonnet-5 are stopped on 2 clients since 14:02 UTC, because too many of them failed.",
        ),
        (
            Held("sonnet-5", 1, 0, AT, "deploy of Friday"),
            AT + timedelta(days=1),
            "Calls to sonnet-5 are stopped on 1 client since 22 Nov, 14:02 UTC, because “deploy of Friday”.",
        ),
        (
            Held("haiku-4-5", 2, 1_000, AT, "overloaded"),
            LATER,
            (
                "Calls to haiku-4-5 are stopped on 2 clients since 14:02 UTC, because Claude is overloaded; "
                "on 1,000 more they are being tried again."
            ),
        ),
        (
            Held("sonnet-5", 0, 1, AT, "probes_failed"),
            LATER,
            (
                "Calls to sonnet-5 are being tried again on 1 client; they were not let through since 14:02 UTC, "
                "because those let through to find out failed too."
            ),
        ),
        (Held("sonnet-5", 0, 3, None, None), LATER, "Calls to sonnet-5 are being tried again on 3 clients."),
        (Held("sonnet-5", 3, 0, None, ""), LATER, "Calls to sonnet-5 are stopped on 3 clients."),
    ],
)
def test_each_group_of_models_is_said_in_a_sentence(held: Held, now: datetime, said: str) -> None:
    assert written(held, now) == said


def change(at: datetime, before: str, after: str, reason: str, group: str = "sonnet-5") -> dict[str, Any]:
    return {"at": at.isoformat(), "group": group, "before": before, "after": after, "reason": reason}


def told(project: Project, boot: int, now: datetime, guards: dict[str, Any], *transitions: dict[str, Any]) -> None:
    client = wire.Client(instance=f"web-{boot}", boot_id=UUID(int=boot), guards=guards, transitions=list(transitions))
    store([], origin=Origin(project.pk, "production"), now=now, client=client)


def notes(page: str) -> list[str]:
    return [part.split("</b>")[0] for part in page.split('role="note"><b>')[1:]]


@pytest.mark.django_db
@pytest.mark.storage
def test_the_overview_says_what_is_stopped_now_since_it_first_was_and_why(
    viewer: Client, calls: Project, now: datetime
) -> None:
    minute = timedelta(minutes=1)
    seen = now - timedelta(seconds=30)
    told(calls, 1, seen, {"opus-4": {"breaker": "closed"}})
    assert notes(viewer.get("/?from=now-1h").content.decode()) == []
    # Opened long ago and closed again; opened, tried, opened again; only being tried; and one that has gone silent.
    told(
        calls,
        2,
        seen,
        {"sonnet-5": {"breaker": "open"}},
        change(now - 50 * minute, "closed", "open", "overloaded"),
        change(now - 40 * minute, "half_open", "closed", "probes_succeeded"),
        change(now - 10 * minute, "closed", "open", "failure_share"),
        change(now - 8 * minute, "open", "half_open", "cooldown_over"),
        change(now - 7 * minute, "half_open", "open", "probes_failed"),
    )
    told(calls, 3, seen, {"sonnet-5": {"breaker": "half_open"}})
    told(calls, 4, now - timedelta(minutes=3), {"sonnet-5": {"breaker": "open"}})
    since = now - 10 * minute
    clock = f"{since:%H:%M}" if since.date() == now.date() else f"{since:%-d %b, %H:%M}"
    [said] = notes(viewer.get("/?from=now-1h").content.decode())
    why = "because those let through to find out failed too"
    assert said == (
        f"Calls to sonnet-5 are stopped on 1 client since {clock} UTC, {why}; on 1 more they are being tried again."
    )
    # A page about another time, or another project, does not speak of now.
    assert notes(viewer.get("/?from=now-2h&to=now-1h").content.decode()) == []


@pytest.mark.django_db
@pytest.mark.storage
def test_many_groups_do_not_fill_the_page_and_hostile_names_are_text(
    viewer: Client, calls: Project, now: datetime
) -> None:
    hostile = "<script>alert(1)</script>"
    guards = {name: {"breaker": "open"} for name in (hostile, "a", "b", "c", "d")}
    told(calls, 1, now, guards, change(now, "closed", "open", hostile, group=hostile))
    said = notes(viewer.get("/?from=now-1h").content.decode())
    assert len(said) == 4
    assert said[0].startswith("Calls to &lt;script&gt;alert(1)&lt;/script&gt; are stopped on 1 client since ")
    assert said[0].endswith("because “&lt;script&gt;alert(1)&lt;/script&gt;”.")
    assert said[1:3] == ["Calls to a are stopped on 1 client.", "Calls to b are stopped on 1 client."]
    assert said[3] == "Calls to 2 more groups of models are held back, too."
