"""What is found out about an answer afterwards reaches whoever wants to know, and harms nobody."""

import uuid

import pytest

from llmclient import _quality
from llmclient._call import Call
from llmclient._quality import Quality

CALL = Call(uuid.UUID(int=1), 0, "messages")


def test_it_reaches_who_asked_for_it() -> None:
    told: list[tuple[Call, Quality]] = []
    _quality.send_to(lambda call, quality: told.append((call, quality)))
    _quality.tell(CALL, Quality(valid=True, repairs=1))
    _quality.tell(None, Quality(valid=True, repairs=1))
    _quality.send_to(None)
    _quality.tell(CALL, Quality(valid=False, repairs=0))
    assert told == [(CALL, Quality(valid=True, repairs=1))]


def test_a_listener_that_fails_is_not_felt(caplog: pytest.LogCaptureFixture) -> None:
    def fail(call: Call, quality: Quality) -> None:
        raise RuntimeError("broken")

    _quality.send_to(fail)
    _quality.tell(CALL, Quality(valid=True, repairs=0))
    _quality.send_to(None)
    assert "the call itself is not affected" in caplog.text
