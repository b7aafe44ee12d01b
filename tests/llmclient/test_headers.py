"""The headers of an answer."""

import httpx2

from llmclient._headers import plain

SAID = {
    "Request-Id": "req_1",
    "anthropic-ratelimit-input-tokens-limit": "100",
    "anthropic-fast-input-tokens-limit": "7",
}


def test_names_are_in_small_letters() -> None:
    found = plain(httpx2.Response(200, headers=SAID))
    assert found["request-id"] == "req_1"
    assert found["anthropic-ratelimit-input-tokens-limit"] == "100"


def test_of_a_fast_call_the_limits_are_those_of_the_fast_pool() -> None:
    found = plain(httpx2.Response(200, headers=SAID), fast=True)
    assert found["request-id"] == "req_1"
    assert found["anthropic-ratelimit-input-tokens-limit"] == "7"
    assert len(found) == 3


def test_what_nobody_reads_is_left_out_however_it_is_spelled() -> None:
    said = {"Content-Type": "application/json", "Anthropic-Ratelimit-Tokens-Limit": "9", "DATE": "today", **SAID}
    found = plain(httpx2.Response(200, headers=said))
    assert set(found) == {"date", *(name.lower() for name in SAID)}
