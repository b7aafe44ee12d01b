"""The provider's usage object, trap by trap."""

import subprocess
import sys
from typing import Any

import pytest
from msgspec.structs import replace

from ingest.usage import MOST_TOKENS, Part, Usage, UsageError, read_usage, recall


def test_cache_tokens_are_additive_to_input_tokens_and_never_subtracted() -> None:
    raw = {
        "input_tokens": 100,
        "output_tokens": 7,
        "cache_read_input_tokens": 5000,
        "cache_creation_input_tokens": 300,
        "cache_creation": {"ephemeral_5m_input_tokens": 200, "ephemeral_1h_input_tokens": 100},
    }
    assert read_usage(raw) == Usage(
        input_tokens=100,
        output_tokens=7,
        cache_read_tokens=5000,
        cache_write_5m_tokens=200,
        cache_write_1h_tokens=100,
    )


@pytest.mark.parametrize(
    ("raw", "writes"),
    [
        ({"cache_creation_input_tokens": 300}, (300, 0)),
        ({"cache_creation_input_tokens": 300, "cache_creation": None}, (300, 0)),
        ({"cache_creation": {"ephemeral_5m_input_tokens": 40, "ephemeral_1h_input_tokens": 2}}, (40, 2)),
        # The last message of a stream raised the sum; the split of its first message is older.
        (
            {
                "cache_creation_input_tokens": 350,
                "cache_creation": {"ephemeral_5m_input_tokens": 200, "ephemeral_1h_input_tokens": 100},
            },
            (250, 100),
        ),
        # A split larger than the sum is not cut down to it.
        (
            {
                "cache_creation_input_tokens": 10,
                "cache_creation": {"ephemeral_5m_input_tokens": 20, "ephemeral_1h_input_tokens": 5},
            },
            (20, 5),
        ),
    ],
)
def test_cache_writes_without_a_split_count_as_five_minutes(raw: dict[str, Any], writes: tuple[int, int]) -> None:
    usage = read_usage(raw)
    assert (usage.cache_write_5m_tokens, usage.cache_write_1h_tokens) == writes


def test_thinking_tokens_are_part_of_the_output_and_not_added() -> None:
    raw = {"input_tokens": 1, "output_tokens": 900, "output_tokens_details": {"thinking_tokens": 800}}
    assert read_usage(raw).output_tokens == 900


def test_searches_count_and_fetches_are_free() -> None:
    usage = read_usage({"server_tool_use": {"web_search_requests": 3, "web_fetch_requests": 9}})
    assert usage == Usage(web_searches=3)


def test_tier_speed_and_place_are_read() -> None:
    assert read_usage({"service_tier": "batch", "speed": "fast", "inference_geo": "us"}) == Usage(
        batch=True, fast=True, us_only=True
    )
    assert read_usage({"service_tier": "priority"}) == Usage(priority=True)
    assert read_usage({"service_tier": "standard", "speed": "standard", "inference_geo": "global"}) == Usage()


def test_null_and_missing_counts_are_nothing() -> None:
    raw = {
        "input_tokens": 5,
        "output_tokens": None,
        "cache_read_input_tokens": None,
        "server_tool_use": None,
        "iterations": None,
        "a_key_of_next_month": {"deep": [1]},
    }
    assert read_usage(raw) == Usage(input_tokens=5)


def test_compaction_tokens_are_added_and_message_iterations_are_not() -> None:
    raw = {
        "input_tokens": 1000,
        "output_tokens": 50,
        "iterations": [
            {"type": "compaction", "input_tokens": 180_000, "output_tokens": 3500, "cache_read_input_tokens": 20},
            {"type": "message", "input_tokens": 1000, "output_tokens": 50},
        ],
    }
    usage = read_usage(raw)
    assert (usage.input_tokens, usage.output_tokens, usage.cache_read_tokens) == (181_000, 3550, 20)
    assert usage.parts == (
        Part(None, Usage(input_tokens=1000, output_tokens=50)),
        Part(None, Usage(input_tokens=180_000, output_tokens=3500, cache_read_tokens=20)),
    )


def test_an_advisor_is_added_under_its_own_model_at_standard_speed() -> None:
    raw = {
        "input_tokens": 400,
        "output_tokens": 100,
        "speed": "fast",
        "inference_geo": "us",
        "iterations": [
            {"type": "advisor_message", "model": "claude-opus-5-5", "input_tokens": 800, "output_tokens": 500},
        ],
    }
    usage = read_usage(raw)
    assert (usage.input_tokens, usage.output_tokens) == (1200, 600)
    assert usage.parts[1] == Part("claude-opus-5-5", Usage(input_tokens=800, output_tokens=500, us_only=True))


