"""Scores of calls, alone or beside events: the newest of a name counts, and a bad one is told with its field."""

import gzip
import json
import threading
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import connections
from django.test import Client
from django.utils import timezone

from ingest import client_report, scores, wire
from ingest.models import RequestLog, Score
from ingest.store import Origin, store
from projects.models import Project
from tests import factories
from tests.factories import NOW

pytestmark = [pytest.mark.django_db, pytest.mark.storage]


class Sender:
    """Posts scores as a client would."""

    def __init__(self) -> None:
        self.project: Project = factories.project()
        self.key, self.token = factories.key(self.project)

    def post(self, body: bytes, path: str = "scores", encoding: str = "") -> Any:
        headers = {"Authorization": f"Bearer {self.token}"} | ({"Content-Encoding": encoding} if encoding else {})
        client = Client(raise_request_exception=False)
        return client.post(f"/api/v1/{path}", body, content_type="application/json", headers=headers)

    def send(self, *told: object) -> Any:
        return self.post(json.dumps({"scores": told}).encode())

    def kept(self) -> list[tuple[Any, ...]]:
        found = Score.objects.filter(project=self.project).order_by("call_id", "name")
        return list(found.values_list("name", "value", "label", "comment"))


@pytest.fixture
def sender(db: None) -> Sender:
    return Sender()


