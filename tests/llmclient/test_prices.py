"""The client's prices are the server's: held equal, and compared call by call."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ingest import pricelist
from ingest.usage import UsageError, read_usage
from llmclient import _billable, _prices
from tests import client_prices
from tests.ingest.shipped import BOOK

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC).timestamp()
SNAPSHOT = json.loads(client_prices.FILE.read_text())
MODELS = sorted({rate["model"] for rate in SNAPSHOT["rates"]})


@pytest.fixture(autouse=True)
def shipped_prices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_prices, "_book", None)


def unix(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def test_the_shipped_file_is_what_the_servers_list_makes() -> None:
    made = client_prices.text_of(client_prices.snapshot(pricelist.read()))
    assert client_prices.FILE.read_text() == made, "run: python -m tests.client_prices"


# --- by hand, in nano-dollars: 1 $ per million tokens is 1,000 a token -----------------------------------------------

EVERYTHING = {
    "input_tokens": 1000,
    "output_tokens": 100,
    "cache_read_input_tokens": 2000,
    "cache_creation_input_tokens": 450,
    "cache_creation": {"ephemeral_5m_input_tokens": 400, "ephemeral_1h_input_tokens": 50},
}


@pytest.mark.parametrize(
    ("more", "model", "nanousd"),
    [
        # Opus 5.5: 1,000 × 4,000 + 100 × 20,000 + 2,000 × 200 + 400 × 5,000 + 50 × 8,000
        ({}, "claude-opus-5-5", 8_800_000),
        # Without the split all 450 were written for five minutes: 400,000 - 250,000 less
        ({"cache_creation": None}, "claude-opus-5-5", 8_650_000),
        ({"service_tier": "batch"}, "claude-opus-5-5", 4_400_000),
        ({"speed": "fast"}, "claude-opus-5-5", 17_600_000),
        ({"speed": "fast", "service_tier": "batch"}, "claude-opus-5-5", 4_400_000),
        ({"inference_geo": "us"}, "claude-opus-5-5", 9_680_000),
        ({"inference_geo": "us", "speed": "fast"}, "claude-opus-5-5", 19_360_000),
        # Three searches at $10 per 1,000, whole whatever happens to the tokens
        ({"server_tool_use": {"web_search_requests": 3}, "service_tier": "batch"}, "claude-opus-5-5", 34_400_000),
        ({"service_tier": "priority"}, "claude-opus-5-5", 0),
        ({"service_tier": "priority", "server_tool_use": {"web_search_requests": 1}}, "claude-opus-5-5", 10_000_000),
        # Opus 4.5 has no surcharge for the US; 1,000 × 5,000 + 100 × 25,000 + 2,000 × 500 + 400 × 6,250 + 50 × 10,000
        ({"inference_geo": "us"}, "claude-opus-4-5", 11_500_000),
        ({}, "claude-opus-4-5-20251101", 11_500_000),
        ({"speed": "fast"}, "claude-opus-4-5", None),
        ({}, "claude-nobody-1", None),
        # A compaction is billed apart: 1,000 × 4,000 + 10 × 20,000 more
        (
            {"iterations": [{"type": "compaction", "input_tokens": 1000, "output_tokens": 10}, {"type": "message"}]},
            "claude-opus-5-5",
            13_000_000,
        ),
        # An advisor at its own price, Haiku 4.5: 1,000 × 1,000 + 10 × 5,000, standard although the call was fast
        (
            {
                "speed": "fast",
                "iterations": [
                    {
                        "type": "advisor_message",
                        "model": "claude-haiku-4-5",
                        "input_tokens": 1000,
                        "output_tokens": 10,
                    }
                ],
            },
            "claude-opus-5-5",
            18_650_000,
        ),
        ({"iterations": [{"type": "advisor_message", "model": "claude-nobody-1"}]}, "claude-opus-5-5", None),
        ({"input_tokens": -1}, "claude-opus-5-5", None),
        ({"input_tokens": True}, "claude-opus-5-5", None),
    ],
)
def test_a_call_costs_what_the_price_page_says(more: dict[str, Any], model: str, nanousd: int | None) -> None:
    assert _prices.cost({**EVERYTHING, **more}, model, NOON) == nanousd


@pytest.mark.parametrize(
    ("model", "when", "tokens", "nanousd"),
    [
        # Haiku 5.5 at the cliff: 100,000 × 100, and one more makes all of them dear: 100,001 × 500
        ("claude-haiku-5-5", "2026-11-22", 100_000, 10_000_000),
        ("claude-haiku-5-5", "2026-11-22", 100_001, 50_000_500),
        # The long prices of Opus 4.6 ended at a midnight: 200,001 × 10,000, then × 5,000
        ("claude-opus-4-6", "2026-03-12T23:59:59.999999", 200_001, 2_000_010_000),
        ("claude-opus-4-6", "2026-03-13", 200_001, 1_000_005_000),
        ("claude-opus-4-6", "2024-12-31", 1, None),
    ],
)
def test_prices_have_dates_and_cliffs(model: str, when: str, tokens: int, nanousd: int | None) -> None:
    assert _prices.cost({"input_tokens": tokens}, model, unix(when)) == nanousd


# --- compared with the server --------------------------------------------------------------------------------------

COUNTS = st.none() | st.integers(0, 300_000) | st.sampled_from([0, 1, 100_000, 100_001, 200_000, 200_001, 2**31 - 1])
ODD = st.sampled_from([-1, 2**31, 1.0, 0.5, True, "1", [], {}])
SPLITS = st.none() | st.fixed_dictionaries(
    {}, optional={"ephemeral_5m_input_tokens": COUNTS, "ephemeral_1h_input_tokens": COUNTS}
)
TOKENS = {
    "input_tokens": COUNTS,
    "output_tokens": COUNTS,
    "cache_read_input_tokens": COUNTS,
    "cache_creation_input_tokens": COUNTS,
    "cache_creation": SPLITS,
}
ASKED = st.sampled_from([*MODELS, *(f"{model}-20251101" for model in MODELS), "claude-opus-9", "gpt", ""])
ITERATIONS = st.fixed_dictionaries(
    {"type": st.sampled_from(["message", "compaction", "advisor_message", "fallback_message"])},
    optional={**TOKENS, "model": st.none() | ASKED},
)
USAGES = st.fixed_dictionaries(
    {},
    optional={
        **TOKENS,
        "service_tier": st.sampled_from([None, "standard", "priority", "batch"]),
        "speed": st.sampled_from([None, "standard", "fast"]),
        "inference_geo": st.sampled_from([None, "us", "global"]),
        "server_tool_use": st.none() | st.fixed_dictionaries({}, optional={"web_search_requests": st.integers(0, 99)}),
        "iterations": st.none() | st.lists(ITERATIONS, max_size=3),
    },
)
PLACES = st.sampled_from([*TOKENS, "server_tool_use", "iterations"])
DATES = ("2024-12-31", "2025-01-01", "2026-03-13", "2026-04-30", "2026-10-07", "2026-11-22", "2026-11-30")
TIMES = st.builds(lambda day, off: unix(day) + off, st.sampled_from(DATES), st.sampled_from([-1, -0.5, 0, 0.5, 43_200]))


def by_the_server(usage: dict[str, Any], model: str, at: float) -> int | None:
    try:
        cost = BOOK.price(read_usage(usage), model, datetime.fromtimestamp(at, UTC))
    except UsageError:
        return None
    return None if cost is None else cost.nanousd


@settings(max_examples=2_000, deadline=None)
@given(USAGES, ASKED, TIMES)
def test_every_cost_is_the_servers_to_the_nano_dollar(usage: dict[str, Any], model: str, at: float) -> None:
    assert _prices.cost(usage, model, at) == by_the_server(usage, model, at)


@settings(max_examples=300, deadline=None)
@given(USAGES, PLACES, ODD)
@example({}, "cache_creation", {"ephemeral_5m_input_tokens": 1.0})
def test_what_the_server_cannot_read_is_unknown_here_too(usage: dict[str, Any], place: str, odd: object) -> None:
    broken = {**usage, place: odd}
    assert _prices.cost(broken, "claude-opus-5-5", NOON) == by_the_server(broken, "claude-opus-5-5", NOON)
    try:
        read = read_usage(broken).tokens
    except UsageError:
        assert _billable.tokens(broken) is None
    else:
        assert _billable.tokens(broken) == read


# --- what budgets reserve and count ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "more", "nanousd"),
    [
        ("claude-sonnet-5-5", {}, 1000 * 2000 + 100 * 10_000),
        ("claude-sonnet-5-5", {"us_only": True}, 3_300_000),
        # All of it might be written to the cache for an hour: 1,000 × 4,000
        ("claude-sonnet-5-5", {"bound": True}, 1000 * 4000 + 100 * 10_000),
        ("claude-opus-5-5", {"fast": True}, 2 * (1000 * 4000 + 100 * 20_000)),
        # Sonnet 9 is not known; the dearest Sonnet at noon is 4.5 or 4.6
        ("claude-sonnet-9", {}, 1000 * 3000 + 100 * 15_000),
        # Nor is Sonnet fast; the most anybody asks for being fast is twice the price
        ("claude-sonnet-9", {"fast": True}, 2 * (1000 * 3000 + 100 * 15_000)),
        # Of the family nothing is known at all: the dearest model there is, Fable 5
        ("claude-verse-1", {}, 1000 * 10_000 + 100 * 50_000),
        ("", {}, 1000 * 10_000 + 100 * 50_000),
    ],
)
def test_an_estimate_is_the_price_or_the_dearest_of_the_family(model: str, more: dict[str, Any], nanousd: int) -> None:
    assert _prices.estimate(model, 1000, 100, NOON, **more) == nanousd


def test_an_estimate_is_rounded_up_and_knows_the_cliff() -> None:
    # Haiku 5.5 in the US: 3 × 100 × 1.1 = 330; one token of a cached one would be 11
    assert _prices.estimate("claude-haiku-5-5", 3, 0, NOON, us_only=True) == 330
    assert _prices.estimate("claude-haiku-5-5", 100_001, 0, NOON) == 50_000_500
    assert _prices.estimate("claude-haiku-5-5", -5, 0, NOON) == 0
    assert _prices.estimate("claude-opus-5-5", 1000, 0, unix("2020-01-01")) > 0


def test_what_has_no_price_is_charged_as_the_dearest_of_its_family() -> None:
    used = {"input_tokens": 1000, "output_tokens": 100}
    assert _prices.cost(used, "claude-sonnet-9", NOON) is None
    assert _prices.charge(used, "claude-sonnet-9", NOON) == 4_500_000
    assert _prices.charge(used, "claude-sonnet-5-5", NOON) == 3_000_000
    assert _prices.charge({"input_tokens": "many"}, "claude-sonnet-5-5", NOON) is None
    # 300,000 × 3,000: the long prices of Sonnet 4.5 and 4.6 have ended.
    assert _prices.charge({"input_tokens": 300_000}, "claude-sonnet-9", NOON) == 900_000_000


@settings(max_examples=300, deadline=None)
@given(USAGES, ASKED, TIMES)
def test_a_known_cost_is_the_charge(usage: dict[str, Any], model: str, at: float) -> None:
    cost = _prices.cost(usage, model, at)
    charged = _prices.charge(usage, model, at)
    assert charged == cost if cost is not None else charged is None or charged >= 0


@given(ASKED, st.integers(0, 250_000), st.integers(0, 5_000), TIMES)
def test_a_bound_is_never_below_what_a_call_of_so_many_tokens_costs(model: str, into: int, out: int, at: float) -> None:
    written = {"cache_creation_input_tokens": into, "output_tokens": out}
    for usage in ({"input_tokens": into, "output_tokens": out}, written):
        assert (_prices.cost(usage, model, at) or 0) <= _prices.estimate(model, into, out, at, bound=True)


# --- another snapshot -----------------------------------------------------------------------------------------------


def test_a_newer_snapshot_takes_the_place_of_the_shipped_one() -> None:
    assert _prices.current().version == SNAPSHOT["version"]
    dearer = {**SNAPSHOT["rates"][0], "model": "claude-opus-5-5", "short": [1, 2, 3, 4, 5]}
    _prices.replace({"version": "2027-01-01", "rates": [dearer]})
    assert _prices.current().version == "2027-01-01"
    assert _prices.cost({"input_tokens": 10}, "claude-opus-5-5", NOON) == 10
    assert _prices.cost({"input_tokens": 10}, "claude-haiku-5-5", NOON) is None


RATE = SNAPSHOT["rates"][0]


@pytest.mark.parametrize(
    "broken",
    [
        {},
        {"version": "1"},
        {"version": "1", "rates": []},
        {"version": "1", "rates": 7},
        {"version": "1", "rates": ["x"]},
        *(
            {"version": "1", "rates": [{**RATE, name: value}]}
            for name, value in (
                ("short", [1, 2, 3, 4]),
                ("short", [1, 2, 3, 4, -5]),
                ("short", [1, 2, 3, 4, 0.5]),
                ("short", None),
                ("long", [1, 2, 3, 4, 5]),  # without a threshold
                ("batch", [1, 0]),
                ("fast", 2),
                ("us", "11"),
                ("search", None),
                ("since", "2025-01-01"),
                ("until", "never"),
                ("model", None),
            )
        ),
    ],
)
def test_a_snapshot_that_cannot_be_read_changes_nothing(broken: dict[str, Any]) -> None:
    before = _prices.current()
    with pytest.raises(ValueError, match=r"."):
        _prices.replace(broken)
    assert _prices.current() is before
