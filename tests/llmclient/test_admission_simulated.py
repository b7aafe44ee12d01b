"""An admission against the fake's buckets, callers and all, on a clock of its own: is the quota used, and kept?"""

import random
from typing import Any

import pytest

from llmclient import _policy
from llmclient._admission import Admission
from llmclient.testing._buckets import Limits
from tests.llmclient.simulation import Call, Prompt, Simulation, Tally

MINUTES = 60.0
LEARNED = 1 * MINUTES
SEEDS = (1, 2, 3)


def admissions(count: int = 1, **settings: Any) -> list[Admission]:
    return [Admission(_policy.Limits(**settings), chance=random.Random(n).random) for n in range(count)]


def requests(call: Call) -> int:
    return 1


def run(
    limits: Limits, prompt: Prompt, *, rate: float, seed: int, of: list[Admission], minutes: float = 15 * MINUTES
) -> Tally:
    """Callers at an even rate, about twice what the limits allow."""
    simulation = Simulation(of, limits, seed=seed)
    simulation.come(prompt, rate=rate, start=0.0, end=minutes)
    return simulation.run(minutes)


@pytest.mark.parametrize("seed", SEEDS)
def test_sixty_requests_a_minute_are_used_and_none_is_pushed_back(seed: int) -> None:
    tally = run(Limits(60, 10_000, 4_000), Prompt(characters=450), rate=120, seed=seed, of=admissions())
    assert tally.pushed_back == []
    assert 0.85 * 60 <= tally.per_minute(requests, LEARNED, 15 * MINUTES) <= 0.93 * 60
    assert tally.refused_in_line == []  # whoever was too many was told at the door
    assert max(tally.waits) <= 10.0


@pytest.mark.parametrize("seed", SEEDS)
def test_ten_thousand_input_tokens_a_minute_are_used_and_none_is_pushed_back(seed: int) -> None:
    tally = run(Limits(600, 10_000, 40_000), Prompt(characters=2_000), rate=40, seed=seed, of=admissions())
    assert tally.pushed_back == []
    assert 0.85 * 10_000 <= tally.per_minute(lambda call: call.input, LEARNED, 15 * MINUTES) <= 0.93 * 10_000


@pytest.mark.parametrize("seed", SEEDS)
def test_four_thousand_output_tokens_a_minute_are_used_whatever_max_tokens_says(seed: int) -> None:
    prompt = Prompt(output=150, max_tokens=8_000)
    tally = run(Limits(600, 100_000, 4_000), prompt, rate=50, seed=seed, of=admissions())
    assert tally.pushed_back == []
    # Until the lengths of the answers are known, twenty of them, a thousand tokens are reserved for each.
    assert 0.85 * 4_000 <= tally.per_minute(lambda call: call.output, 3 * MINUTES, 15 * MINUTES) <= 0.93 * 4_000


def test_a_thousand_requests_a_minute_are_reached_and_kept() -> None:
    tally = run(Limits(1_000, 2_000_000, 400_000), Prompt(), rate=1_500, seed=1, of=admissions(), minutes=300)
    assert tally.pushed_back == []
    assert 850 <= tally.per_minute(requests, 120, 300) <= 930
    assert tally.most_in_flight <= 64


def test_whoever_asks_for_less_than_the_quota_is_not_held_up() -> None:
    tally = run(Limits(60, 10_000, 4_000), Prompt(characters=300), rate=30, seed=1, of=admissions())
    assert (tally.pushed_back, tally.refused_at_the_door, tally.refused_in_line) == ([], [], [])
    assert sum(wait > 0 for wait in tally.waits) == 0


def test_a_crowd_at_the_start_is_pushed_back_a_few_times_at_most() -> None:
    tally = run(Limits(60, 100_000, 40_000), Prompt(), rate=6_000, seed=1, of=admissions(), minutes=60)
    assert len(tally.pushed_back) <= 4  # 64 are under way before anything is known, of 60 allowed
    assert all(at < 10 for at in tally.pushed_back)


@pytest.mark.parametrize("seed", SEEDS)
def test_four_processes_with_a_quarter_each_use_the_quota_together(seed: int) -> None:
    tally = run(Limits(60, 100_000, 40_000), Prompt(), rate=120, seed=seed, of=admissions(4, share=0.25))
    assert tally.pushed_back == []
    assert 0.85 * 60 <= tally.per_minute(requests, LEARNED, 15 * MINUTES) <= 0.93 * 60


def test_what_somebody_else_uses_of_the_quota_is_left_to_them() -> None:
    simulation = Simulation(admissions(), Limits(600, 1_000_000, 400_000))
    simulation.come(Prompt(), rate=600, start=0.0, end=420.0)
    simulation.take(300, start=0.0, end=420.0)
    tally = simulation.run(420.0)
    assert len(tally.pushed_back) <= 5
    assert tally.per_minute(requests, 180, 420) == pytest.approx(300, abs=10)


def test_push_backs_make_it_slower_until_they_end() -> None:
    """The other one begins in the middle: the first refusals are met while the headers still promise more."""
    simulation = Simulation(admissions(), Limits(60, 1_000_000, 400_000))
    simulation.come(Prompt(), rate=120, start=0.0, end=900.0)
    simulation.take(55, start=300.0, end=600.0)
    tally = simulation.run(900.0)
    answered = tally.per_minute(requests, 360, 600)
    assert len(tally.pushed_back) < 30  # of the 600 who came meanwhile
    assert answered >= 4
    assert tally.per_minute(requests, 720, 900) >= 0.85 * 60


def test_background_calls_get_a_tenth_when_interactive_ones_would_take_all() -> None:
    simulation = Simulation(admissions(max_wait=30), Limits(200, 1_000_000, 400_000))
    simulation.come(Prompt(), rate=300, start=0.0, end=600.0)
    simulation.come(Prompt(priority="background"), rate=100, start=0.0, end=600.0)
    tally = simulation.run(600.0)
    background = tally.per_minute(lambda call: int(call.prompt.priority == "background"), 120, 600)
    everybody = tally.per_minute(requests, 120, 600)
    assert 0.85 * 200 <= everybody <= 0.93 * 200
    assert 0.05 * everybody <= background <= 0.11 * everybody


def test_background_calls_have_what_interactive_ones_leave() -> None:
    simulation = Simulation(admissions(), Limits(200, 1_000_000, 400_000))
    simulation.come(Prompt(), rate=50, start=0.0, end=600.0)
    simulation.come(Prompt(priority="background"), rate=300, start=0.0, end=600.0)
    tally = simulation.run(600.0)
    interactive = tally.per_minute(lambda call: int(call.prompt.priority == "interactive"), 120, 600)
    assert interactive == pytest.approx(50, abs=5)
    assert tally.per_minute(requests, 120, 600) >= 0.85 * 200
