"""What of the content leaves the process."""

import json
from typing import Any

import pytest

import llmclient
from llmclient.testing import FakeAnthropic, broken, reply
from tests.llmclient.backend import Backend, configured, only_event
from tests.llmclient.conftest import client_of

USAGE = {"input_tokens": 11, "cache_read_input_tokens": 7, "output_tokens": 5}


@pytest.mark.parametrize("streamed", [False, True])
def test_content_stays_at_home_by_default(backend: Backend, ask: dict[str, Any], streamed: bool) -> None:
    configured(backend)
    with FakeAnthropic([reply("an answer nobody else may read"), broken("eof", text="nor this one")]) as fake:
        client = client_of(fake)
        if streamed:
            with client.messages.stream(**ask) as stream:
                stream.get_final_message()
            with client.messages.stream(**ask) as stream, pytest.raises(llmclient.StreamInterrupted):
                stream.get_final_message()
        else:
            client.messages.create(**ask)
    assert llmclient.flush(30)
    assert "content" not in backend.events[0]
    assert "nobody else" not in json.dumps(backend.batches)


@pytest.mark.parametrize("streamed", [False, True])
def test_full_capture_sends_the_question_and_the_answer(backend: Backend, ask: dict[str, Any], streamed: bool) -> None:
    configured(backend, capture="full")
    with FakeAnthropic([reply("the answer", thinking="let me see")]) as fake:
        client = client_of(fake)
        if streamed:
            with client.messages.stream(**ask) as stream:
                stream.get_final_message()
        else:
            client.messages.create(**ask)
    content = only_event(backend)["content"]
    assert json.loads(content["input"])["messages"] == ask["messages"]
    assert [(block["type"], block.get("text")) for block in json.loads(content["output"])] == [
        ("thinking", None),
        ("text", "the answer"),
    ]
    assert content["redactions"] == {}


def test_without_a_dsn_calls_are_measured_for_their_handle_only(ask: dict[str, Any]) -> None:
    with FakeAnthropic([reply("ok", usage=USAGE)]) as fake, llmclient.context(feature="inbox") as call:
        client_of(fake).messages.create(**ask)
    assert call.source == "api"
    assert call.last is not None
    assert call.last.usage is not None
    assert call.last.usage["output_tokens"] == 5
    assert llmclient.flush(0)
