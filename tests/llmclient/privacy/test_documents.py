"""JSON: strings, keys, numbers, JSON in strings, blocks, files."""

import json
from typing import Any

import pytest
from hypothesis import given, settings

from llmclient._privacy._redact import Redactor
from tests.llmclient.privacy.strategies import documents

REDACTOR = Redactor()
CARD = "4111 1111 1111 1111"


def redacted(document: Any) -> Any:
    answer = REDACTOR.redact_json(document)
    assert not answer.failed
    return answer.document


def blocks(*texts: str) -> list[dict[str, str]]:
    return [{"type": "text", "text": text} for text in texts]


def test_strings_and_keys_are_cleaned_everything_else_stays() -> None:
    document = {"a": ["anna@example.org", 1, 2.5, True, None], "bob@example.org": {"c": CARD}, "": ""}
    answer = REDACTOR.redact_json(document)
    assert answer.document == {"a": ["[email]", 1, 2.5, True, None], "[email]": {"c": "[card]"}, "": ""}
    assert answer.counts == {"email": 2, "card": 1}
    assert document["a"] == ["anna@example.org", 1, 2.5, True, None]


def test_keys_of_one_kind_stay_different() -> None:
    document = {"[email] 2": 0, "a@example.org": 1, "b@example.org": 2, "[email]": 3}
    assert redacted(document) == {"[email] 2": 0, "[email] 3": 1, "[email] 4": 2, "[email]": 3}


def test_the_key_says_what_a_value_is() -> None:
    document = {"phone": "2125551234", "ssn": "078051120", "api_key": "abc123abc123abc123", "id": "2125551234"}
    assert redacted(document) == {"phone": "[phone]", "ssn": "[ssn]", "api_key": "[api_key]", "id": "2125551234"}
    assert redacted({"phones": ["2125551234", "5550123456"]}) == {"phones": ["[phone]", "[phone]"]}


def test_a_password_is_gone_whatever_it_looks_like() -> None:
    answer = REDACTOR.redact_json({"password": "correct horse", "Passwd": 1234, "pwd": "", "x": "correct horse"})
    assert answer.document == {"password": "[password]", "Passwd": "[password]", "pwd": "", "x": "correct horse"}
    assert REDACTOR.redact_json(answer.document).counts == {}


def test_long_numbers_are_read_as_texts() -> None:
    document = {"card": 4111111111111111, "phone": 2125551234, "n": 2125551234, "t": 1700000000123, "f": 4.5, "b": True}
    assert redacted(document) == {**document, "card": "[card]", "phone": "[phone]"}


def test_json_inside_a_string_is_cleaned_and_stays_json() -> None:
    inner = json.dumps({"to": "anna@example.org", "phone": 2125551234, "note": json.dumps({"card": CARD})})
    assert json.loads(redacted({"x": inner})["x"]) == {
        "to": "[email]",
        "phone": "[phone]",
        "note": '{"card":"[card]"}',
    }
    clean = '{ "a" : [1, 2] }'
    assert redacted({"x": clean}) == {"x": clean}
    assert redacted({"x": '{"broken": anna@example.org}'}) == {"x": '{"broken": [email]}'}


@pytest.mark.parametrize(
    ("texts", "clean"),
    [
        (("I am anna@exa", "mple.org, hello"), ("I am [email]", ", hello")),
        (("4111 1111", " 1111 ", "1111, ok"), ("[card]", "", ", ok")),
        (("Phone: ", "2125551234"), ("Phone: ", "[phone]")),
        (("my id", CARD), ("my id", "[card]")),
        (("anna@mail.exa", "mple.org"), ("[email]", "")),
        (("", "anna@example", "", ".org", ""), ("", "[email]", "", "", "")),
    ],
)
def test_what_is_cut_in_two_by_the_blocks_of_a_message_is_found(texts: tuple[str, ...], clean: tuple[str, ...]) -> None:
    document = {"messages": [{"role": "user", "content": blocks(*texts)}]}
    assert redacted(document)["messages"][0]["content"] == blocks(*clean)


def test_long_blocks_are_read_together_at_their_ends() -> None:
    key = "-----BEGIN PRIVATE KEY-----\n" + "MIIE" * 700
    content = blocks("x " * 9_000 + key, "MIIE" * 100 + "\n-----END PRIVATE KEY----- " + "y " * 9_000)
    assert redacted(content) == blocks("x " * 9_000 + "[private_key]", " " + "y " * 9_000)
    content = blocks("x " * 9_000 + "anna@exa", "mple.org " + "y " * 9_000 + CARD)
    assert redacted(content) == blocks("x " * 9_000 + "[email]", " " + "y " * 9_000 + "[card]")


def test_events_of_one_block_are_read_as_one_text_those_of_another_are_not() -> None:
    def delta(index: int, text: str) -> dict[str, Any]:
        return {"type": "content_block_delta", "index": index, "delta": {"type": "text_delta", "text": text}}

    events = [delta(0, "anna@exa"), delta(0, "mple.org"), delta(1, "x@exa"), delta(2, "mple.org")]
    assert redacted(events) == [delta(0, "[email]"), delta(0, ""), delta(1, "x@exa"), delta(2, "mple.org")]


def test_other_fields_of_a_block_are_cleaned_too() -> None:
    content = [*blocks("a"), {"type": "text", "text": "b", "citations": [{"cited_text": "anna@example.org"}]}]
    assert redacted(content)[1]["citations"] == [{"cited_text": "[email]"}]


def test_a_file_in_base64_is_left_out_and_its_type_and_size_stay() -> None:
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGFsbG8="}}
    clean = {**image, "source": {"type": "base64", "media_type": "image/png", "data": "[image/png, 5 bytes left out]"}}
    assert redacted([image]) == [clean]
    assert redacted([clean]) == [clean]
    odd = {"type": "base64", "media_type": "anna@example.org", "data": "aGFsbG8="}
    assert redacted(odd) == {"type": "base64", "media_type": "[email]", "data": "[data, 5 bytes left out]"}
    text = f"see data:image/png;base64,{'A' * 400} here"
    assert redacted(text) == "see [image/png, 300 bytes left out] here"


def test_what_is_nested_too_deeply_is_left_out() -> None:
    deep: Any = "anna@example.org"
    for _ in range(150):
        deep = [deep]
    assert json.dumps(redacted(deep)) == "[" * 100 + '"[nested too deeply]"' + "]" * 100
    assert redacted("[" * 50_000 + "]" * 50_000) == "[" * 50_000 + "]" * 15_536 + "… [34464 characters left out]"


@settings(max_examples=150, deadline=None)
@given(documents)
def test_a_document_that_was_redacted_has_nothing_left_to_redact(document: Any) -> None:
    once = REDACTOR.redact_json(document)
    assert not once.failed
    again = REDACTOR.redact_json(once.document)
    assert (again.document, again.counts) == (once.document, {})
