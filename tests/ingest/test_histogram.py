"""Latency buckets: exact bounds, a stated error."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.histogram import LARGEST_MS, UPPER_MS, bucket_of, middle_of, quantile


@pytest.mark.parametrize(
    ("ms", "bucket"),
    [(0, 0), (1, 0), (2, 7), (10, 24), (11, 24), (12, 25), (1000, 70), (1200, 71), (120_000, 117), (120_001, 117)],
)
def test_a_latency_is_in_the_bucket_whose_bound_is_the_next_power_of_21_19ths(ms: int, bucket: int) -> None:
    assert bucket_of(ms) == bucket


@given(st.integers(1, LARGEST_MS))
def test_a_bucket_begins_where_the_one_before_ends(ms: int) -> None:
    bucket = bucket_of(ms)
    assert ms <= UPPER_MS[bucket]
    assert bucket == 0 or ms > UPPER_MS[bucket - 1]
    assert bucket <= 32_767


@given(st.integers(1, LARGEST_MS))
def test_the_middle_is_within_5_percent_and_half_a_millisecond(ms: int) -> None:
    assert abs(Fraction(middle_of(bucket_of(ms)) - ms)) <= Fraction(5, 100) * ms + Fraction(1, 2)


@pytest.mark.parametrize(("bucket", "middle"), [(0, 1), (7, 2), (24, 10), (70, 1048), (71, 1158)])
def test_the_middle_of_a_bucket(bucket: int, middle: int) -> None:
    assert middle_of(bucket) == middle


@pytest.mark.parametrize(
    ("buckets", "counts", "q", "bucket"),
    [
        ([70], [1], 0.5, 70),
        ([70, 80, 90], [1, 1, 1], 0.5, 80),
        ([70, 90], [95, 5], 0.95, 70),
        ([70, 90], [94, 6], 0.95, 90),
        ([70, 90], [99, 1], Fraction(99, 100), 70),
        ([70, 90], [98, 2], 0.99, 90),
        ([70, 90], [1, 1], 0, 70),
        ([70, 90], [1, 1], 1, 90),
    ],
)
def test_a_quantile_is_the_call_at_that_rank(buckets: list[int], counts: list[int], q: float, bucket: int) -> None:
    assert quantile(buckets, counts, q) == middle_of(bucket)


def test_without_calls_there_is_no_quantile() -> None:
    assert quantile([], [], 0.5) is None
    assert quantile([3], [0], 0.5) is None


def test_a_share_above_one_is_an_error() -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        quantile([3], [1], 1.5)
