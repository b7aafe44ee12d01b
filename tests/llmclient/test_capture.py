"""What of the content leaves the process."""

import json
import re
import uuid
from dataclasses import replace
from typing import Any

import pytest

import llmclient
from llmclient import Privacy
from llmclient._privacy._sampling import place
from llmclient.testing import FakeAnthropic, broken, reply
from tests.llmclient.backend import Backend, configured, only_event
from tests.llmclient.conftest import QUICK, client_of

USAGE = {"input_tokens": 11, "cache_read_input_tokens": 7, "output_tokens": 5}


@pytest.mark.parametrize("streamed", [False, True])
def test_content_stays_at_home_when_told_to(backend: Backend, ask: dict[str, Any], streamed: bool) -> None:
    configured(backend, capture="off")
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


@pytest.mark.parametrize("streamed", [False, True])
def test_by_default_personal_data_stays_at_home(backend: Backend, ask: dict[str, Any], streamed: bool) -> None:
    configured(backend, redact=[("employee", re.compile(r"\bE-\d{6}\b"))])
    asked = {**ask, "messages": [{"role": "user", "content": "Mail ada@example.com about E-123456."}]}
    with FakeAnthropic([reply("Called +49 30 901820 and paid with 4111 1111 1111 1111.")]) as fake:
        client = client_of(fake)
        if streamed:
            with client.messages.stream(**asked) as stream:
                stream.get_final_message()
        else:
            client.messages.create(**asked)
    content = only_event(backend)["content"]
    assert json.loads(content["input"])["messages"][0]["content"] == "Mail [email] about [employee]."
    assert json.loads(content["output"])[0]["text"] == "Called [phone] and paid with [card]."
    assert content["redactions"] == {"email": 1, "employee": 1, "phone": 1, "card": 1}


def test_a_prompt_type_may_keep_its_content_to_itself(backend: Backend, ask: dict[str, Any]) -> None:
    configured(backend, capture="full")
    policy = replace(QUICK, prompts={"medical": {"privacy": Privacy(capture="off")}})
    with FakeAnthropic() as fake:
        client = client_of(fake, policy)
        for prompt_type in ("medical", "triage"):
            with llmclient.context(prompt_type=prompt_type):
                client.messages.create(**ask)
    assert llmclient.flush(30)
    assert {event["prompt_type"]: "content" in event for event in backend.events} == {"medical": False, "triage": True}


def test_of_a_sample_the_content_is_kept_and_of_all_calls_the_measures(backend: Backend, ask: dict[str, Any]) -> None:
    configured(backend, capture="full")
    with FakeAnthropic() as fake:
        client = client_of(fake, replace(QUICK, privacy=Privacy(sample=0.5)))
        for _ in range(40):
            client.messages.create(**ask)
    assert llmclient.flush(30)
    kept = {event["id"] for event in backend.events if "content" in event}
    assert len(backend.events) == 40
    assert kept == {event["id"] for event in backend.events if place(uuid.UUID(event["id"])) < 0.5}
    assert 0 < len(kept) < 40


def test_without_a_dsn_calls_are_measured_for_their_handle_only(ask: dict[str, Any]) -> None:
    with FakeAnthropic([reply("ok", usage=USAGE)]) as fake, llmclient.context(feature="inbox") as call:
        client_of(fake).messages.create(**ask)
    assert call.source == "api"
    assert call.last is not None
    assert call.last.usage is not None
    assert call.last.usage["output_tokens"] == 5
    assert llmclient.flush(0)
