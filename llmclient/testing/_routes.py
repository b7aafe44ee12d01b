"""What the fake serves at which path, and what it refuses before it thinks about an answer."""

import json
from collections.abc import Mapping
from typing import Any, Final

from llmclient.testing._answers import Failure, fail
from llmclient.testing._requests import Request

MODELS: Final = {
    "claude-opus-5-5": "Claude Opus 5.5",
    "claude-sonnet-5-5": "Claude Sonnet 5.5",
    "claude-haiku-5-5": "Claude Haiku 5.5",
}


def refusal(request: Request) -> Failure | None:
    """Why a request is not worth an answer, in the order the API checks."""
    key = request.headers.get("authorization", "").removeprefix("Bearer").strip() or request.headers.get("x-api-key")
    if not key:
        return fail(401, message="x-api-key header is required")
    known = request.path in ("/v1/messages", "/v1/messages/count_tokens") and request.method == "POST"
    if request.method == "GET" and (request.path == "/v1/models" or request.path.startswith("/v1/models/")):
        name = request.path.removeprefix("/v1/models").strip("/")
        return None if not name or name in MODELS else fail(404, message=f"model: {name}")
    if not known:
        return fail(404, message=f"{request.method} {request.path} is not part of the fake")
    return _invalid(request.body, counting=request.path.endswith("count_tokens"))


def _invalid(body: Mapping[str, Any] | None, *, counting: bool) -> Failure | None:
    if body is None:
        return fail(400, message="The request body is not valid JSON")
    for name in ("model", "messages") if counting else ("model", "messages", "max_tokens"):
        if name not in body:
            return fail(400, message=f"{name}: Field required")
    for name in ("temperature", "top_p", "top_k"):
        if name in body:
            return fail(400, message=f"{name}: Extra inputs are not permitted")
    if not str(body["model"]).startswith("claude-"):
        return fail(404, message=f"model: {body['model']}")
    return None


def models(path: str) -> dict[str, Any]:
    name = path.removeprefix("/v1/models").strip("/")
    if name:
        return _model(name)
    data = [_model(model) for model in MODELS]
    return {"data": data, "has_more": False, "first_id": data[0]["id"], "last_id": data[-1]["id"]}


def _model(name: str) -> dict[str, Any]:
    return {
        "type": "model",
        "id": name,
        "display_name": MODELS[name],
        "created_at": "2026-09-01T00:00:00Z",
        "lifecycle": "active",
        "max_input_tokens": 1_000_000,
        "max_tokens": 128_000,
    }


def parse_body(raw: bytes) -> Mapping[str, Any] | None:
    """The JSON object in a request's body, or None when there is none."""
    try:
        body = json.loads(raw)
    except ValueError:
        return None
    return body if isinstance(body, dict) else None
