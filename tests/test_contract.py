"""The one bond between client and server is the wire: both spell its words themselves, and here they are compared."""

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args, get_type_hints

import anthropic
import msgspec

import llmclient
from ingest import wire
from ingest.vocabulary import ErrorCategory, Outcome, Source, StopReason
from llmclient._event import as_dict
from llmclient.testing import Answer, FakeAnthropic, capture, fail, reply

DOCUMENT = (Path(__file__).resolve().parent.parent / "docs" / "events.md").read_text()


def test_both_sides_know_the_same_error_categories() -> None:
    assert {word.name.lower() for word in ErrorCategory} - {"none"} == set(get_args(llmclient.Category))


def test_the_document_names_every_field_of_an_event_and_no_other() -> None:
    table = DOCUMENT.split("| field | type | meaning |")[1].split("\n\n")[0]
    rows = [line.split("|")[1] for line in table.splitlines()[2:] if line.startswith("|")]
    documented = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert documented == {field.name for field in msgspec.structs.fields(wire.Event)}


def test_the_words_of_the_wire_are_those_that_are_stored() -> None:
    hints = get_type_hints(wire.Event)
    assert set(get_args(hints["outcome"])) == {word.name.lower() for word in Outcome}
    assert set(get_args(hints["source"])) == {word.name.lower() for word in Source}


def test_the_stop_reasons_are_those_of_the_sdk() -> None:
    known = set(get_args(anthropic.types.StopReason))
    assert known == {word.name.lower() for word in StopReason} - {"other"}


def test_what_the_client_emits_is_what_the_server_reads() -> None:
    script: list[Answer] = [reply("Hello", input_tokens=12, output_tokens=3), fail(529), reply("Again")]
    with FakeAnthropic(script) as fake, capture() as calls:
        llm = llmclient.instrument(anthropic.Anthropic(api_key="key", base_url=fake.url, max_retries=1))
        for _ in range(2):
            with llmclient.context(
                feature="inbox", prompt_type="triage", user_id="u1", session_id="s1", tags={"a": "b"}
            ):
                llm.messages.create(
                    model="claude-sonnet-5-5", max_tokens=9, messages=[{"role": "user", "content": "Hi"}]
                )
    sent = [as_dict(call, app="helpdesk", release="1", sdk="anthropic/2") for call in calls]
    body = msgspec.json.encode({"events": sent})
    envelope = wire.decode(body)
    assert envelope.rejected == []
    (_, first), (_, second) = envelope.events
    assert (first.feature, first.prompt_type, first.user_id, first.session_id) == ("inbox", "triage", "u1", "s1")
    assert first.usage is not None
    assert first.usage is not None
    assert (first.usage.counts.input_tokens, first.usage.counts.output_tokens) == (12, 3)
    assert first.outcome == "ok"
    assert [attempt.status for attempt in second.attempts] == [529, 200]
    assert second.attempts[0].category == "overloaded"
    assert first.started_at <= datetime.now(UTC)
    # Nothing the client sends is thrown away silently: every key it uses is a field of the event.
    fields = {field.name for field in msgspec.structs.fields(wire.Event)}
    assert {key for event in sent for key in event} <= fields
