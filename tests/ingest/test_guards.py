"""What clients tell about their breakers: the latest is kept, changes once each, and nonsense costs nothing."""

import json
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.test import Client
from django.utils import timezone

from ingest import guards, wire
from ingest.models import BreakerTransition, ClientInstance, RequestLog
from ingest.store import Origin, store
from ingest.vocabulary import BreakerState
from projects.models import Project
from tests import factories
from tests.factories import NOW

pytestmark = [pytest.mark.django_db, pytest.mark.storage]

OPEN = {"breaker": "open", "limiter": {"waiting": 3, "buckets": {"input": {"limit": 80_000, "level": 12.5}}}}
CHANGE = {
    "at": "2026-11-22T09:58:00.250Z",
    "group": "sonnet-5",
    "before": "closed",
    "after": "open",
    "reason": "failure_share",
    "retry_in_s": 12.345,
}


@pytest.fixture
def owner(db: None) -> Project:
    return factories.project()


def told(owner: Project, boot: int = 7, now: datetime = NOW, **header: Any) -> ClientInstance:
    client = wire.Client(instance="web-1", boot_id=UUID(int=boot), **header)
    store([], origin=Origin(owner.pk, "production"), now=now, client=client)
    return ClientInstance.objects.get(project=owner, boot_id=UUID(int=boot))


def test_the_latest_state_of_a_process_is_kept(owner: Project) -> None:
    assert told(owner, emitted=5, guards={"sonnet-5": OPEN}).guards == {"sonnet-5": OPEN}
    assert told(owner, emitted=5, guards={"sonnet-5": {"breaker": "half_open"}}).guards == {
        "sonnet-5": {"breaker": "half_open"}
    }
    # Overtaken: fewer events had been made when it was written.
    assert told(owner, emitted=4, guards={"sonnet-5": OPEN}).guards == {"sonnet-5": {"breaker": "half_open"}}
    assert told(owner, emitted=6).guards == {}


def test_a_change_is_kept_once_however_often_it_is_told(owner: Project) -> None:
    later = CHANGE | {"at": "2026-11-22T09:59:00Z", "before": "open", "after": "half_open", "retry_in_s": 0}
    told(owner, transitions=[CHANGE])
    told(owner, transitions=[later, CHANGE, CHANGE])
    told(owner, boot=8, transitions=[CHANGE])
    found = BreakerTransition.objects.filter(project=owner, boot_id=UUID(int=7)).order_by("at")
    assert list(found.values_list("instance", "group", "before", "after", "reason", "retry_in_ms")) == [
        ("web-1", "sonnet-5", BreakerState.CLOSED, BreakerState.OPEN, "failure_share", 12_345),
        ("web-1", "sonnet-5", BreakerState.OPEN, BreakerState.HALF_OPEN, "failure_share", 0),
    ]
    assert found[0].at == NOW - timedelta(minutes=1, milliseconds=59_750)
    assert BreakerTransition.objects.filter(boot_id=UUID(int=8)).count() == 1


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        (None, {}),
        ([], {}),
        ("open", {}),
        ({"a": None, "b": [], "c": {}, "d": {"breaker": "ajar"}, "e": {"breaker": ["open"]}}, {}),
        ({"": OPEN, "x" * 101: OPEN}, {}),
        ({"x" * 100: {"breaker": "closed"}}, {"x" * 100: {"breaker": "closed"}}),
        (
            {"a": {"breaker": "open", "limiter": {"n": float("nan"), "i": float("inf"), "t": "5", "b": True, "ok": 5}}},
            {"a": {"breaker": "open", "limiter": {"ok": 5}}},
        ),
        ({"a": {"limiter": {"huge": 10**400, "1e16": 1e16, "fine": -1e15}}}, {"a": {"limiter": {"fine": -1e15}}}),
        (
            {"a": {"limiter": {"one": {"two": {"deep": 1, "deeper": {"no": 1}}}}}},
            {"a": {"limiter": {"one": {"two": {"deep": 1}}}}},
        ),
        ({"\ud800\x00": {"breaker": "open"}}, {"\ufffd\ufffd": {"breaker": "open"}}),
    ],
)  # fmt: skip
def test_a_group_or_a_number_that_makes_no_sense_is_left_out_by_itself(sent: object, kept: dict[str, Any]) -> None:
    assert guards.read(sent, None, now=NOW).groups == kept


