"""Whether the content of a call is kept: decided by the call's id, so every process and every retry says the same."""

import hashlib
from typing import Final
from uuid import UUID

from llmclient._policy import Policy

_RANGE: Final = float(2**64)


def place(call_id: UUID) -> float:
    """A number from 0 up to 1, spread evenly over all ids: of a UUIDv7 itself most bits are the time."""
    return int.from_bytes(hashlib.sha256(call_id.bytes).digest()[:8]) / _RANGE


def keeps_content(call_id: UUID, policy: Policy, prompt_type: str | None) -> bool:
    """Whether the call is in the share of its prompt type whose content is kept; a larger share keeps the same, too."""
    share = policy.for_prompt(prompt_type).privacy.sample
    # The largest hashes become 1.0 as a float, and a share of 1 is all of them.
    return share >= 1 or place(call_id) < share
