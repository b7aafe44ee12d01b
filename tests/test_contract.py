"""The one bond between client and server is the wire: both spell its words themselves, and here they are compared."""

import json
import re
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args, get_type_hints

import anthropic
import msgspec

import llmclient
from ingest import guards, model_groups, wire
from ingest.vocabulary import BreakerState, ErrorCategory, Outcome, Source, StopReason
from llmclient._models import group_of
from llmclient._score import score_of
from llmclient.testing import Answer, FakeAnthropic, fail, reply
from tests import factories
from tests.llmclient.backend import Backend

DOCUMENT = (Path(__file__).resolve().parent.parent / "docs" / "events.md").read_text()


def test_both_sides_know_the_same_error_categories() -> None:
    assert {word.name.lower() for word in ErrorCategory} - {"none"} == set(get_args(llmclient.Category))


def fields_of(kind: type[msgspec.Struct]) -> set[str]:
    return {field.name for field in msgspec.structs.fields(kind)}


def test_the_document_names_every_field_of_an_event_and_no_other() -> None:
    table = DOCUMENT.split("| field | type | meaning |")[1].split("\n\n")[0]
    rows = [line.split("|")[1] for line in table.splitlines()[2:] if line.startswith("|")]
    documented = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert documented == fields_of(wire.Event)


def test_the_document_names_every_field_inside_an_event_and_no_other() -> None:
    rows = {row.split("`")[1]: row for row in DOCUMENT.splitlines() if row.startswith("| `")}
    for name, kind in (
        ("attempts", wire.Attempt),
        ("error", wire.ErrorInfo),
        ("content", wire.Content),
        ("budget", wire.Budget),
        ("quality", wire.Quality),
        ("hashes", wire.Hashes),
    ):
        written = re.search(r"`\{(.*?)\}`", rows[name])
        assert written is not None
        assert set(re.findall(r"[a-z]\w*", written[1])) == fields_of(kind)
    assert set(re.findall(r"`(\w+_\w+)`", rows["limits"])) == fields_of(wire.Limits)
    example = re.search(r'```json\n\{"client": (\{.*\}),\n "events"', DOCUMENT, re.DOTALL)
    assert example is not None
    header = json.loads(example[1])
    assert set(header) == fields_of(wire.Client)
    assert set(header["transitions"][0]) == fields_of(guards.Transition)
    known = guards.read(header["guards"], header["transitions"], now=datetime(2026, 11, 22, 10, tzinfo=UTC))
    assert known.groups == header["guards"]
    assert len(known.transitions) == 1


def test_the_document_names_every_field_of_a_score_and_no_other() -> None:
    table = DOCUMENT.split("## Scores")[1].split("| field | type | meaning |")[1].split("\n\n")[0]
    rows = [line.split("|")[1] for line in table.splitlines()[2:]]
    assert {name for row in rows for name in re.findall(r"`(\w+)`", row)} == fields_of(wire.Score)


def test_the_words_of_the_wire_are_those_that_are_stored() -> None:
    hints = get_type_hints(wire.Event)
    assert set(get_args(hints["outcome"])) == {word.name.lower() for word in Outcome}
    assert set(get_args(hints["source"])) == {word.name.lower() for word in Source}


def test_the_states_of_a_breaker_are_those_of_the_document() -> None:
    told = DOCUMENT.split("## Guards")[1].split("`guards` says how breaker (")[1].split(")")[0]
    assert set(re.findall(r"`(\w+)`", told)) == {state.name.lower() for state in BreakerState}
    assert set(get_args(guards.State)) == {state.name.lower() for state in BreakerState}


def test_the_stop_reasons_are_those_of_the_sdk() -> None:
    known = set(get_args(anthropic.types.StopReason))
    assert known == {word.name.lower() for word in StopReason} - {"other"}


def test_a_score_the_client_tells_is_one_the_server_keeps() -> None:
    call_id = factories.call_id(datetime.now(UTC))
    scores = (score_of(call_id, "liked", 1, "c" * 600), score_of(str(call_id), "tone", "friendly"))
    told = [score.as_dict() for score in scores]
    assert {key for score in told for key in score} == fields_of(wire.Score)
    found, rejected = wire.read_scores(told, now=datetime.now(UTC))
    assert rejected == []
    assert [(score.call_id, score.name, score.value, score.label) for score in found] == [
        (call_id, "liked", 1.0, None),
        (call_id, "tone", None, "friendly"),
    ]


