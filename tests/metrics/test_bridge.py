"""The bridge between two costs: each cause alone goes to its own effect, and nothing is ever left over."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.bridge import Effect, Usage, bridge

# 1,000 calls of 1,000 + 200 tokens at 3 and 15 nano-dollars per token: as many hundredths of input tokens as
# 1,000 x (100 x 1,000 + 500 x 200), and 3,000,000 + 3,000,000 nano-dollars a thousand calls.
SONNET = Usage(1000, 6_000_000, input_tokens=1_000_000, output_tokens=200_000)
HAIKU = Usage(1000, 2_000_000, input_tokens=1_000_000, output_tokens=200_000)


def times(usage: Usage, factor: int) -> Usage:
    fields = {name: getattr(usage, name) * factor for name in Usage.__slots__}
    return Usage(**fields)


def only(effect: Effect, amount: int) -> dict[Effect, int]:
    return {each: amount if each is effect else 0 for each in Effect}


def test_more_calls_of_the_same_kind_are_volume() -> None:
    found = bridge({"sonnet": times(SONNET, 3)}, {"sonnet": SONNET})
    assert (found.before, found.now) == (6_000_000, 18_000_000)
    assert found.effects == only(Effect.VOLUME, 12_000_000)


def test_longer_prompts_are_tokens_per_request() -> None:
    longer = replace(SONNET, input_tokens=3_000_000, output_tokens=600_000, cost=18_000_000)
    assert bridge({"sonnet": longer}, {"sonnet": SONNET}).effects == only(Effect.TOKENS, 12_000_000)


def test_a_higher_price_is_price() -> None:
    dearer = replace(SONNET, cost=7_000_001)
    assert bridge({"sonnet": dearer}, {"sonnet": SONNET}).effects == only(Effect.PRICE, 1_000_001)


def test_prompts_from_the_cache_are_cache() -> None:
    # 900,000 of the tokens are read from the cache at a tenth: 2,700,000 nano-dollars become 270,000.
    cached = replace(SONNET, input_tokens=100_000, cache_read_tokens=900_000, cost=3_570_000)
    assert bridge({"sonnet": cached}, {"sonnet": SONNET}).effects == only(Effect.CACHE, -2_430_000)


def test_calls_that_go_to_another_model_are_mix() -> None:
    # 1,000 calls of each before; 500 of sonnet go to haiku. Cost of sonnet halves, that of haiku grows by a half.
    half = Usage(500, 3_000_000, input_tokens=500_000, output_tokens=100_000)
    more = Usage(1500, 3_000_000, input_tokens=1_500_000, output_tokens=300_000)
    found = bridge({"sonnet": half, "haiku": more}, {"sonnet": SONNET, "haiku": HAIKU})
    assert found.effects == only(Effect.MIX, -2_000_000)
    assert found.by_model["sonnet"] == only(Effect.MIX, -3_000_000)
    assert found.by_model["haiku"] == only(Effect.MIX, 1_000_000)


def test_two_causes_share_what_they_make_together_by_their_logarithms() -> None:
    # Twice the calls at twice the price: four times the cost, and both causes are the same factor.
    found = bridge({"sonnet": replace(times(SONNET, 2), cost=24_000_000)}, {"sonnet": SONNET})
    assert found.effects == {**only(Effect.VOLUME, 9_000_000), Effect.PRICE: 9_000_000}


def test_a_new_model_and_one_that_is_gone_are_mix() -> None:
    found = bridge({"haiku": HAIKU}, {"sonnet": SONNET})
    assert found.by_model["haiku"] == only(Effect.MIX, 2_000_000)
    assert found.by_model["sonnet"] == only(Effect.MIX, -6_000_000)


def test_from_nothing_and_to_nothing_is_volume() -> None:
    assert bridge({"sonnet": SONNET}, {}).effects == only(Effect.VOLUME, 6_000_000)
    assert bridge({}, {"sonnet": SONNET}).effects == only(Effect.VOLUME, -6_000_000)
    assert bridge({}, {}).effects == only(Effect.VOLUME, 0)


def test_a_model_whose_calls_all_failed_used_no_tokens() -> None:
    failed = Usage(1000, 0)
    assert bridge({"sonnet": failed}, {"sonnet": SONNET}).effects == only(Effect.TOKENS, -6_000_000)


def test_a_price_of_nothing_is_price() -> None:
    free = replace(SONNET, cost=0)
    assert bridge({"sonnet": SONNET}, {"sonnet": free}).effects == only(Effect.PRICE, 6_000_000)


def test_what_is_billed_without_tokens_is_price() -> None:
    searches = Usage(1000, 6_000_000)
    found = bridge({"sonnet": searches}, {"sonnet": replace(SONNET, cost=3_000_000)})
    assert found.effects == only(Effect.PRICE, 3_000_000)


counts = st.integers(0, 10**12)
usages = st.builds(Usage, counts, st.integers(0, 10**16), counts, counts, counts, counts, counts)
sides = st.dictionaries(st.sampled_from(["opus", "sonnet", "haiku", "(none)"]), usages)


def consistent(side: dict[str, Usage]) -> dict[str, Usage]:
    """Nothing is used, and nothing costs, without a call."""
    return {name: usage if usage.requests else Usage(0, 0) for name, usage in side.items()}


@given(sides, sides)
def test_the_effects_add_up_to_the_difference_to_the_nano_dollar(
    now: dict[str, Usage], before: dict[str, Usage]
) -> None:
    now, before = consistent(now), consistent(before)
    found = bridge(now, before)
    assert sum(found.effects.values()) == found.now - found.before
    assert found.now == sum(usage.cost for usage in now.values())
    for model, effects in found.by_model.items():
        assert sum(effects.values()) == now.get(model, Usage(0, 0)).cost - before.get(model, Usage(0, 0)).cost


@given(sides, sides)
def test_the_way_back_is_the_way_there_turned_round(now: dict[str, Usage], before: dict[str, Usage]) -> None:
    now, before = consistent(now), consistent(before)
    there, back = bridge(now, before), bridge(before, now)
    for effect in Effect:
        # Each model may be rounded by one nano-dollar.
        assert there.effects[effect] == pytest.approx(-back.effects[effect], abs=len(there.by_model))


@given(usages.filter(lambda usage: usage.requests > 0), st.integers(1, 1000))
def test_the_same_calls_more_often_are_volume_only(usage: Usage, factor: int) -> None:
    found = bridge({"sonnet": times(usage, factor)}, {"sonnet": usage})
    assert found.effects == only(Effect.VOLUME, usage.cost * (factor - 1))
