"""Which requests may share an answer: the name under which an answer is kept. Pure.

Two requests have the same key when they mean the same: the order of keys, a text given as a string or as a block, marks
for the provider's prompt cache and what only concerns transport and billing do not count. Everything else does,
parameters nobody knows yet included.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

FORM: Final = 1  # counts up when keys are made differently, so that nothing kept before is found
# How an answer is delivered, billed and attributed; not what it says.
IGNORED: Final = frozenset({"stream", "metadata", "service_tier", "speed", "diagnostics", "cache_control"})
_written: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode


def key_of(body: Mapping[str, Any], labels: Mapping[str, Any], *, shared: bool, variant: str = "") -> str | None:
    """The key of a request, 64 hex digits; None when its answer must not be kept.

    Answers belong to the user they were given to: `user_id` of the context, or else the request's own
    `metadata.user_id`. Without either nothing is kept, unless `shared` says that the answer is for everybody.
    `variant` is what else changes an answer: the endpoint and the betas switched on.
    """
    tenant = ["everybody"] if shared else _user(body, labels)
    if tenant is None:
        return None
    named = [FORM, tenant, labels.get("prompt_version"), variant, _meaning(body)]
    try:
        written = _written(named)
    except (TypeError, ValueError, RecursionError):  # something no JSON can say, and so no key either
        return None
    return hashlib.sha256(written.encode()).hexdigest()


def _user(body: Mapping[str, Any], labels: Mapping[str, Any]) -> list[str] | None:
    if labels.get("user_id") is not None:
        return ["user", str(labels["user_id"])]
    metadata = body.get("metadata")
    if isinstance(metadata, Mapping) and metadata.get("user_id") is not None:
        return ["metadata", str(metadata["user_id"])]
    return None


def _meaning(body: Mapping[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in body.items() if name not in IGNORED and value is not None}
    if "system" in kept:
        kept["system"] = _blocks(kept["system"])
    if isinstance(kept.get("messages"), list):
        kept["messages"] = [_with_blocks(message) for message in kept["messages"]]
    if isinstance(kept.get("tools"), list):
        kept["tools"] = [_unmarked(tool) for tool in kept["tools"]]
    return kept


def _with_blocks(holder: Any) -> Any:
    if isinstance(holder, Mapping) and "content" in holder:
        return {**holder, "content": _blocks(holder["content"])}
    return holder


def _blocks(content: Any) -> Any:
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    if isinstance(content, list):
        return [_block(block) for block in content]
    return content


def _block(block: Any) -> Any:
    block = _unmarked(block)
    if isinstance(block, Mapping) and block.get("type") == "tool_result":
        return _with_blocks(block)
    return block


def _unmarked(block: Any) -> Any:
    if isinstance(block, Mapping) and "cache_control" in block:
        return {name: value for name, value in block.items() if name != "cache_control"}
    return block