def test_an_event_with_every_field_of_the_document_is_read_whole() -> None:
    event = factories.event(
        queue_ms=15,
        fallback_from="overloaded",
        attempts=[{"n": 1, "status": 200, "key_alias": "blue", "model": "claude-haiku-4-5"}],
        budget={"key": "team-a", "unit": "nanousd", "spent": 1, "limit": 2},
        quality={"valid": None, "repairs": 1},
        hashes={"input": "a" * 64, "output": "0" * 64},
    )
    envelope = wire.decode(msgspec.json.encode({"events": [event]}))
    [read] = envelope.events
    assert envelope.rejected == []
    assert (read.budget, read.quality) == (wire.Budget("team-a", "nanousd", 1, 2), wire.Quality(None, 1))
    assert read.hashes == wire.Hashes("a" * 64, "0" * 64)
    assert (read.attempts[0].key_alias, read.attempts[0].model) == ("blue", "claude-haiku-4-5")
    # Told as it was read: an event that is put aside keeps all of it.
    [again] = wire.decode(b'{"events": [' + wire.encode(read) + b"]}").events
    assert wire.canonical(again) == wire.canonical(read)


def test_what_the_client_emits_is_what_the_server_reads() -> None:
    script: list[Answer] = [
        reply("Hello", input_tokens=12, output_tokens=3),
        *(fail(529), reply("Again")),
        *(fail(529), fail(529)),
    ]
    with FakeAnthropic(script) as fake, closing(Backend()) as backend:
        llmclient.configure(backend.dsn, app="helpdesk", release="1")
        llm = llmclient.instrument(anthropic.Anthropic(api_key="key", base_url=fake.url, max_retries=1))
        for _ in range(3):
            labels = {"feature": "inbox", "prompt_type": "triage", "user_id": "u1", "session_id": "s1"}
            with llmclient.context(**labels, tags={"a": "b"}), suppress(anthropic.APIStatusError):
                llm.messages.create(
                    model="claude-sonnet-5-5", max_tokens=9, messages=[{"role": "user", "content": "Hi"}]
                )
        assert llmclient.flush(10)
        llmclient.close()
    [batch] = backend.batches
    sent = batch["events"]
    envelope = wire.decode(msgspec.json.encode(batch))
    first, second, third = envelope.events
    assert envelope.rejected == []
    assert (first.feature, first.prompt_type, first.user_id, first.session_id) == ("inbox", "triage", "u1", "s1")
    assert first.usage is not None
    assert (first.usage.counts.input_tokens, first.usage.counts.output_tokens) == (12, 3)
    assert first.outcome == "ok"
    assert [attempt.status for attempt in second.attempts] == [529, 200]
    assert second.attempts[0].category == "overloaded"
    assert (third.outcome, third.error and third.error.category) == ("error", "overloaded")
    assert first.started_at <= datetime.now(UTC)
    assert envelope.client is not None
    assert (envelope.client.emitted, envelope.client.dropped) == (3, {})
    # Nothing the client sends is thrown away silently: every key it uses, nested ones too, is a field of the event.
    assert {key for event in sent for key in event} <= fields_of(wire.Event)
    assert {key for event in sent for attempt in event["attempts"] for key in attempt} <= fields_of(wire.Attempt)
    assert {key for event in sent for key in event.get("error") or {}} <= fields_of(wire.ErrorInfo)
    assert {key for event in sent for key in event["limits"]} == fields_of(wire.Limits)
    # Guards are told by those who have some, changes of a breaker by those that had one.
    assert fields_of(wire.Client) - set(batch["client"]) <= {"guards", "transitions"}
    assert set(batch["client"]) <= fields_of(wire.Client)
    assert {key for event in sent for key in event.get("quality") or {}} <= fields_of(wire.Quality)
    assert {key for event in sent for key in event.get("budget") or {}} <= fields_of(wire.Budget)
    assert {key for event in sent for key in event.get("hashes") or {}} <= fields_of(wire.Hashes)


def test_both_sides_pool_the_same_models() -> None:
    """The dashboard puts what a client says of its limiters beside what the answers said of the limits."""
    models = [
        "claude-opus-5-5", "claude-opus-5", "claude-sonnet-4-5-20250929", "claude-haiku-4-5", "claude-fable-5-2",
        "claude-3-opus", "somebody-elses", "one", "", "claude-", "a-b-c-d", "CLAUDE-opus-5",
    ]  # fmt: skip
    for model in models:
        for fast in (False, True):
            assert model_groups.group_of(model, fast=fast) == group_of(model, fast=fast), model
    assert model_groups.group_of("claude-sonnet-4-5-20250929") == "sonnet-4"
    assert model_groups.group_of("claude-opus-5-5", fast=True) == "opus-5 fast"
    assert model_groups.spoken("opus-5 fast") == "Opus 5 fast"
