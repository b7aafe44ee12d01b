"""All limits of the fake's organisation: a pool per group of models, one bucket each for counting and for batches."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from llmclient._models import group_of
from llmclient.testing._buckets import Bucket, Limits, Pool, request_headers
from llmclient.testing._lineup import Model
from llmclient.testing._response import Headers


class Pools:
    """Not thread-safe: it belongs to the event loop of one server. Without limits everything is admitted."""

    def __init__(self, limits: Limits | None, *, speed: float, clock: Callable[[], float]) -> None:
        self.limits = limits
        self._speed, self._clock = speed, clock
        self._pools: dict[str, Pool] = {}
        per_minute = limits or Limits()
        self._counting = Bucket(per_minute.count_requests, at=clock())
        self._batching = Bucket(per_minute.batch_requests, at=clock())

    def of(self, model: str) -> Pool | None:
        """The pool a model's messages are taken from."""
        if self.limits is None or not model:
            return None
        group = group_of(model)
        if group not in self._pools:
            self._pools[group] = Pool(self.limits, self._clock())
        return self._pools[group]

    def headers(self, pool: Pool | None) -> Headers:
        """The pool's headers as of now."""
        if pool is None:
            return []
        pool.refill(self._clock())
        return pool.headers(datetime.now(UTC), self._speed)

    def admit_counting(self) -> tuple[float | None, Headers]:
        """Takes one request for `count_tokens`, or says after how many seconds it would fit; and its headers."""
        return self._admit(self._counting)

    def admit_batching(self) -> tuple[float | None, Headers]:
        """The same for a request about batches."""
        return self._admit(self._batching)

    def _admit(self, bucket: Bucket) -> tuple[float | None, Headers]:
        if self.limits is None:
            return None, []
        bucket.refill(self._clock())
        wait = bucket.wait(1)
        if not wait:
            bucket.debit(1)
        return wait or None, request_headers(bucket, datetime.now(UTC), self._speed)


def rate_limits(limits: Limits | None, models: Sequence[Model]) -> list[Mapping[str, Any]]:
    """The entries of `/v1/organizations/rate_limits`: a group of models each, then counting and batches."""
    if limits is None:
        return []
    groups: dict[str, list[str]] = {}
    for model in models:
        if model.lifecycle != "retired":
            groups.setdefault(group_of(model.id), []).append(model.id)
    per_model = {
        "requests_per_minute": limits.requests,
        "input_tokens_per_minute_cache_aware": limits.input_tokens,
        "output_tokens_per_minute": limits.output_tokens,
    }
    return [
        *(
            _entry(group, per_model, {"type": "model_group", "display_name": _name(group)}, names)
            for group, names in groups.items()
        ),
        _entry("token_count", {"requests_per_minute": limits.count_requests}, {"type": "token_count"}),
        _entry(
            "batch",
            {"requests_per_minute": limits.batch_requests, "enqueued_batch_requests": limits.batch_queue},
            {"type": "batch"},
        ),
    ]


def _entry(
    name: str, values: Mapping[str, int], group: Mapping[str, str], models: Sequence[str] | None = None
) -> Mapping[str, Any]:
    return {
        "id": f"rl_{name}",
        "type": "rate_limit",
        "group": {"id": f"rlg_{name}", **group},
        "limits": [{"type": kind, "value": value} for kind, value in values.items()],
        "models": models,
    }


def _name(group: str) -> str:
    line, _, generation = group.partition("-")
    return f"Claude {line.capitalize()} {generation}.x"
