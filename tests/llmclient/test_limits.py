"""What the rate-limit headers say."""

import pytest

from llmclient import _limits, _usage
from llmclient._groups import Group
from llmclient._policy import Policy

PLENTY = {
    "requests_limit": 1_000,
    "requests_remaining": 800,
    "input_limit": 50_000,
    "input_remaining": 50_000,
    "output_limit": 9_000,
    "output_remaining": 8_000,
}


def test_the_snapshot_holds_what_the_headers_name_and_nothing_else() -> None:
    headers = {
        "anthropic-ratelimit-requests-limit": "1000",
        "anthropic-ratelimit-requests-remaining": "999",
        "anthropic-ratelimit-input-tokens-remaining": "0",
        "anthropic-ratelimit-output-tokens-limit": "many",
        "anthropic-ratelimit-tokens-limit": "5",
    }
    assert _limits.snapshot(headers) == {"requests_limit": 1000, "requests_remaining": 999, "input_remaining": 0}


def test_streamed_usage_replaces_and_never_adds() -> None:
    start = {"input_tokens": 10, "output_tokens": 1, "service_tier": "standard"}
    merged = _usage.merge(_usage.merge(start, {"output_tokens": 7}), {"output_tokens": 12, "input_tokens": None})
    assert merged == {"input_tokens": 10, "output_tokens": 12, "service_tier": "standard"}


def test_an_estimate_is_rounded_up() -> None:
    assert [_usage.estimate_tokens(n) for n in (0, 1, 3, 4, 7, 8)] == [0, 1, 1, 2, 2, 3]


@pytest.mark.parametrize(
    ("changed", "plenty"),
    [
        ({}, True),
        ({"requests_remaining": 501}, True),
        ({"requests_remaining": 500}, False),
        ({"output_remaining": 0}, False),
        ({"input_remaining": None}, False),
        ({"input_limit": None, "input_remaining": None}, False),
    ],
)
def test_more_than_half_of_every_limit_is_plenty(changed: dict[str, int | None], plenty: bool) -> None:
    limits = {name: value for name, value in {**PLENTY, **changed}.items() if value is not None}
    assert _limits.are_plenty(limits) is plenty


def test_while_there_is_plenty_one_answer_in_twenty_milliseconds_is_learned_from() -> None:
    group = Group("sonnet-5", Policy(), lambda *_: None)

    def left_after(answer: int, at: float) -> int:
        limits = {**PLENTY, "requests_remaining": answer}
        group.learn({}, limits, unix_now=1_800_000_000 + at, now=at, sent_at=at)
        level: int = group.snapshot(at)["limiter"]["buckets"]["requests"]["level"]
        return level

    # 15 requests a second come back: a fifth of one between two answers.
    assert [left_after(800, 10.0), left_after(700, 10.01), left_after(600, 10.025)] == [800, 800, 600]
    assert [left_after(500, 10.03), left_after(400, 10.031)] == [500, 400]
