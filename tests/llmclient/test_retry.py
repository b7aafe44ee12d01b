"""What an answer says about asking again."""

import email.utils

import anthropic
import httpx2
import pytest

from llmclient import _retry

REQUEST = httpx2.Request("POST", "http://claude.test/v1/messages")


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after-ms": "250", "retry-after": "7"}, 0.25),
        ({"retry-after-ms": "soon", "retry-after": "7"}, 7.0),
        ({"retry-after": email.utils.formatdate(1_000_060, usegmt=True)}, 60.0),
        ({"retry-after": "-3"}, -3.0),
        ({"retry-after": "soon"}, None),
        ({}, None),
    ],
)
def test_the_server_asks_to_wait_in_three_ways(headers: dict[str, str], expected: float | None) -> None:
    assert _retry.retry_after(headers, now=1_000_000.0) == expected


def test_the_headers_of_an_answer_are_found_behind_its_exception() -> None:
    response = httpx2.Response(529, headers={"x-should-retry": "false"}, request=REQUEST)
    overloaded = anthropic.APIStatusError("no", response=response, body=None)
    wrapped = RuntimeError("wrapped")
    wrapped.__cause__ = overloaded
    assert _retry.headers_behind(overloaded)["x-should-retry"] == "false"
    assert _retry.headers_behind(wrapped)["x-should-retry"] == "false"


def test_without_an_answer_there_are_no_headers() -> None:
    circle = RuntimeError("its own cause")
    circle.__cause__ = circle
    assert _retry.headers_behind(circle) == {}
    assert _retry.headers_behind(anthropic.APIConnectionError(request=REQUEST)) == {}
