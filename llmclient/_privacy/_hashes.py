"""The audit trail of what was said, where what was said is not kept."""

import hashlib
import json
from typing import Any, Final

_CANONICAL: Final = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def content_hash(value: Any) -> str:
    """SHA-256, in hexadecimal digits, of a JSON value or of the bytes of a JSON document, before anything is removed.

    It is the hash of canonical JSON: keys sorted, no spaces, UTF-8; so spaces and the order of keys make no difference.
    Bytes that are no JSON are hashed as they are. Of a stream, hash the content put together from it.

    Whoever keeps a text can show with it that this text, and no other, was sent or received at that time. It does not
    show who wrote it, nor that it is true; and a short text can be found by trying, so the hash of one is no secret.
    """
    if isinstance(value, bytes):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return hashlib.sha256(value).hexdigest()
    return hashlib.sha256(_CANONICAL.encode(value).encode("utf-8", "surrogatepass")).hexdigest()
