"""What the server's answer to an exchange means. The format is described in docs/leases.md."""

from collections.abc import Mapping
from typing import Any, Final

from llmclient._lease_pool import Lease, Refused

AGAIN: Final = 15.0  # seconds after which a refused amount is asked for again, when the server does not say
LONGEST_PAUSE: Final = 300.0
SHORTEST: Final = 10.0  # seconds of use of a lease; for less it is not worth asking


def read_answer(answer: Mapping[str, Any], sent_at: float, now: float) -> tuple[dict[str, Lease], dict[str, Refused]]:
    """What was granted, and what was refused because it is used up, by id; ValueError when it cannot be read."""
    try:
        granted = [_granted(each, sent_at) for each in answer.get("granted") or ()]
        refused = {
            str(each["id"]): _refused(each, now)
            for each in answer.get("refused") or ()
            if each.get("reason") == "exhausted"
        }
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"this is no answer about leases: {error!r}") from None
    return {lease.id: lease for lease in granted}, refused


def _granted(found: Mapping[str, Any], sent_at: float) -> Lease:
    amount, seconds = int(found["amount"]), float(found["use_s"])
    if amount < 1 or seconds < SHORTEST:
        raise ValueError(f"no lease: {dict(found)!r}")
    # Counted from the sending: however long the answer took, the server's deadline is not missed.
    return Lease(str(found["id"]), amount, sent_at + seconds)


def _refused(found: Mapping[str, Any], now: float) -> Refused:
    again_at = now + min(max(float(found.get("again_s") or AGAIN), 1.0), LONGEST_PAUSE)
    resets_at = None if found.get("resets_at") is None else float(found["resets_at"])
    return Refused(int(found["spent"]), int(found["limit"]), again_at, resets_at)
