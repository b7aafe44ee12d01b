"""Token buckets with continuous refill, and what Anthropic's headers say about them. Pure: time is passed in."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

PER: Final = 60.0  # limits are written per minute


@dataclass(slots=True)
class Bucket:
    """`limit` units per minute, refilled continuously; full at the start. `level` may go below zero by `debit`."""

    limit: int
    level: float = -1.0
    at: float = 0.0
    """Seconds of the clock `now` is read from."""

    def __post_init__(self) -> None:
        self.level = float(self.limit)

    def refill(self, now: float) -> None:
        self.level = min(float(self.limit), self.level + max(0.0, now - self.at) * self.limit / PER)
        self.at = max(self.at, now)

    def wait(self, amount: float) -> float:
        """Seconds until `amount` is there. More than the whole bucket never is, so a full bucket counts as enough."""
        missing = min(amount, float(self.limit)) - self.level
        return max(0.0, missing * PER / self.limit)

    def debit(self, amount: float) -> None:
        self.level -= amount

    def full_in(self) -> float:
        """Seconds until the bucket is full."""
        return (self.limit - self.level) * PER / self.limit


@dataclass(frozen=True, slots=True)
class Limits:
    """What an organisation may send per minute: the first three to each group of models."""

    requests: int = 10_000
    input_tokens: int = 10_000_000
    output_tokens: int = 2_000_000
    count_requests: int = 10_000
    """To `count_tokens`."""
    batch_requests: int = 5_000
    """About batches."""
    batch_queue: int = 500_000
    """Requests inside batches that may be in processing at a time."""


class Pool:
    """The three buckets of one model group."""

    def __init__(self, limits: Limits, now: float) -> None:
        self.requests = Bucket(limits.requests, at=now)
        self.input = Bucket(limits.input_tokens, at=now)
        self.output = Bucket(limits.output_tokens, at=now)

    def admit(self, input_tokens: int, now: float) -> float | None:
        """Take one request and its input, or say after how many seconds it would fit.

        Output counts when it is generated, so a call is let in as long as at least one token is left.
        """
        buckets = (self.requests, self.input, self.output)
        self.refill(now)
        wait = max(bucket.wait(amount) for bucket, amount in zip(buckets, (1, input_tokens, 1), strict=True))
        if wait > 0:
            return wait
        self.requests.debit(1)
        self.input.debit(input_tokens)
        return None

    def refill(self, now: float) -> None:
        for bucket in (self.requests, self.input, self.output):
            bucket.refill(now)

    def settle(self, output_tokens: int, now: float) -> None:
        """Take what was generated."""
        self.output.refill(now)
        self.output.debit(output_tokens)

    def headers(self, wall: datetime, speed: float = 1.0) -> list[tuple[str, str]]:
        """The `anthropic-ratelimit-*` headers; `wall` is the time of day of the last refill.

        `speed` seconds of the buckets' clock pass in one second of `wall`.
        """
        # The pair without a kind in its name is the tighter one of the two token limits.
        tighter = min(self.input, self.output, key=lambda bucket: bucket.level / bucket.limit)
        lines = [
            ("requests", self.requests, 1),
            ("tokens", tighter, 1000),
            ("input-tokens", self.input, 1000),
            ("output-tokens", self.output, 1000),
        ]
        return [pair for name, bucket, grain in lines for pair in _lines(name, bucket, grain, wall, speed)]


def request_headers(bucket: Bucket, wall: datetime, speed: float = 1.0) -> list[tuple[str, str]]:
    """The headers of what is limited by requests alone."""
    return list(_lines("requests", bucket, 1, wall, speed))


def _lines(name: str, bucket: Bucket, grain: int, wall: datetime, speed: float) -> Iterable[tuple[str, str]]:
    remaining = max(0, math.floor(bucket.level / grain + 0.5) * grain if grain > 1 else math.floor(bucket.level))
    full_at = wall + timedelta(seconds=bucket.full_in() / speed)
    if full_at.microsecond:
        full_at = full_at.replace(microsecond=0) + timedelta(seconds=1)
    prefix = f"anthropic-ratelimit-{name}"
    yield f"{prefix}-limit", str(bucket.limit)
    yield f"{prefix}-remaining", str(min(remaining, bucket.limit))
    yield f"{prefix}-reset", full_at.strftime("%Y-%m-%dT%H:%M:%SZ")
