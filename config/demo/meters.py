"""What the provider would have said of its limits in the made-up history: a bucket per limit and group of models."""

from typing import Final

from config.demo import story
from ingest.partitions import EPOCH
from llmclient._models import group_of
from llmclient.testing._buckets import Bucket, Pool
from llmclient.testing.traffic import Call

GRAIN: Final = 1_000
"""Tokens that remain are told in thousands."""


class Meters:
    """The organisation's pools. Calls are shown to it in the order of their time."""

    def __init__(self) -> None:
        self._pools: dict[str, Pool] = {}

    def told(self, call: Call) -> dict[str, dict[str, int]]:
        """Return the `limits` of the call's event; nothing for a call without an answer."""
        if call.fate.reply is None:
            return {}
        now = (call.at - EPOCH).total_seconds()
        pool = self._pools.setdefault(group_of(call.model), Pool(story.LIMITS, now))
        pool.refill(now)
        for bucket, used in zip(_buckets(pool).values(), (1, call.input_tokens, call.output_tokens), strict=True):
            # History was never turned away here, so it takes what is there and no more.
            bucket.debit(min(used, bucket.level))
        limits = {f"{name}_limit": bucket.limit for name, bucket in _buckets(pool).items()}
        return {
            "limits": limits
            | {f"{name}_remaining": _remaining(name, bucket) for name, bucket in _buckets(pool).items()}
        }


def _buckets(pool: Pool) -> dict[str, Bucket]:
    return {"requests": pool.requests, "input": pool.input, "output": pool.output}


def _remaining(name: str, bucket: Bucket) -> int:
    return int(bucket.level) if name == "requests" else round(bucket.level / GRAIN) * GRAIN
