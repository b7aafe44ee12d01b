"""What the fake serves at which path, and what it refuses before it thinks about an answer."""

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from llmclient.testing._account import Account
from llmclient.testing._answers import Failure, fail
from llmclient.testing._requests import Request

MESSAGES: Final = "messages"
COUNT_TOKENS: Final = "count_tokens"
ROUTES: Final = tuple(
    (method, re.compile(path), name)
    for method, path, name in (
        ("POST", r"/v1/messages", MESSAGES),
        ("POST", r"/v1/messages/count_tokens", COUNT_TOKENS),
        ("POST", r"/v1/messages/batches", "create_batch"),
        ("GET", r"/v1/messages/batches", "list_batches"),
        ("GET", r"/v1/messages/batches/([^/]+)", "show_batch"),
        ("DELETE", r"/v1/messages/batches/([^/]+)", "delete_batch"),
        ("POST", r"/v1/messages/batches/([^/]+)/cancel", "cancel_batch"),
        ("GET", r"/v1/messages/batches/([^/]+)/results", "read_batch"),
        ("GET", r"/v1/models/?", "list_models"),
        ("GET", r"/v1/models/([^/]+)", "show_model"),
        ("GET", r"/v1/organizations/rate_limits", "list_rate_limits"),
        ("GET", r"/v1/organizations/analytics/(?:usage|cost)", "report"),
    )
)


def route(request: Request) -> tuple[str, str]:
    """The name of what is asked for, and the id in its path; two empty texts when the fake has no such thing."""
    for method, path, name in ROUTES:
        if method == request.method and (found := path.fullmatch(request.path)):
            return name, found[1] if path.groups else ""
    return "", ""


def refusal(request: Request, name: str, account: Account) -> Failure | None:
    """Why a request is not worth an answer, in the order the API checks."""
    if not request.key:
        return fail(401, message="x-api-key header is required")
    if not account.keys.accepts(request.key):
        return fail(401, message="invalid x-api-key")
    if not name:
        return fail(404, message=f"{request.method} {request.path} is not part of the fake")
    if name in (MESSAGES, COUNT_TOKENS):
        return invalid(request.body, account, counting=name == COUNT_TOKENS)
    return None


def invalid(body: Mapping[str, Any] | None, account: Account, *, counting: bool = False) -> Failure | None:
    """What is wrong with the parameters of a message."""
    if body is None:
        return fail(400, message="The request body is not valid JSON")
    for name in ("model", "messages") if counting else ("model", "messages", "max_tokens"):
        if name not in body:
            return fail(400, message=f"{name}: Field required")
    for name in ("temperature", "top_p", "top_k"):
        if name in body:
            return fail(400, message=f"{name}: Extra inputs are not permitted")
    if not account.models.is_served(str(body["model"])):
        return fail(404, message=f"model: {body['model']}")
    return None


def parse_body(raw: bytes) -> Mapping[str, Any] | None:
    """The JSON object in a request's body, or None when there is none."""
    try:
        body = json.loads(raw)
    except ValueError:
        return None
    return body if isinstance(body, dict) else None
