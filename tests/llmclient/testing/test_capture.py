"""Looking at what the client measured, and measuring calls of another time."""

import itertools
from uuid import UUID

import anthropic
import pytest

import llmclient
from llmclient import _config, _replay
from llmclient.testing import Answer, FakeAnthropic, broken, capture, fail, reply

MODEL = "claude-sonnet-5-5"
CALL_ID = UUID("019a0000-0000-7abc-8def-000000000001")


def ask(fake: FakeAnthropic, *, stream: bool = False) -> None:
    with llmclient.instrument(anthropic.Anthropic(api_key="k", base_url=fake.url)) as llm:
        answer = llm.messages.create(
            model=MODEL, max_tokens=9, messages=[{"role": "user", "content": "hi"}], stream=stream
        )
        if isinstance(answer, anthropic.Stream):
            list(answer)


@pytest.mark.parametrize("stream", [False, True])
def test_a_call_with_its_attempts_is_collected(stream: bool) -> None:
    soon = {"retry-after-ms": "1"}
    script: list[Answer] = [
        fail(529, headers=soon),
        fail(529, headers=soon),
        reply("ok", input_tokens=5, output_tokens=2),
    ]
    with FakeAnthropic(script) as fake, capture() as calls:
        ask(fake, stream=stream)
    assert [attempt.status for attempt in calls[0].attempts] == [529, 529, 200]
    assert calls[0].outcome == "ok"
    assert calls[0].usage is not None
    assert (calls[0].usage["input_tokens"], calls[0].usage["output_tokens"]) == (5, 2)


def test_a_stream_that_breaks_off_is_collected_as_such() -> None:
    script = [broken("eof", after=2)]
    with FakeAnthropic(script) as fake, capture() as calls, pytest.raises(llmclient.StreamInterrupted):
        ask(fake, stream=True)
    assert calls[0].error is not None
    assert calls[0].error.category == "stream_interrupted"
    assert not calls[0].usage_complete


def test_afterwards_the_settings_are_as_before() -> None:
    before = _config._settings
    with capture():
        assert _config._settings is not before
    assert _config._settings is before


def test_a_pinned_call_has_its_id_its_instant_and_its_clock() -> None:
    ticks = itertools.count(100.0, 2.5)
    with FakeAnthropic() as fake, capture() as calls, _replay.pinned(CALL_ID, lambda: next(ticks)):
        ask(fake)
    assert calls[0].id == CALL_ID
    assert calls[0].started_ms == CALL_ID.int >> 80
    assert calls[0].duration is not None
    assert calls[0].duration % 2.5 == 0
    assert calls[0].duration > 0


def test_only_the_first_call_is_pinned() -> None:
    with FakeAnthropic() as fake, capture() as calls:
        with _replay.pinned(CALL_ID):
            ask(fake)
            ask(fake)
        ask(fake)
    assert [call.id == CALL_ID for call in calls] == [True, False, False]
