"""The table of categories, row by row."""

import asyncio

import anthropic
import httpx2
import pytest

from llmclient import StreamInterrupted, category
from llmclient._errors import CATEGORIES, describe, of_answer

REQUEST = httpx2.Request("POST", "http://claude.test/v1/messages")


@pytest.mark.parametrize(
    ("status", "type_", "code", "message", "expected"),
    [
        (408, "timeout_error", None, "", "timeout"),
        (504, "timeout_error", None, "", "timeout"),
        (504, None, None, "", "timeout"),
        (429, "rate_limit_error", None, "", "rate_limit"),
        (429, "rate_limit_error", "ramp_limit_exceeded", "", "ramp_limit"),
        (529, "overloaded_error", None, "", "overloaded"),
        (529, None, None, "", "overloaded"),
        (200, "overloaded_error", None, "", "overloaded"),
        (500, "api_error", None, "", "server_error"),
        (501, None, None, "", "server_error"),
        (503, None, None, "", "server_error"),
        (520, None, None, "", "server_error"),
        (400, "invalid_request_error", None, "", "invalid_request"),
        (409, None, None, "", "invalid_request"),
        (412, None, None, "", "invalid_request"),
        (422, None, None, "", "invalid_request"),
        (431, None, None, "", "invalid_request"),
        (429, "rate_limit_error", "enforced_spend_limit_reached", "", "spend_limit"),
        (429, "rate_limit_error", "contract_spend_limit_reached", "", "spend_limit"),
        (429, "rate_limit_error", "linked_organization_spend_limit_reached", "", "spend_limit"),
        (400, "invalid_request_error", None, "You have reached your specified API usage limits. You …", "spend_limit"),
        (400, None, None, "You have reached your specified workspace API usage limits.", "spend_limit"),
        (402, "billing_error", None, "", "billing"),
        (403, "permission_error", "organization_on_hold", "", "billing"),
        (403, "permission_error", "linked_organization_billing_unavailable", "", "billing"),
        (401, "authentication_error", None, "", "authentication"),
        (403, "permission_error", None, "", "permission"),
        (404, "not_found_error", None, "", "not_found"),
        (413, "request_too_large", None, "", "request_too_large"),
        (400, "invalid_request_error", "request_body_too_large_after_decoding", "", "request_too_large"),
        (400, "invalid_request_error", None, "prompt is too long: 210000 tokens > 200000 maximum", "context_window"),
        (499, None, None, "", "cancelled"),
    ],
)
def test_an_answer_is_read_code_first_then_type_then_status(
    status: int, type_: str | None, code: str | None, message: str, expected: str
) -> None:
    assert of_answer(status, type_, code, message) == expected
    response = httpx2.Response(status, request=REQUEST)
    error = anthropic.APIStatusError(
        message,
        response=response,
        body={"error": {"type": type_, "message": message, "details": {"error_code": code}}},
    )
    assert category(error) == expected


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (anthropic.APITimeoutError(request=REQUEST), "timeout"),
        (anthropic.APIConnectionError(request=REQUEST), "connection"),
        (httpx2.ReadError("reset"), "connection"),
        (httpx2.RemoteProtocolError("closed"), "connection"),
        (httpx2.ReadTimeout("slow"), "timeout"),
        (ConnectionResetError(), "connection"),
        (TimeoutError(), "timeout"),
        (asyncio.CancelledError(), "cancelled"),
        (GeneratorExit(), "cancelled"),
        (KeyboardInterrupt(), "cancelled"),
        (StreamInterrupted("broke off", REQUEST), "stream_interrupted"),
        (RuntimeError("something of the application's"), "other"),
    ],
)
def test_an_exception_without_an_answer_is_read_by_its_class(error: BaseException, expected: str) -> None:
    assert category(error) == expected


def test_an_exception_of_the_application_is_read_by_its_cause() -> None:
    error = RuntimeError("while summarising")
    error.__cause__ = httpx2.ReadError("reset")
    assert category(error) == "connection"


def test_invalid_json_in_an_answer_is_invalid_output() -> None:
    error = anthropic.APIResponseValidationError(httpx2.Response(200, request=REQUEST), body=None)
    assert category(error) == "invalid_output"


def test_a_body_that_is_no_json_still_says_something() -> None:
    assert describe(b"<html>bad gateway</html>") == (None, None, "<html>bad gateway</html>")
    assert describe(None) == (None, None, "")
    assert describe(b'{"error": {"type": "api_error", "message": "oops", "details": {"error_code": "x"}}}') == (
        "api_error",
        "x",
        "oops",
    )
    assert describe(b'{"error": "text"}') == (None, None, '{"error": "text"}')


def test_every_category_has_a_word_of_its_own() -> None:
    assert len(set(CATEGORIES)) == len(CATEGORIES) == 27
