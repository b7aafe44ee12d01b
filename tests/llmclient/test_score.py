"""Scores: at any time, from any process, beside the events."""

import uuid
from typing import Any

import pytest

import llmclient
from llmclient import _score
from llmclient.testing import FakeAnthropic, capture
from tests.llmclient.backend import Backend, configured
from tests.llmclient.conftest import client_of

ID = uuid.UUID("019a0000-0000-7000-8000-000000000000")


def test_a_score_travels_beside_the_events(backend: Backend, ask: dict[str, Any]) -> None:
    configured(backend)
    with FakeAnthropic() as fake, llmclient.context() as call:
        client_of(fake).messages.create(**ask)
    assert call.id is not None
    llmclient.score(call.id, "accepted", 1, comment="thumbs up")
    llmclient.score(str(call.id), "tone", "friendly")
    assert llmclient.flush(30)
    scores = [score for batch in backend.batches for score in batch.get("scores", [])]
    assert [(each["call_id"], each["name"], each.get("value"), each.get("label")) for each in scores] == [
        (str(call.id), "accepted", 1.0, None),
        (str(call.id), "tone", None, "friendly"),
    ]
    assert scores[0]["comment"] == "thumbs up"
    assert scores[0]["at"].endswith("Z")
    assert [event["id"] for event in backend.events] == [str(call.id)]


def test_what_people_write_leaves_without_personal_data(backend: Backend) -> None:
    configured(backend)
    llmclient.score(ID, "accepted", 0, comment="ada@example.com complained")
    llmclient.score(ID, "by", "ada@example.com")
    assert llmclient.flush(30)
    scores = [score for batch in backend.batches for score in batch.get("scores", [])]
    assert [score.get("comment") or score.get("label") for score in scores] == ["[email] complained", "[email]"]


def test_without_a_dsn_a_score_goes_nowhere() -> None:
    llmclient.score(ID, "accepted", True)
    assert llmclient.flush(0)


def test_a_test_sees_what_was_scored() -> None:
    with capture() as calls:
        llmclient.score(ID, "accepted", False)
    assert calls == []
    assert [(score.name, score.value) for score in calls.scores] == [("accepted", 0.0)]


@pytest.mark.parametrize(
    ("call_id", "name", "value", "problem"),
    [
        ("not an id", "accepted", 1, "call_id: 'not an id' is not the id of a call"),
        (None, "accepted", 1, "call_id: None is not the id of a call"),
        (ID, "", 1, "name: must have 1 to 64 characters"),
        (ID, "x" * 65, 1, "name: must have 1 to 64 characters"),
        (ID, "accepted", float("nan"), "value: nan is not a finite number"),
        (ID, "accepted", "", "value: a word must have 1 to 200 characters"),
    ],
)
def test_what_is_no_score_is_said(call_id: Any, name: str, value: Any, problem: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011  # the whole message is compared
        llmclient.score(call_id, name, value)
    assert str(caught.value) == problem


def test_no_event_begins_like_a_score() -> None:
    from llmclient._batch import dumps

    assert dumps(_score.score_of(ID, "a", 1).as_dict()).startswith(_score.FIRST)
    assert not dumps({"id": str(ID)}).startswith(_score.FIRST)