def test_iterations_of_the_message_alone_change_nothing() -> None:
    raw = {"input_tokens": 10, "output_tokens": 2, "iterations": [{"type": "message", "input_tokens": 10}]}
    assert read_usage(raw) == Usage(input_tokens=10, output_tokens=2)


@pytest.mark.parametrize(
    ("raw", "field", "reason"),
    [
        ({"input_tokens": -1}, "input_tokens", "must be between 0 and 2,147,483,647"),
        ({"output_tokens": MOST_TOKENS + 1}, "output_tokens", "must be between 0 and 2,147,483,647"),
        ({"input_tokens": 1.0}, "input_tokens", "must be a whole number"),
        ({"input_tokens": float("nan")}, "input_tokens", "must be a whole number"),
        ({"input_tokens": True}, "input_tokens", "must be a whole number"),
        ({"input_tokens": "12"}, "input_tokens", "must be a whole number"),
        ({"cache_creation": 5}, "cache_creation", "must be an object"),
        (
            {"cache_creation": {"ephemeral_1h_input_tokens": []}},
            "cache_creation.ephemeral_1h_input_tokens",
            "must be a whole number",
        ),
        ({"server_tool_use": "x"}, "server_tool_use", "must be an object"),
        (
            {"server_tool_use": {"web_search_requests": 40_000}},
            "server_tool_use.web_search_requests",
            "must be between 0 and 32,767",
        ),
        ({"iterations": {}}, "iterations", "must be a list"),
        ({"iterations": [7]}, "iterations[0]", "must be an object"),
        ({"iterations": [{"type": "advisor_message", "model": 5}]}, "iterations[0].model", "must be a string"),
        (
            {"iterations": [{"type": "compaction", "output_tokens": -5}]},
            "iterations[0].output_tokens",
            "must be between 0 and 2,147,483,647",
        ),
        (
            {"input_tokens": MOST_TOKENS, "iterations": [{"type": "compaction", "input_tokens": 1}]},
            "iterations",
            "add up to more than 2,147,483,647 tokens",
        ),
    ],
)
def test_a_usage_that_cannot_be_read_names_the_field(raw: dict[str, Any], field: str, reason: str) -> None:
    with pytest.raises(UsageError) as refused:
        read_usage(raw)
    assert (refused.value.field, refused.value.reason) == (field, reason)


def test_types_that_cannot_be_hashed_are_no_tier() -> None:
    assert read_usage({"service_tier": ["batch"], "speed": {}, "inference_geo": []}) == Usage()
    assert read_usage({"iterations": [{"type": ["compaction"], "input_tokens": 5}]}) == Usage()


def test_stored_totals_are_told_apart_again() -> None:
    raw = {
        "input_tokens": 1000,
        "output_tokens": 50,
        "cache_creation_input_tokens": 7,
        "service_tier": "batch",
        "server_tool_use": {"web_search_requests": 2},
        "iterations": [
            {"type": "compaction", "input_tokens": 180_000, "output_tokens": 3500, "cache_creation_input_tokens": 11},
            {"type": "advisor_message", "model": "claude-opus-5-5", "output_tokens": 9},
            {"type": "message", "input_tokens": 1000, "output_tokens": 50},
        ],
    }
    usage = read_usage(raw)
    assert usage.cache_write_5m_tokens == 18
    assert recall(replace(usage, parts=()), raw["iterations"]) == usage
    assert recall(Usage(input_tokens=5), []) == Usage(input_tokens=5)


# The first calls of a web process arrive on all of its threads at once.
_READ_BY_EIGHT_THREADS = """
import sys, threading
from ingest.usage import read_usage

sys.setswitchinterval(1e-6)
together = threading.Barrier(8)

def read():
    together.wait()
    assert read_usage({"cache_creation": {"ephemeral_1h_input_tokens": 7}}).cache_write_1h_tokens == 7

threads = [threading.Thread(target=read) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""


def test_the_first_usage_of_a_process_may_be_read_by_many_threads_at_once() -> None:
    ended = [subprocess.run([sys.executable, "-c", _READ_BY_EIGHT_THREADS], check=False) for _ in range(5)]
    assert [one.returncode for one in ended] == [0] * 5
