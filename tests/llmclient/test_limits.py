"""What the rate-limit headers say."""

from llmclient import _limits, _usage


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
