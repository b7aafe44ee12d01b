"""Looking at what the client measured, and measuring calls of another time."""

import itertools
from uuid import UUID

import anthropic
import pytest

import llmclient
from llmclient import _config, _replay
from llmclient.testing import Answer, FakeAnthropic, broken, capture, fail, reply, tool_use
from tests.llmclient.backend import Backend

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


def test_the_only_call_is_had_by_its_name() -> None:
    with FakeAnthropic() as fake, capture() as calls:
        with pytest.raises(AssertionError, match="0 calls were made"):
            calls.only  # noqa: B018
        ask(fake)
        assert calls.only is calls[0]
        ask(fake)
        with pytest.raises(AssertionError, match=r"2 calls were made: \['ok', 'ok'\]"):
            calls.only  # noqa: B018


def test_calls_are_found_by_their_labels() -> None:
    with FakeAnthropic() as fake, capture() as calls:
        for user in (1, 2):
            with llmclient.context(feature="inbox", user_id=user, tags={"plan": "pro"}):
                ask(fake)
        ask(fake)
    assert len(calls.labelled(feature="inbox")) == 2
    assert calls.labelled(feature="inbox", user_id=2).only is calls[1]
    assert len(calls.labelled(tags={"plan": "pro"})) == 2
    assert calls.labelled(feature="outbox") == []


@pytest.mark.parametrize("stream", [False, True])
def test_what_was_asked_and_answered_can_be_read(stream: bool) -> None:
    with FakeAnthropic([tool_use("look_up", {"order": 7}, text="One moment.")]) as fake, capture() as calls:
        ask(fake, stream=stream)
    assert calls.sent()["messages"] == [{"role": "user", "content": "hi"}]
    assert calls.sent(0)["max_tokens"] == 9
    assert [block["type"] for block in calls.content()] == ["text", "tool_use"]
    assert calls.content()[1]["input"] == {"order": 7}
    assert calls.text() == "One moment."


def test_a_call_without_an_answer_has_no_content() -> None:
    with FakeAnthropic([fail(400)]) as fake, capture() as calls, pytest.raises(anthropic.BadRequestError):
        ask(fake)
    assert calls.sent()["model"] == MODEL
    assert (calls.content(), calls.text()) == ([], "")


def test_a_program_that_configures_itself_inside_sends_nothing_until_afterwards() -> None:
    with FakeAnthropic() as fake, capture() as calls:
        llmclient.configure("http://llv_ing_k@127.0.0.1:9")
        ask(fake)
        assert llmclient.flush(0)
        llmclient.close()
        ask(fake)
        llmclient.configure("http://llv_ing_k@127.0.0.1:9", capture="full")
    assert len(calls) == 2
    assert _config.current().capture == "full"
    assert _config.current().shipper is not None


def test_what_was_measured_before_goes_where_it_was_to_go(backend: Backend) -> None:
    llmclient.configure(backend.dsn)
    with FakeAnthropic() as fake:
        ask(fake)
        with capture() as calls:
            ask(fake)
            llmclient.configure(capture="full")
    assert (len(calls), len(backend.events)) == (1, 1)


def test_a_capture_within_a_capture_takes_its_own_calls() -> None:
    with FakeAnthropic() as fake, capture() as outer:
        ask(fake)
        with capture() as inner:
            ask(fake)
        ask(fake)
    assert (len(outer), len(inner)) == (2, 1)