@pytest.fixture
def now() -> datetime:
    """The moment of sending, to the millisecond, as ids carry it."""
    found = timezone.now()
    return found.replace(microsecond=found.microsecond // 1000 * 1000)


def score(now: datetime, **fields: Any) -> dict[str, Any]:
    """A score of a call that began a minute ago; None takes a field away."""
    call_id = str(factories.call_id(now - timedelta(minutes=1)))
    made = {"call_id": call_id, "name": "liked", "value": 1, "at": now.isoformat(), **fields}
    return {name: value for name, value in made.items() if value is not None}


# --- what is kept ---------------------------------------------------------------------------------------------------


def test_a_number_and_a_word_are_kept_before_their_call_arrives(sender: Sender, now: datetime) -> None:
    call_id = str(factories.call_id(now))
    answer = sender.send(
        score(now, call_id=call_id, name="liked", value=-0.5, comment="too long\n"),
        score(now, call_id=call_id, name="tone", value=None, label="friendly"),
    )
    assert answer.status_code == 200
    assert answer.json() == {"scores_accepted": 2, "rejected": [], "policy_version": 0}
    assert sender.kept() == [("liked", -0.5, None, "too long\n"), ("tone", None, "friendly", None)]
    kept = Score.objects.get(project=sender.project, name="liked")
    assert (str(kept.call_id), kept.at) == (call_id, now)
    assert now <= kept.received_at < now + timedelta(minutes=1)


def test_the_newest_of_a_name_counts_in_whatever_order_they_arrive(sender: Sender, now: datetime) -> None:
    first = score(now)
    later, latest = (first | {"value": n, "at": (now + timedelta(seconds=n)).isoformat()} for n in (2, 3))
    for told in ([latest, later], [first], [latest]):
        assert sender.send(*told).json()["scores_accepted"] == len(told)
        assert sender.kept() == [("liked", 3.0, None, None)]


def test_a_word_takes_the_place_of_a_number_and_a_comment_goes_with_what_it_was_said_of(
    sender: Sender, now: datetime
) -> None:
    first = score(now - timedelta(seconds=5), comment="no")
    sender.send(first)
    sender.send({"call_id": first["call_id"], "name": "liked", "label": "yes", "at": now.isoformat()})
    assert sender.kept() == [("liked", None, "yes", None)]


def test_of_two_of_the_same_instant_the_later_in_the_list_counts(sender: Sender, now: datetime) -> None:
    told = score(now)
    sender.send(told, told | {"value": 2})
    assert sender.kept() == [("liked", 2.0, None, None)]


def test_projects_do_not_see_each_others_scores(sender: Sender, now: datetime) -> None:
    told, other = score(now), Sender()
    sender.send(told)
    other.send(told | {"value": 7})
    assert (sender.kept(), other.kept()) == ([("liked", 1.0, None, None)], [("liked", 7.0, None, None)])


def test_scores_travel_beside_events_and_are_counted_apart(sender: Sender, now: datetime) -> None:
    event = factories.event(now)
    told = [score(now, call_id=event["id"]), score(now, value=True)]
    answer = sender.post(json.dumps({"events": [event, {}], "scores": told}).encode(), "events").json()
    assert answer == {
        "accepted": 1,
        "duplicates": 0,
        "conflicts": 0,
        "quarantined": 0,
        "scores_accepted": 1,
        "rejected": [
            {"index": 1, "id": None, "field": "id", "reason": "is required"},
            {
                "index": 1,
                "id": told[1]["call_id"],
                "field": "scores.value",
                "reason": "Expected float | null, got bool",
            },
        ],
        "policy_version": 0,
    }
    assert RequestLog.objects.filter(project=sender.project).count() == 1
    assert sender.kept() == [("liked", 1.0, None, None)]


@pytest.mark.parametrize("envelope", [{}, {"scores": []}, {"scores": None}])
def test_without_scores_the_answer_does_not_count_them(sender: Sender, envelope: dict[str, Any]) -> None:
    answer = sender.post(json.dumps({"events": [], **envelope}).encode(), "events")
    assert "scores_accepted" not in answer.json()


def test_scores_are_stored_with_their_batch_or_not_at_all(monkeypatch: pytest.MonkeyPatch, now: datetime) -> None:
    owner = factories.project()

    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(client_report, "keep", fail)
    report = wire.Client(instance="web", boot_id=UUID(int=1))
    [good], _ = wire.read_scores([score(now)], now=now)
    with pytest.raises(ZeroDivisionError):
        store([], origin=Origin(owner.pk, "production"), now=now, client=report, scored=[good])
    assert not Score.objects.exists()


def test_unstorable_characters_are_replaced(sender: Sender, now: datetime) -> None:
    assert sender.send(score(now, name="a\x00", comment="\ud800!")).json()["scores_accepted"] == 1
    assert sender.kept() == [("a\ufffd", 1.0, None, "\ufffd!")]


def test_the_same_scores_from_several_threads_at_once_are_kept_once(transactional_db: None, now: datetime) -> None:
    sender = Sender()
    told = [score(now) for _ in range(200)]
    answers: list[int] = []
    start = threading.Barrier(4)

    def send(number: int) -> None:
        start.wait()
        try:
            answers.append(sender.send(*told[:: 1 - 2 * (number % 2)]).json()["scores_accepted"])
        finally:
            connections.close_all()

    threads = [threading.Thread(target=send, args=[number]) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [200] * 4
    assert len(sender.kept()) == 200


# --- what is refused ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"call_id": None}, "call_id"),
        ({"call_id": 5}, "call_id"),
        ({"call_id": "nonsense"}, "call_id"),
        ({"call_id": "019a0000-0000-4000-8000-000000000001"}, "call_id"),
        ({"call_id": "00000000-0000-7000-8000-000000000001"}, "call_id"),
        ({"call_id": "ffffffff-ffff-7fff-bfff-ffffffffffff"}, "call_id"),
        ({"name": None}, "name"),
        ({"name": ""}, "name"),
        ({"name": "x" * 65}, "name"),
        ({"name": 5}, "name"),
        ({"value": None}, "value"),
        ({"value": None, "label": ""}, "label"),
        ({"value": None, "label": "x" * 201}, "label"),
        ({"value": 1, "label": "both"}, "value"),
        ({"value": "1"}, "value"),
        ({"value": True}, "value"),
        ({"value": [1]}, "value"),
        ({"value": float("nan")}, "value"),
        ({"value": float("-inf")}, "value"),
        ({"value": 1e16}, "value"),
        ({"value": -1e308}, "value"),
        ({"value": 10**400}, "value"),
        ({"comment": "x" * 501}, "comment"),
        ({"comment": {"a": 1}}, "comment"),
        ({"at": None}, "at"),
        ({"at": "yesterday"}, "at"),
        ({"at": "2026-11-22T10:00:00"}, "at"),
        ({"at": "0001-01-01T00:00:00+14:00"}, "at"),
        ({"at": "9999-12-31T23:59:59-14:00"}, "at"),
    ],
)
def test_a_bad_score_is_told_with_its_field_and_its_siblings_are_kept(
    sender: Sender, now: datetime, fields: dict[str, Any], field: str
) -> None:
    bad = score(now, **fields)
    answer = sender.send(score(now), bad, score(now))
    assert answer.status_code == 200
    assert answer.json()["scores_accepted"] == 2
    [rejection] = answer.json()["rejected"]
    assert (rejection["index"], rejection["field"]) == (1, f"scores.{field}")
    assert rejection["id"] == (bad.get("call_id") if isinstance(bad.get("call_id"), str) else None)
    assert rejection["reason"]
    assert len(sender.kept()) == 2


