"""Our retries are the SDK's: asked side by side with the SDK itself."""

import email.utils
import itertools

import anthropic
import httpx2
import pytest

from llmclient import _retry

SDK = anthropic.Anthropic(api_key="x")
REQUEST = httpx2.Request("POST", "http://claude.test/v1/messages")
STATUSES = (400, 401, 403, 404, 408, 409, 413, 422, 429, 499, 500, 501, 503, 504, 529)


@pytest.mark.parametrize(("status", "said"), list(itertools.product(STATUSES, (None, "true", "false", "maybe"))))
def test_the_same_answers_are_retried_as_by_the_sdk(status: int, said: str | None) -> None:
    headers = {} if said is None else {"x-should-retry": said}
    response = httpx2.Response(status, headers=headers, request=REQUEST)
    assert _retry.is_retryable(status, response.headers) == SDK._should_retry(response)


def test_the_same_exceptions_are_retried_as_by_the_sdk() -> None:
    wrapped = RuntimeError("wrapped")
    wrapped.__cause__ = anthropic.APIConnectionError(request=REQUEST)
    overloaded = anthropic.APIStatusError("no", response=httpx2.Response(529, request=REQUEST), body=None)
    errors = [
        anthropic.APIConnectionError(request=REQUEST),
        anthropic.APITimeoutError(request=REQUEST),
        anthropic._exceptions.RetryableError("again"),
        overloaded,
        wrapped,
        RuntimeError("plain"),
        httpx2.ReadError("raw"),
    ]
    assert [_retry.retryable_cause(error) for error in errors] == [SDK._should_retry_exception(e) for e in errors]
    assert [_retry.retryable_cause(error)[0] for error in errors] == [True, True, True, True, True, False, False]


def test_the_backoff_doubles_to_eight_seconds_less_up_to_a_quarter() -> None:
    waits = [_retry.wait_before(n, {}, chance=lambda: 0.0, now=0.0) for n in range(7)]
    assert waits == [0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0]
    assert _retry.wait_before(1, {}, chance=lambda: 1.0, now=0.0) == 0.75
    assert _retry.wait_before(5000, {}, chance=lambda: 0.0, now=0.0) == 8.0


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after-ms": "250", "retry-after": "7"}, 0.25),
        ({"retry-after": email.utils.formatdate(1_000_060, usegmt=True)}, 60.0),
        ({"retry-after": "9999999999"}, 4_294_967.0),
        ({"retry-after": "0"}, 0.5),
        ({"retry-after": "-3"}, 0.5),
        ({"retry-after": "soon"}, 0.5),
    ],
)
def test_what_the_server_asks_for_is_waited(headers: dict[str, str], expected: float) -> None:
    assert _retry.wait_before(0, headers, chance=lambda: 0.0, now=1_000_000.0) == expected
