"""Latencies in buckets that can be added up: one small number per call, percentiles within 5 %.

A bucket's upper bound is (1.05/0.95)^bucket ms, so every value in it is within 5 % of the bucket's middle (and half a
millisecond of rounding). Bounds are computed in whole numbers: 1.05/0.95 is 21/19.
"""

from bisect import bisect_left
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from typing import Final

LARGEST_MS: Final = 2_147_483_647
"""The widest latency a row can hold."""

# The largest whole number of ms in each bucket. Bucket 0 holds 0 and 1 ms.
UPPER_MS: Final = tuple(21**bucket // 19**bucket for bucket in range(216))
# Nearly every call ends within two minutes: those are looked up, the rest is searched.
_LOOKED_UP: Final = 120_000
_BUCKETS: Final = b"\x00" + b"".join(
    bytes([bucket]) * (upper - lower) for bucket, (lower, upper) in enumerate(pairwise((0, *UPPER_MS[:120])))
)


def bucket_of(ms: int) -> int:
    """The bucket of a latency in ms, 0 to `LARGEST_MS`."""
    return _BUCKETS[ms] if ms <= _LOOKED_UP else bisect_left(UPPER_MS, ms)


def middle_of(bucket: int) -> int:
    """The latency in ms that stands for everything in the bucket: 2 g^bucket / (g + 1), g = 21/19."""
    return round(Fraction(21**bucket, 19**bucket) * Fraction(19, 20))


def quantile(buckets: Sequence[int], counts: Sequence[int], q: Fraction | float) -> int | None:
    """The latency in ms that a share `q` of the calls does not exceed; None without calls. Buckets must ascend."""
    total = sum(counts)
    if total == 0:
        return None
    share = Fraction(q).limit_denominator(10_000)
    rank = max(1, -(-total * share.numerator // share.denominator))
    seen = 0
    for bucket, count in zip(buckets, counts, strict=True):
        seen += count
        if seen >= rank:
            return middle_of(bucket)
    raise ValueError("q must be between 0 and 1")