@pytest.mark.parametrize("bad", [None, 5, "text", [], True, float("nan")])
def test_something_that_is_no_object_is_one_rejected_score(sender: Sender, now: datetime, bad: object) -> None:
    answer = sender.send(bad, score(now)).json()
    assert answer["scores_accepted"] == 1
    assert [(one["index"], one["id"], one["field"]) for one in answer["rejected"]] == [(0, None, "scores")]


@pytest.mark.parametrize(
    ("told", "field"),
    [
        (("at", timedelta(minutes=9, seconds=59)), None),
        (("at", timedelta(minutes=10)), "at"),
        (("at", timedelta(days=-90, hours=-10)), None),
        (("at", timedelta(days=-90, hours=-10, milliseconds=-1)), "at"),
        (("call_id", timedelta(minutes=9, seconds=59)), None),
        (("call_id", timedelta(minutes=10)), "call_id"),
        (("call_id", timedelta(days=-90, hours=-10)), None),
        (("call_id", timedelta(days=-90, hours=-10, milliseconds=-1)), "call_id"),
    ],
)
def test_a_score_lies_in_the_days_that_are_kept_and_so_does_its_call(
    told: tuple[str, timedelta], field: str | None
) -> None:
    name, offset = told
    call_id = factories.call_id(NOW + offset if name == "call_id" else NOW)
    found = scores.Score(call_id=call_id, name="a", at=NOW + offset if name == "at" else NOW, value=1.0)
    fault = scores.fault(found, NOW)
    assert (None if fault is None else fault[0]) == field


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"not json", ""),
        (b"[]", "scores"),
        (b"{}", "scores"),
        (b'{"events": []}', "scores"),
        (b'{"scores": {}}', "scores"),
        (b'{"scores": 5}', "scores"),
    ],
)
def test_a_body_without_a_list_of_scores_is_refused_with_its_field(sender: Sender, body: bytes, field: str) -> None:
    answer = sender.post(body)
    assert (answer.status_code, answer.json()["field"]) == (400, field)
    assert answer.json()["error"]


def test_a_batch_whose_scores_are_no_list_is_no_batch(sender: Sender, now: datetime) -> None:
    answer = sender.post(json.dumps({"events": [factories.event(now)], "scores": 5}).encode(), "events")
    assert answer.status_code == 400
    assert answer.json() == {"error": "must be a list of scores", "field": "scores"}


@pytest.mark.parametrize("path", ["scores", "events"])
def test_more_than_a_thousand_scores_are_too_many(sender: Sender, now: datetime, path: str) -> None:
    told = score(now)
    answer = sender.post(json.dumps({"events": [], "scores": [told] * 1001}).encode(), path)
    assert answer.status_code == 413
    assert answer.json() == {"error": "1,001 scores; at most 1,000 fit in one request", "field": "scores"}
    answer = sender.post(json.dumps({"events": [], "scores": [told] * 1000}).encode(), path)
    assert answer.json()["scores_accepted"] == 1000


def test_the_door_for_scores_asks_for_a_key_and_takes_gzip(sender: Sender, now: datetime) -> None:
    body = json.dumps({"scores": [score(now)]}).encode()
    assert Client().post("/api/v1/scores", body, content_type="application/json").status_code == 401
    assert Client().get("/api/v1/scores", headers={"Authorization": f"Bearer {sender.token}"}).status_code == 405
    assert sender.post(b" " * (8 * 1024 * 1024 + 1)).status_code == 413
    assert sender.post(gzip.compress(body), encoding="gzip").json()["scores_accepted"] == 1


# --- whether the answer had the form asked for ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("columns", "told", "known"),
    [
        ((None, None), {}, (None, None)),
        ((1, 0), {}, (True, 0)),
        ((None, None), {"valid": 1.0, "repairs": 2.0}, (True, 2)),
        ((None, None), {"valid": 0.0}, (False, None)),
        # A word is no number.
        ((None, None), {"valid": None, "repairs": None}, (None, None)),
        # What the call says itself comes first, each for itself.
        ((0, None), {"valid": 1.0, "repairs": 3.0}, (False, 3)),
        ((None, 1), {"valid": 1.0, "repairs": 3.0}, (True, 1)),
        ((None, None), {"valid": -0.0, "repairs": 100.4}, (False, 100)),
        ((None, None), {"repairs": 101.0}, (None, None)),
        ((None, None), {"repairs": -1.0}, (None, None)),
    ],
)
def test_the_call_says_whether_it_was_valid_and_scores_say_what_it_does_not(
    columns: tuple[int | None, int | None], told: dict[str, float | None], known: tuple[bool | None, int | None]
) -> None:
    assert scores.quality(RequestLog(valid=columns[0], repairs=columns[1]), told) == known
