"""Jobs as they lie in a broker."""

import base64
import json
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmclient._asked import Job
from llmclient._envelope import Envelope, Seal, UnreadableError, put_in, take_out

NOW = 1_800_000_000.0
JOB = Job(
    {"model": "claude-opus-5-5", "max_tokens": 9, "messages": [{"role": "user", "content": "Grüße an Jörg"}]},
    {"user_id": "4711", "tags": {"plan": "pro"}},
    "overloaded",
    "beta=true some-beta",
    UUID("01939e6a-5c00-7000-8000-000000000001"),
)


def reverse(data: bytes) -> bytes:
    return data[::-1]


SEALED = Seal(reverse, reverse)
PLAIN = Seal()
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def through_the_broker(envelope: Envelope) -> Envelope:
    return Envelope.from_dict(json.loads(json.dumps(envelope.as_dict())))


@pytest.mark.parametrize("seal", [PLAIN, SEALED])
def test_a_job_comes_out_as_it_went_in(seal: Seal) -> None:
    envelope = through_the_broker(put_in(JOB, seal, now=NOW, max_bytes=10_000))
    assert take_out(envelope, seal) == JOB
    assert (envelope.at, envelope.waits, envelope.faults, envelope.message, envelope.given_up) == (
        NOW,
        0,
        0,
        None,
        None,
    )


@given(st.dictionaries(st.text(), JSON, max_size=4), st.sampled_from([PLAIN, SEALED]))
def test_whatever_the_request_it_comes_out_as_it_went_in(body: dict[str, Any], seal: Seal) -> None:
    envelope = through_the_broker(put_in(Job(body, {}), seal, now=NOW, max_bytes=1_000_000))
    assert take_out(envelope, seal) == Job(body, {})


def test_half_a_character_survives() -> None:
    broken = Job({"messages": ["\ud83d"]}, {})
    for seal in (PLAIN, SEALED):
        assert take_out(through_the_broker(put_in(broken, seal, now=NOW, max_bytes=100_000)), seal) == broken


def test_what_is_encrypted_cannot_be_read_in_the_broker() -> None:
    assert "Jörg" in put_in(JOB, PLAIN, now=NOW, max_bytes=10_000).job["json"]
    hidden = put_in(JOB, SEALED, now=NOW, max_bytes=10_000).as_dict()
    assert set(hidden["job"]) == {"sealed"}
    assert (
        base64.b64decode(hidden["job"]["sealed"])[::-1].decode()
        == put_in(JOB, PLAIN, now=NOW, max_bytes=10_000).job["json"]
    )
    assert {name: value for name, value in hidden.items() if name != "job"} == {
        "form": 1,
        "at": NOW,
        "waits": 0,
        "faults": 0,
    }


def test_what_was_put_in_before_there_was_a_key_can_still_be_read() -> None:
    assert take_out(put_in(JOB, PLAIN, now=NOW, max_bytes=10_000), SEALED) == JOB


def test_a_job_is_bounded_in_bytes() -> None:
    size = put_in(Job({"text": "ä" * 100}, {}), PLAIN, now=NOW, max_bytes=10_000).size
    assert size == len('{"body":{"text":""},"labels":{},"category":null,"variant":"","call_id":null}') + 200
    put_in(Job({"text": "ä" * 100}, {}), PLAIN, now=NOW, max_bytes=size)
    with pytest.raises(ValueError, match=f"the job has {size} bytes, more than the {size - 1} that one may have"):
        put_in(Job({"text": "ä" * 100}, {}), PLAIN, now=NOW, max_bytes=size - 1)


@pytest.mark.parametrize("value", [b"bytes", object(), {1, 2}])
def test_what_is_no_json_is_told_when_it_is_put_in(value: object) -> None:
    with pytest.raises(TypeError, match="not JSON serializable"):
        put_in(Job({"messages": value}, {}), PLAIN, now=NOW, max_bytes=10_000)


def fail(data: bytes) -> bytes:
    raise OSError("no key")


@pytest.mark.parametrize(
    ("envelope", "seal", "why"),
    [
        (put_in(JOB, SEALED, now=NOW, max_bytes=10_000), PLAIN, "no decrypt was given"),
        (put_in(JOB, SEALED, now=NOW, max_bytes=10_000), Seal(fail, fail), "OSError while reading it"),
        (put_in(JOB, SEALED, now=NOW, max_bytes=10_000), Seal(bytes, bytes), "while reading it"),
        (Envelope({}, NOW), PLAIN, "no decrypt was given"),
        (Envelope({}, NOW), SEALED, "KeyError while reading it"),
        (Envelope({"json": "{"}, NOW), PLAIN, "JSONDecodeError while reading it"),
        (Envelope({"json": "[]"}, NOW), PLAIN, "it is no object"),
        (Envelope({"json": '{"body": 1, "labels": {}}'}, NOW), PLAIN, "it is no job"),
        (Envelope({"json": '{"body": {}, "labels": {}, "call_id": "7"}'}, NOW), PLAIN, "it is no job"),
    ],
)
def test_what_cannot_be_read_is_told(envelope: Envelope, seal: Seal, why: str) -> None:
    with pytest.raises(UnreadableError, match=why):
        take_out(envelope, seal)


@pytest.mark.parametrize(
    "given",
    [None, 5, "text", [], {}, {"job": "x"}, {"job": {}}, {"job": {}, "at": "x"}, {"job": {}, "at": 1, "waits": []}],
)
def test_what_is_no_envelope_is_told(given: object) -> None:
    with pytest.raises(UnreadableError, match="it is no job"):
        Envelope.from_dict(given)


def test_what_a_newer_version_added_is_left_out() -> None:
    newer = {**put_in(JOB, PLAIN, now=NOW, max_bytes=10_000).as_dict(), "form": 2, "mood": "good"}
    assert take_out(Envelope.from_dict(newer), PLAIN) == JOB
    job = {"body": {}, "labels": {}, "category": "of_tomorrow", "mood": "good"}
    assert take_out(Envelope({"json": json.dumps(job)}, NOW), PLAIN) == Job({}, {})


def test_a_dead_letter_begins_anew() -> None:
    message = PLAIN.wrap({"id": "msg_1"})
    dead = Envelope({"json": "{}"}, NOW, 3, 4, message, {"reason": "attempts"})
    assert through_the_broker(dead) == dead
    assert dead.afresh(NOW + 9) == Envelope({"json": "{}"}, NOW + 9, 0, 0, message)


def test_a_key_for_one_direction_only_is_none() -> None:
    with pytest.raises(ValueError, match="give both encrypt and decrypt, or neither"):
        Seal(reverse)
