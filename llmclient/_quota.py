"""What the rate-limit headers of an answer say about the provider's buckets: how deep, how full, when full again."""

import email.utils
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Final, Literal, NamedTuple, get_args

from llmclient import _limits

Dimension = Literal["requests", "input", "output"]

DIMENSIONS: Final[tuple[Dimension, ...]] = get_args(Dimension)
GRAINS: Final = (1, 1_000, 1_000)
"""`remaining` is rounded to multiples of this, per dimension."""
RESETS: Final = tuple(f"anthropic-ratelimit-{theirs}-reset" for theirs in ("requests", "input-tokens", "output-tokens"))

_NAMES: Final = tuple(
    (f"{name}_limit", f"{name}_remaining", reset, grain)
    for name, reset, grain in zip(DIMENSIONS, RESETS, GRAINS, strict=True)
)


class Quota(NamedTuple):
    """One of the provider's buckets as an answer describes it."""

    limit: int
    """Per minute; above 0."""
    remaining: int | None = None
    full_in: float | None = None
    """Seconds from the answer's date until the bucket is full again."""
    grain: int = 1
    """`remaining` is rounded to multiples of this."""


class Reading(NamedTuple):
    """The headers of one answer. `dated`: the answer's own date, Unix time."""

    dated: float
    quotas: tuple[Quota | None, Quota | None, Quota | None]
    """Requests, input, output; None where the headers say nothing."""

    def tightest(self) -> tuple[Dimension, ...]:
        """The dimensions with nothing left, else the one with least left; none when nothing is said about any."""
        left = {
            name: quota.remaining / quota.limit
            for name, quota in zip(DIMENSIONS, self.quotas, strict=True)
            if quota is not None and quota.remaining is not None
        }
        least = min(left.values(), default=0.0)
        return tuple(name for name, share in left.items() if share == least)


def read(headers: Mapping[str, str], *, received_at: float, said: Mapping[str, int] | None = None) -> Reading | None:
    """What the headers say; None when they name no limit. `received_at` (Unix time) stands in for a missing date.

    The provider's clock is compared with itself, so a clock of ours that is wrong does no harm. `said`: the limits in
    the headers, where somebody has read them already.
    """
    if said is None:
        said = _limits.snapshot(headers)
    if not said:
        return None
    dated = _date(headers.get("date", ""))
    if dated is None:
        dated = received_at
    requests, input_, output = (_quota(said, headers, dated, *names) for names in _NAMES)
    return Reading(dated, (requests, input_, output)) if requests or input_ or output else None


def _quota(
    said: Mapping[str, int], headers: Mapping[str, str], dated: float, of: str, left: str, reset: str, grain: int
) -> Quota | None:
    limit = said.get(of, 0)
    if limit <= 0:  # a limit of nothing would never let a call try again
        return None
    remaining = said.get(left)
    full_in = _full_in(headers.get(reset), dated)
    return Quota(limit, None if remaining is None else min(remaining, limit), full_in, grain)


def _full_in(reset: str | None, dated: float) -> float | None:
    instant = None if reset is None else _instant(reset)
    return None if instant is None else max(0.0, instant - dated)


# The same for all answers of a second, and slow to read.
@lru_cache(maxsize=64)
def _instant(reset: str) -> float | None:
    try:
        instant = datetime.fromisoformat(reset)
    except ValueError:
        return None
    # Without an offset it would be read as the time of this machine's zone.
    return None if instant.tzinfo is None else instant.timestamp()


@lru_cache(maxsize=64)
def _date(header: str) -> float | None:
    try:
        date = email.utils.parsedate_tz(header)
        return None if date is None else float(email.utils.mktime_tz(date))
    except (ValueError, OverflowError):
        return None
