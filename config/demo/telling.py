"""A call of the traffic model told as the event the client would have sent, for times long past."""

import json
from collections.abc import Mapping
from typing import Any, Final

from llmclient.testing.traffic import Call

TRIES: Final = 3
"""Attempts of the SDK's own policy: the first and two retries."""
# What a failing attempt is called by us and by the API.
STATUSES: Final = {
    400: ("invalid_request", "invalid_request_error"),
    429: ("rate_limit", "rate_limit_error"),
    500: ("server_error", "api_error"),
    504: ("timeout", "timeout_error"),
    529: ("overloaded", "overloaded_error"),
}
MESSAGES: Final = {
    429: "This request would exceed your organization's rate limit.",
    500: "Internal server error",
    504: "The request timed out.",
    529: "Overloaded",
}
PAUSES: Final = (0.44, 0.87)
"""Seconds before the second and the third attempt, in the middle of their jitter."""


def event_of(call: Call, *, with_content: bool) -> dict[str, Any]:
    """The event document of docs/events.md for one call. Times in ms."""
    attempts, passed = _failed_attempts(call)
    answered = call.fate.reply is not None
    if answered:
        attempts.append(_attempt(call, len(attempts) + 1, passed, call.duration, {"status": 200}))
        passed += call.duration
    event: dict[str, Any] = {
        "id": str(call.id),
        "started_at": call.at.isoformat(timespec="milliseconds"),
        "app": "demo-product",
        "sdk": "anthropic/2.12.0",
        "feature": call.feature,
        "prompt_type": call.prompt_type,
        "prompt_version": call.prompt_version,
        "user_id": call.user_id,
        "session_id": call.session_id,
        "stream": call.stream,
        "model_requested": call.model,
        "params": {"max_tokens": 2048},
        "duration_ms": round(passed * 1000),
        "attempts": attempts,
        "outcome": "ok",
    }
    if attempts and "request_id" in attempts[-1]:
        event["request_id"] = attempts[-1]["request_id"]
    if answered:
        event |= _answer(call, call.fate.reply or {})
    else:
        event |= {"outcome": "error", "error": _error(call.fate.failures[0])}
    if with_content:
        event["content"] = _content(call)
    return event


def _failed_attempts(call: Call) -> tuple[list[dict[str, Any]], float]:
    """The attempts before the answer and the seconds they took. A 400 is not tried again."""
    failures = call.fate.failures
    tries = 1 if failures and failures[0].get("status") == 400 else TRIES
    attempts: list[dict[str, Any]] = []
    passed = wait = 0.0
    for number, failure in enumerate(failures[:tries], 1):
        status = failure.get("status")
        category = STATUSES[status][0] if status is not None else "connection"
        facts: dict[str, Any] = {"status": status, "category": category} if status else {"category": category}
        if wait:
            facts["wait_ms"] = round(wait * 1000)
        if "retry_after" in failure:
            facts["retry_after_s"] = failure["retry_after"]
        took = float(failure["delay"])
        attempts.append(_attempt(call, number, passed, took, facts))
        passed += took
        if number < tries:
            wait = float(failure.get("retry_after", PAUSES[min(number, len(PAUSES)) - 1]))
            passed += wait
    return attempts, passed


def _attempt(call: Call, number: int, start: float, took: float, facts: dict[str, Any]) -> dict[str, Any]:
    known = {"n": number, "start_ms": round(start * 1000), "duration_ms": round(took * 1000)}
    request_id = {} if facts.get("category") == "connection" else {"request_id": f"req_{call.id.hex}_{number}"}
    return known | facts | request_id


def _answer(call: Call, reply: Mapping[str, Any]) -> dict[str, Any]:
    broke_off = "breaks" in reply
    facts: dict[str, Any] = {
        "model": call.model,
        "usage": {
            "input_tokens": call.input_tokens,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": call.cache_read_tokens,
            "output_tokens": call.output_tokens // 3 if broke_off else call.output_tokens,
            "service_tier": "standard",
        },
    }
    if call.stream:
        facts |= {"ttft_ms": round(call.ttft * 1000), "ttft_text_ms": round(call.ttft * 1000)}
    if broke_off:
        error = {"category": "stream_interrupted", "status": 200, "message": "The stream ended before the message did"}
        return facts | {"usage_complete": False, "outcome": "error", "error": error}
    facts["stop_reason"] = reply.get("stop_reason", "end_turn")
    if "stop_category" in reply:
        facts["stop_category"] = reply["stop_category"]
    return facts


def _error(failure: Mapping[str, Any]) -> dict[str, Any]:
    status = failure.get("status")
    if status is None:
        return {"category": "connection", "type": "APIConnectionError"}
    category, kind = STATUSES[status]
    message = failure.get("message") or MESSAGES[status]
    return {"category": category, "type": kind, "status": status, "message": message}


def _content(call: Call) -> dict[str, Any]:
    sent = {"model": call.model, "max_tokens": 2048, "messages": [{"role": "user", "content": call.prompt}]}
    text = (call.fate.reply or {}).get("text", call.answer) if call.answered else ""
    said = [{"type": "text", "text": text}] if text else []
    return {
        "input": json.dumps(sent, ensure_ascii=False),
        "output": json.dumps(said, ensure_ascii=False),
        "redactions": {},
    }
