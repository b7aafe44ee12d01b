"""Why a call failed, in one word: the remedy differs per word, the status code alone does not tell.

Read in this order: the error code in the answer's details, the error type, the HTTP status, the exception's class.
Pure, and free of the SDK: exceptions are told apart by what they carry and by the names of their classes.
"""

import asyncio
import json
from collections.abc import Mapping
from typing import Final, Literal, get_args

Category = Literal[
    "timeout",
    "connection",
    "rate_limit",
    "ramp_limit",
    "overloaded",
    "server_error",
    "invalid_request",
    "spend_limit",
    "billing",
    "authentication",
    "permission",
    "not_found",
    "request_too_large",
    "context_window",
    "refusal",
    "truncated",
    "invalid_output",
    "stream_interrupted",
    "cancelled",
    "circuit_open",
    "local_rate_limited",
    "budget_exceeded",
    "deadline_exceeded",
    "input_rejected",
    "output_filtered",
    "fallback_exhausted",
    "other",
]
CATEGORIES: Final[tuple[Category, ...]] = get_args(Category)

BY_CODE: Final[Mapping[str, Category]] = {
    "ramp_limit_exceeded": "ramp_limit",
    "enforced_spend_limit_reached": "spend_limit",
    "contract_spend_limit_reached": "spend_limit",
    "linked_organization_spend_limit_reached": "spend_limit",
    "organization_on_hold": "billing",
    "linked_organization_billing_unavailable": "billing",
    "request_body_too_large_after_decoding": "request_too_large",
}
BY_TYPE: Final[Mapping[str, Category]] = {
    "timeout_error": "timeout",
    "rate_limit_error": "rate_limit",
    "overloaded_error": "overloaded",
    "api_error": "server_error",
    "billing_error": "billing",
    "authentication_error": "authentication",
    "permission_error": "permission",
    "not_found_error": "not_found",
    "request_too_large": "request_too_large",
}
BY_STATUS: Final[Mapping[int, Category]] = {
    401: "authentication",
    402: "billing",
    403: "permission",
    404: "not_found",
    408: "timeout",
    413: "request_too_large",
    429: "rate_limit",
    499: "cancelled",
    504: "timeout",
    529: "overloaded",
}
# Names of classes, looked up along the exception's ancestors: naming them needs no import of the SDK.
BY_CLASS: Final[Mapping[str, Category]] = {
    "CancelledError": "cancelled",  # asyncio
    "Cancelled": "cancelled",  # trio
    "GeneratorExit": "cancelled",
    "KeyboardInterrupt": "cancelled",
    "SystemExit": "cancelled",
    "APITimeoutError": "timeout",
    "TimeoutException": "timeout",  # httpx2
    "TimeoutError": "timeout",
    "APIConnectionError": "connection",
    "TransportError": "connection",  # httpx2
    "ConnectionError": "connection",
    "APIResponseValidationError": "invalid_output",
    "ValidationError": "invalid_output",  # pydantic
    "JSONDecodeError": "invalid_output",
}
# A user-set spend limit answers 400 and has no code: its wording is all there is to go by.
SPEND_LIMIT_PREFIXES: Final = (
    "You have reached your specified API usage limits",
    "You have reached your specified workspace API usage limits",
)
CONTEXT_WINDOW_PHRASES: Final = ("prompt is too long", "exceed context limit", "exceeds the context window")


def category(error: BaseException) -> Category:
    """The category of an exception: one raised by `anthropic`, by this package, or underneath them."""
    own = getattr(type(error), "category", None)
    if own in CATEGORIES:
        return own  # type: ignore[no-any-return]  # one of ours says so itself
    if isinstance(error, asyncio.CancelledError):
        return "cancelled"
    status = getattr(error, "status_code", None)
    if isinstance(status, int) and hasattr(error, "error_code"):
        message = getattr(error, "api_message", None) or str(error)
        return of_answer(status, _text(error, "type"), _text(error, "error_code"), message)
    for cls in type(error).__mro__:
        if cls.__name__ in BY_CLASS:
            return BY_CLASS[cls.__name__]
    cause = error.__cause__
    return category(cause) if cause is not None and cause is not error else "other"


def of_answer(status: int, type_: str | None = None, code: str | None = None, message: str = "") -> Category:
    """The category of an answer that is an error, by HTTP status and by what its body says."""
    if code is not None and code in BY_CODE:
        return BY_CODE[code]
    if message.startswith(SPEND_LIMIT_PREFIXES):
        return "spend_limit"
    if type_ is not None and type_ in BY_TYPE:
        return BY_TYPE[type_]
    if status in BY_STATUS:
        return BY_STATUS[status]
    if status >= 500:
        return "server_error"
    if any(phrase in message for phrase in CONTEXT_WINDOW_PHRASES):
        return "context_window"
    return "invalid_request"


def describe(body: bytes | None) -> tuple[str | None, str | None, str]:
    """The type, the code and the message an error body carries; None and "" where it says nothing."""
    try:
        error = json.loads(body or b"{}")["error"]
        details = error.get("details") or {}
        return _string(error.get("type")), _string(details.get("error_code")), _string(error.get("message")) or ""
    except (ValueError, KeyError, TypeError, AttributeError):
        return None, None, (body or b"")[:500].decode("utf-8", "replace")


def _text(error: BaseException, name: str) -> str | None:
    return _string(getattr(error, name, None))


def _string(value: object) -> str | None:
    return value if isinstance(value, str) else None
