"""Rate limits: buckets and headers, by hand."""

from datetime import UTC, datetime

import pytest

from llmclient._models import group_of
from llmclient.testing._buckets import Bucket, Limits, Pool

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def test_a_bucket_starts_full_and_refills_its_limit_once_a_minute() -> None:
    bucket = Bucket(60)
    bucket.debit(60)
    assert bucket.level == 0
    bucket.refill(1.0)
    assert bucket.level == 1.0
    bucket.refill(31.0)
    assert bucket.level == 31.0
    bucket.refill(1000.0)
    assert bucket.level == 60.0


def test_a_clock_that_stands_still_or_goes_back_adds_nothing() -> None:
    bucket = Bucket(60, at=10.0)
    bucket.debit(60)
    bucket.refill(10.0)
    bucket.refill(4.0)
    assert bucket.level == 0
    assert bucket.at == 10.0


def test_the_wait_is_the_missing_amount_over_the_refill() -> None:
    bucket = Bucket(120)
    bucket.debit(120)
    assert bucket.wait(1) == 0.5
    assert bucket.wait(120) == 60.0
    assert bucket.full_in() == 60.0


def test_more_than_a_whole_bucket_waits_only_until_the_bucket_is_full() -> None:
    bucket = Bucket(1000)
    assert bucket.wait(5000) == 0.0
    bucket.debit(5000)
    assert bucket.level == -4000
    assert bucket.wait(5000) == 300.0


def test_a_pool_lets_in_what_fits_and_says_when_the_rest_would() -> None:
    pool = Pool(Limits(requests=60, input_tokens=6000, output_tokens=600), now=0.0)
    assert pool.admit(6000, 0.0) is None
    assert pool.admit(100, 0.0) == 1.0
    assert pool.admit(100, 1.0) is None
    assert pool.requests.level == 59.0


def test_a_refused_request_takes_nothing() -> None:
    pool = Pool(Limits(requests=60, input_tokens=6000, output_tokens=600), now=0.0)
    pool.admit(6000, 0.0)
    pool.admit(1, 0.0)
    assert pool.requests.level == 59.0
    assert pool.input.level == 0.0


def test_output_counts_when_it_is_generated_and_then_holds_back_the_next_call() -> None:
    pool = Pool(Limits(requests=60, input_tokens=6000, output_tokens=600), now=0.0)
    assert pool.admit(1, 0.0) is None
    pool.settle(640, 0.0)
    assert pool.output.level == -40.0
    assert pool.admit(1, 0.0) == pytest.approx(4.1)


def test_the_headers_carry_limit_remaining_and_the_instant_of_full_replenishment() -> None:
    pool = Pool(Limits(requests=1000, input_tokens=2_000_000, output_tokens=400_000), now=0.0)
    pool.admit(21_600, 0.0)
    pool.settle(1_400, 0.0)
    assert pool.headers(NOON) == [
        ("anthropic-ratelimit-requests-limit", "1000"),
        ("anthropic-ratelimit-requests-remaining", "999"),
        ("anthropic-ratelimit-requests-reset", "2026-11-22T12:00:01Z"),
        # 98.92 % of the input is left and 99.65 % of the output: the input limit is the tighter one.
        ("anthropic-ratelimit-tokens-limit", "2000000"),
        ("anthropic-ratelimit-tokens-remaining", "1978000"),
        ("anthropic-ratelimit-tokens-reset", "2026-11-22T12:00:01Z"),
        ("anthropic-ratelimit-input-tokens-limit", "2000000"),
        ("anthropic-ratelimit-input-tokens-remaining", "1978000"),
        ("anthropic-ratelimit-input-tokens-reset", "2026-11-22T12:00:01Z"),
        ("anthropic-ratelimit-output-tokens-limit", "400000"),
        ("anthropic-ratelimit-output-tokens-remaining", "399000"),
        ("anthropic-ratelimit-output-tokens-reset", "2026-11-22T12:00:01Z"),
    ]


def test_remaining_is_never_below_zero_and_a_full_bucket_is_full_now() -> None:
    pool = Pool(Limits(requests=1000, input_tokens=2_000_000, output_tokens=1_000), now=0.0)
    pool.settle(5_000, 0.0)
    headers = dict(pool.headers(NOON))
    assert headers["anthropic-ratelimit-output-tokens-remaining"] == "0"
    assert headers["anthropic-ratelimit-output-tokens-reset"] == "2026-11-22T12:05:00Z"
    assert headers["anthropic-ratelimit-requests-reset"] == "2026-11-22T12:00:00Z"


@pytest.mark.parametrize(
    ("model", "group"),
    [
        ("claude-opus-5-5", "opus-5"),
        ("claude-opus-5", "opus-5"),
        ("claude-sonnet-4-5-20250929", "sonnet-4"),
        ("claude-haiku-5-5", "haiku-5"),
    ],
)
def test_models_of_one_generation_share_a_pool(model: str, group: str) -> None:
    assert group_of(model) == group
    assert group_of(model, fast=True) == f"{group} fast"