def test_at_most_64_groups_and_32_numbers_of_an_object_are_kept() -> None:
    many = {f"g{number}": {"limiter": {str(one): one for one in range(40)}} for number in range(70)}
    found = guards.read(many, None, now=NOW).groups
    assert list(found) == [f"g{number}" for number in range(64)]
    assert found["g0"]["limiter"] == {str(one): one for one in range(32)}


def test_limiters_that_take_too_much_room_go_and_the_breakers_stay() -> None:
    wide = {"breaker": "open", "limiter": {f"{number:064}": 1 for number in range(32)}}
    found = guards.read({f"g{number}": wide for number in range(64)}, None, now=NOW).groups
    assert found == {f"g{number}": {"breaker": "open"} for number in range(64)}


@pytest.mark.parametrize(
    "bad",
    [
        None,
        5,
        "open",
        {},
        {"at": None},
        {"at": "yesterday"},
        {"at": "2026-11-22T09:58:00"},
        {"at": "0001-01-01T00:00:00+14:00"},
        {"at": "9999-12-31T23:59:59-14:00"},
        {"at": "2026-11-22T10:10:00Z"},
        {"at": "2026-08-23T23:59:59.999Z"},
        {"group": ""},
        {"group": "x" * 101},
        {"before": "ajar"},
        {"after": None},
        {"reason": "x" * 201},
        {"reason": 5},
        {"retry_in_s": -1},
        {"retry_in_s": float("nan")},
        {"retry_in_s": 1e308},
        {"retry_in_s": 10**400},
    ],
)
def test_a_change_that_makes_no_sense_is_left_out_by_itself(bad: object) -> None:
    spoiled = CHANGE | bad if isinstance(bad, dict) and bad else bad
    found = guards.read(None, [spoiled, CHANGE], now=NOW).transitions
    assert [(one.group, one.at.isoformat()) for one in found] == [("sonnet-5", "2026-11-22T09:58:00.250000+00:00")]


def test_of_more_than_a_hundred_changes_the_first_hundred_are_kept() -> None:
    many = [CHANGE | {"group": f"g{number:03}"} for number in range(120)]
    assert [one.group for one in guards.read(None, many, now=NOW).transitions] == [f"g{n:03}" for n in range(100)]


@pytest.mark.parametrize(
    "header",
    [
        '"guards": 5, "transitions": 5',
        '"guards": {"a": NaN}, "transitions": [NaN, Infinity]',
        r'"guards": {"\u0000": {"breaker": "\ud800"}}, "transitions": [{"group": "\u0000"}]',
        '"guards": ' + '{"a":' * 60 + "1" + "}" * 60,
        '"guards": ' + '{"a":' * 100_000 + "1" + "}" * 100_000,
        '"guards": {"a": {"limiter": {"n": 1' + "0" * 5_000 + "}}}",
        '"transitions": [' + ",".join(["[]"] * 100_000) + "]",
    ],
    ids=["numbers", "nan", "unstorable", "deep", "deeper", "huge", "many"],
)
def test_bad_guards_never_cost_the_events(header: str) -> None:
    now = timezone.now()
    owner = factories.project()
    _, token = factories.key(owner)
    report = f'{{"instance": "web-1", "boot_id": "{factories.call_id()}", "emitted": 3, {header}}}'
    body = f'{{"client": {report}, "events": [{json.dumps(factories.event(now))}]}}'
    answer = Client().post(
        "/api/v1/events", body, content_type="application/json", headers={"Authorization": f"Bearer {token}"}
    )
    assert answer.json()["accepted"] == 1
    assert RequestLog.objects.filter(project=owner).count() == 1
    assert ClientInstance.objects.get(project=owner).emitted == 3
    assert ClientInstance.objects.get(project=owner).guards == {}
    assert not BreakerTransition.objects.exists()


def test_a_bad_event_beside_good_guards_costs_the_guards_nothing() -> None:
    now = timezone.now()
    owner = factories.project()
    _, token = factories.key(owner)
    change = CHANGE | {"at": now.isoformat()}
    report = {"instance": "a", "boot_id": str(factories.call_id()), "guards": {"a": OPEN}, "transitions": [change]}
    body = json.dumps({"client": report, "events": [{"nan": float("nan")}]})
    answer = Client().post(
        "/api/v1/events", body, content_type="application/json", headers={"Authorization": f"Bearer {token}"}
    )
    assert len(answer.json()["rejected"]) == 1
    assert ClientInstance.objects.get(project=owner).guards == {"a": OPEN}
    assert BreakerTransition.objects.get(project=owner).at == now
