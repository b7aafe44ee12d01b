"""Which requests may share an answer: the name under which an answer is kept. Pure.

Two requests have the same key when they mean the same: the order of keys, a text given as a string or as a block, marks
for the provider's prompt cache and what only concerns transport and billing do not count. Everything else does,
parameters nobody knows yet included.

What is hashed is the request as JSON, with the number of its bytes instead of each text, and then the texts as they
are: writing a long text as JSON takes ten times as long as hashing it.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

FORM: Final = 2  # counts up when keys are made differently, so that nothing kept before is found
# How an answer is delivered, billed and attributed; not what it says.
IGNORED: Final = frozenset({"stream", "metadata", "service_tier", "speed", "diagnostics", "cache_control"})
# Without looking for circles: what has one goes too deep, and is no more written than before.
_written: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":"), check_circular=False).encode


def key_of(body: Mapping[str, Any], labels: Mapping[str, Any], *, shared: bool, variant: str = "") -> str | None:
    """The key of a request, 64 hex digits; None when its answer must not be kept.

    Answers belong to the user they were given to: `user_id` of the context, or else the request's own
    `metadata.user_id`. Without either nothing is kept, unless `shared` says that the answer is for everybody.
    `variant` is what else changes an answer: the endpoint and the betas switched on.
    """
    tenant = ["everybody"] if shared else _user(body, labels)
    if tenant is None:
        return None
    texts: list[bytes] = []
    try:
        meaning = _meaning(body, texts)
        written = _written([FORM, tenant, labels.get("prompt_version"), variant, meaning])
    except (TypeError, ValueError, RecursionError):  # something no JSON can say, and so no key either
        return None
    return hashlib.sha256(b"".join([written.encode(), *texts])).hexdigest()


def _user(body: Mapping[str, Any], labels: Mapping[str, Any]) -> list[str] | None:
    if labels.get("user_id") is not None:
        return ["user", str(labels["user_id"])]
    metadata = body.get("metadata")
    if isinstance(metadata, Mapping) and metadata.get("user_id") is not None:
        return ["metadata", str(metadata["user_id"])]
    return None


def _meaning(body: Mapping[str, Any], texts: list[bytes]) -> dict[str, Any]:
    """What of the request counts, its texts taken out and put behind `texts`."""
    kept = {name: value for name, value in body.items() if name not in IGNORED and value is not None}
    if "system" in kept:
        kept["system"] = _blocks(kept["system"], texts)
    if isinstance(kept.get("messages"), list):
        kept["messages"] = [_with_blocks(message, texts) for message in kept["messages"]]
    if isinstance(kept.get("tools"), list):
        kept["tools"] = [_unmarked(tool) for tool in kept["tools"]]
    return kept


def _with_blocks(holder: Any, texts: list[bytes]) -> Any:
    if isinstance(holder, Mapping) and "content" in holder:
        return {**holder, "content": _blocks(holder["content"], texts)}
    return holder


def _blocks(content: Any, texts: list[bytes]) -> Any:
    if isinstance(content, str):
        return [{"type": "text", "text": _taken_out(content, texts)}]
    if isinstance(content, list):
        return [_block(block, texts) for block in content]
    return content


def _block(block: Any, texts: list[bytes]) -> Any:
    block = _unmarked(block)
    if not isinstance(block, Mapping):
        return block
    if block.get("type") == "tool_result":
        return _with_blocks(block, texts)
    text = block.get("text")
    return {**block, "text": _taken_out(text, texts)} if isinstance(text, str) else block


def _taken_out(text: str, texts: list[bytes]) -> int:
    written = text.encode("utf-8", "surrogatepass")
    texts.append(written)
    return len(written)


def _unmarked(block: Any) -> Any:
    if isinstance(block, Mapping) and "cache_control" in block:
        return {name: value for name, value in block.items() if name != "cache_control"}
    return block
