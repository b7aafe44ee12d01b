"""What of a prompt and its answer leaves the process."""

import json
from typing import Any

import pytest

from llmclient._privacy._content import content_of, labels_of
from llmclient._privacy._pseudonyms import Pseudonyms
from llmclient._privacy._redact import Redactor

REDACTOR = Redactor()
SENT = b'{"model": "m", "messages": [{"role": "user", "content": "I am anna@example.org"}]}'
BLOCKS = [{"type": "text", "text": "Hello anna@example.org, your card 4111 1111 1111 1111 is fine"}]


def broken(text: str) -> str:
    raise RuntimeError(text)


def test_off_sends_nothing() -> None:
    assert content_of(SENT, BLOCKS, "off", REDACTOR) is None
    assert content_of(None, None, "full", REDACTOR) is None
    assert content_of(None, None, "redacted", REDACTOR) is None


def test_full_sends_both_as_they_are() -> None:
    assert content_of(SENT, BLOCKS, "full", REDACTOR) == {
        "input": SENT.decode(),
        "output": json.dumps(BLOCKS, separators=(",", ":")),
        "redactions": {},
    }
    assert content_of(SENT, None, "full", REDACTOR) == {"input": SENT.decode(), "output": "[]", "redactions": {}}
    assert content_of(None, {"content": []}, "full", REDACTOR) == {"input": "{}", "output": "[]", "redactions": {}}


def test_redacted_sends_both_without_what_was_found_and_counts_it() -> None:
    expected = {
        "input": '{"model":"m","messages":[{"role":"user","content":"I am [email]"}]}',
        "output": '[{"type":"text","text":"Hello [email], your card [card] is fine"}]',
        "redactions": {"email": 2, "card": 1},
    }
    assert content_of(SENT, BLOCKS, "redacted", REDACTOR) == expected
    assert content_of(SENT, {"role": "assistant", "content": BLOCKS}, "redacted", REDACTOR) == expected


@pytest.mark.parametrize("mode", ["full", "redacted"])
def test_a_very_long_string_is_cut_and_the_rest_stays_json(mode: Any) -> None:
    sent = json.dumps({"messages": [{"content": [{"data": "x" * 70_000}]}], "model": "m"}).encode()
    content = content_of(sent, [{"type": "text", "text": "y" * 70_000}], mode, REDACTOR)
    assert content is not None
    assert (
        json.loads(content["input"])["messages"][0]["content"][0]["data"]
        == "x" * 65_536 + "… [4464 characters left out]"
    )
    assert json.loads(content["output"])[0]["text"] == "y" * 65_536 + "… [4464 characters left out]"


@pytest.mark.parametrize("sent", [b"no json", b"\xff\xfe", b'{"a": ' + b"9" * 5_000 + b"}", b"[" * 100_000])
def test_a_side_that_cannot_be_read_is_not_sent_and_the_other_one_is(sent: bytes) -> None:
    content = content_of(sent, [], "redacted", REDACTOR)
    assert content == {"output": "[]", "redactions": {"redaction_failed": 1}}


def test_when_redaction_fails_no_content_is_sent() -> None:
    content = content_of(SENT, BLOCKS, "redacted", Redactor([broken]))
    assert content == {"redactions": {"redaction_failed": 2}}


def test_a_lone_surrogate_in_a_prompt_is_no_failure() -> None:
    content = content_of(b'{"a": "\\ud800 anna@example.org"}', [], "redacted", REDACTOR)
    assert content == {"input": '{"a":"\ud800 [email]"}', "output": "[]", "redactions": {"email": 1}}


def test_labels_and_tags_are_cleaned_and_the_user_is_a_pseudonym_when_there_is_a_secret() -> None:
    labels = {
        "feature": "inbox",
        "user_id": "anna@example.org",
        "session_id": "s-9",
        "tags": {"plan": "pro", "bob@example.org": "+49 151 23456789"},
    }
    clean = {**labels, "user_id": "[email]", "tags": {"plan": "pro", "[email]": "[phone]"}}
    assert labels_of(labels, REDACTOR) == clean
    pseudonyms = Pseudonyms("0123456789abcdef")
    assert labels_of(labels, REDACTOR, pseudonyms) == {**clean, "user_id": pseudonyms.of("anna@example.org")}
    assert labels_of({}, REDACTOR) == {}
