"""Texts: what is replaced, cut, counted, and what happens when searching fails."""

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmclient._privacy._redact import Redacted, Redactor
from tests.llmclient.privacy.strategies import texts

REDACTOR = Redactor()
EMPLOYEE = ("employee", re.compile(r"\bE-\d{6}\b"))


def broken(text: str) -> str:
    raise RuntimeError(text)


def test_what_was_found_is_replaced_by_its_kind_and_counted() -> None:
    answer = REDACTOR.redact("anna@example.org and bob@example.org, 4111 1111 1111 1111")
    assert answer == Redacted("[email] and [email], [card]", {"email": 2, "card": 1})


def test_a_text_without_anything_stays_as_it_is() -> None:
    text = "Grüße\u00a0aus – K\u200böln \\n %20 \ud800 \0"
    assert REDACTOR.redact(text) == Redacted(text, {})


@settings(max_examples=400, deadline=None)
@given(texts)
def test_a_text_that_was_redacted_has_nothing_left_to_redact(text: str) -> None:
    once = REDACTOR.redact(text)
    assert once.text is not None
    assert REDACTOR.redact(once.text) == Redacted(once.text, {})


@settings(max_examples=100, deadline=None)
@given(texts, st.integers(1, 40))
def test_a_long_text_that_was_redacted_and_cut_has_nothing_left_to_redact(text: str, most: int) -> None:
    redactor = Redactor(most_chars=most)
    once = redactor.redact(text)
    assert once.text is not None
    assert redactor.redact(once.text).text == once.text


def test_what_only_shows_when_something_else_is_gone_is_found_too() -> None:
    redactor = Redactor([("code", re.compile("CODE"))])
    assert redactor.redact("CODE4111111111111111") == Redacted("[code][card]", {"code": 1, "card": 1})


def test_a_long_text_is_cut_and_says_by_how_much() -> None:
    assert REDACTOR.redact("x" * 70_000).text == "x" * 65_536 + "… [4464 characters left out]"
    assert REDACTOR.redact("x" * 65_536).text == "x" * 65_536


def test_nothing_is_cut_in_two() -> None:
    redactor = Redactor(most_chars=20)
    assert (
        redactor.redact(f"{'x' * 10} 4111 1111 1111 1111 and more").text == "xxxxxxxxxx [card]… [9 characters left out]"
    )
    assert redactor.redact(f"{'x' * 10} anna@example.org").text == "xxxxxxxxxx [email]"


def test_what_lies_beyond_the_cut_does_not_come_in_when_the_text_gets_shorter() -> None:
    redactor = Redactor(most_chars=100)
    text = " ".join(["sk-ant-" + "a" * 40] * 2 + ["b" * 20 + "-secret"] * 3)
    assert redactor.redact(text).text == "[api_key] [api_key] bbbb… [79 characters left out]"


def test_patterns_of_the_application_are_searched_for_first_also_in_disguise() -> None:
    redactor = Redactor([EMPLOYEE, ("customer", re.compile(r"anna@\S+"))])
    answer = redactor.redact("E-123456, E\u2011１２３\u200b456 and anna@example.org, bob@example.org")
    assert answer == Redacted(
        "[employee], [employee] and [customer] [email]", {"employee": 2, "customer": 1, "email": 1}
    )


def test_functions_of_the_application_see_the_text_as_it_was_written() -> None:
    seen: list[str] = []

    def names(text: str) -> str:
        seen.append(text)
        return text.replace("Anna", "[name]")

    redactor = Redactor([("name", names), lambda text: text.replace("Ulm", "[place]")])
    answer = redactor.redact("Anna in Ulm, anna@example.org")
    assert answer == Redacted("[name] in [place], [email]", {"name": 1, "custom": 1, "email": 1})
    assert seen == ["Anna in Ulm, anna@example.org"]
    assert redactor.redact("nobody") == Redacted("nobody", {})


@pytest.mark.parametrize("function", [broken, lambda text: None, lambda text: text.encode()])
def test_when_a_function_of_the_application_fails_nothing_is_sent(
    function: Any, caplog: pytest.LogCaptureFixture
) -> None:
    redactor = Redactor([("name", function)])
    assert redactor.redact("a secret") == Redacted(None, {"redaction_failed": 1})
    assert redactor.redact_json({"a": "a secret"}).document is None
    assert redactor.redact_json({"a": "a secret"}).failed
    assert redactor.short("a secret") == "[redaction_failed]"
    assert len(caplog.records) == 1
    assert "a secret" not in caplog.text


@settings(max_examples=100, deadline=None)
@given(texts.filter(bool))
def test_a_failing_function_lets_no_text_through(text: str) -> None:
    assert Redactor([broken]).redact(text) == Redacted(None, {"redaction_failed": 1})


def test_a_text_that_never_settles_is_not_sent() -> None:
    redactor = Redactor([("more", re.compile(r"m|x"))])
    assert redactor.redact("x") == Redacted("[redaction_failed]", {"more": 8, "redaction_failed": 1})


def test_a_text_that_is_none_is_not_sent() -> None:
    nothing: Any = None
    assert REDACTOR.redact(nothing) == Redacted(None, {"redaction_failed": 1})


@pytest.mark.parametrize(
    ("custom", "complaint"),
    [
        ([("Employee", re.compile("E"))], "'Employee' must be a word in lower case"),
        ([("", re.compile("E"))], "'' must be a word in lower case"),
        ([("employee", re.compile(b"E"))], "neither a compiled pattern of text nor a function"),
        ([("employee", "E-")], "neither a compiled pattern of text nor a function"),
        ([(f"kind{n}", re.compile("E")) for n in range(17)], "at most 16 kinds"),
    ],
)
def test_a_wrong_entry_of_the_application_is_a_value_error_when_it_is_made(custom: Any, complaint: str) -> None:
    with pytest.raises(ValueError, match=re.escape(complaint)):
        Redactor(custom)


def test_a_short_text_is_cleaned_before_it_is_cut() -> None:
    assert REDACTOR.short("inbox") == "inbox"
    assert REDACTOR.short("unknown user anna@example.org") == "unknown user [email]"
    assert REDACTOR.short("x" * 490 + " anna@example.org") == "x" * 490 + " [email]"
    assert REDACTOR.short("x" * 498 + " 4111 1111 1111 1111") == "x" * 498 + " ["
    assert REDACTOR.short("m" * 600) == "m" * 500
    assert REDACTOR.short("4111 1111 1111 1111", 5) == "[card"


@settings(max_examples=200, deadline=None)
@given(texts, st.integers(1, 600))
def test_a_short_text_is_never_longer_than_asked(text: str, length: int) -> None:
    assert len(REDACTOR.short(text, length)) <= length
