"""What is found out about an answer afterwards is noted at its call, and follows it to the server."""

import uuid

import pytest

import llmclient
from llmclient import _config, _quality
from llmclient._call import Call
from llmclient._quality import Quality
from tests.llmclient.backend import Backend


def test_it_is_noted_and_sent_as_two_scores(backend: Backend) -> None:
    llmclient.configure(backend.dsn)
    call = Call(uuid.UUID(int=1), 0, "messages")
    _quality.tell(call, Quality(valid=True, repairs=2))
    assert llmclient.flush(30)
    assert (call.valid, call.repairs) == (True, 2)
    scores = [score for batch in backend.batches for score in batch.get("scores", [])]
    assert [(score["call_id"], score["name"], score["value"]) for score in scores] == [
        (str(call.id), "valid", 1.0),
        (str(call.id), "repairs", 2.0),
    ]


def test_of_a_call_that_was_not_measured_nothing_is_told(backend: Backend) -> None:
    llmclient.configure(backend.dsn)
    _quality.tell(None, Quality(valid=True, repairs=0))
    assert llmclient.flush(30)
    assert backend.batches == []


def test_a_fault_in_telling_is_not_felt(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(_config, "current", lambda: 1 / 0)
    _quality.tell(Call(uuid.UUID(int=1), 0, "messages"), Quality(valid=True, repairs=0))
    assert "the call itself is not affected" in caplog.text
