"""What is reserved before an attempt is sent."""

import random

import pytest

from llmclient._estimates import BINS, MOST_TYPES, Estimates, Lengths


def taught(output: int, times: int = 20) -> Estimates:
    estimates = Estimates()
    for _ in range(times):
        estimates.learn("triage", characters=700, input=200, output=output)
    return estimates


def test_at_first_a_token_is_three_and_a_half_characters_and_an_answer_a_thousand_tokens() -> None:
    estimates = Estimates()
    assert estimates.want("triage", characters=700, max_tokens=400) == (200, 400)
    assert estimates.want("triage", characters=701, max_tokens=64_000) == (201, 1_024)
    assert estimates.want(None, characters=0, max_tokens=None) == (0, 1_024)


def test_max_tokens_plays_no_part_once_the_lengths_are_known() -> None:
    estimates = taught(output=100)
    assert estimates.want("triage", characters=0, max_tokens=64_000).output == 115  # 1.2 ** 26
    assert estimates.want("triage", characters=0, max_tokens=64).output == 64
    assert taught(output=100, times=19).want("triage", characters=0, max_tokens=64_000).output == 1_024


def test_what_one_prompt_type_taught_is_not_believed_of_another() -> None:
    assert taught(output=10).want("summary", characters=700, max_tokens=None) == (200, 1_024)


def test_the_ratio_moves_fast_at_first_and_then_by_a_tenth() -> None:
    estimates = Estimates()
    estimates.learn("triage", characters=1_000, input=500, output=None)
    assert estimates.want("triage", characters=7_000, max_tokens=1).input == 2_750  # the mean of 2,000 and 3,500
    for _ in range(50):
        estimates.learn("triage", characters=1_000, input=500, output=None)
    assert estimates.want("triage", characters=7_000, max_tokens=1).input == pytest.approx(3_500, abs=5)
    estimates.learn("triage", characters=1_000, input=0, output=None)  # all of it read from the cache
    assert estimates.want("triage", characters=7_000, max_tokens=1).input == pytest.approx(3_150, abs=5)


def test_an_answer_that_does_not_tell_its_usage_teaches_nothing() -> None:
    estimates = Estimates()
    estimates.learn("triage", characters=700, input=None, output=None)
    estimates.learn("triage", characters=0, input=50, output=None)
    assert estimates.want("triage", characters=700, max_tokens=None) == (200, 1_024)


def test_ninety_five_of_a_hundred_answers_are_not_longer_and_it_is_a_fifth_too_much_at_most() -> None:
    dice = random.Random(1)
    lengths = Lengths()
    answers = [round(dice.lognormvariate(5, 0.8)) for _ in range(400)]
    for tokens in answers:
        lengths.add(tokens)
    exact = sorted(answers)[379]
    assert exact <= lengths.long() <= exact * 1.2 + 1


@pytest.mark.parametrize(("tokens", "long"), [(0, 1), (1, 1), (2, 3), (1_000, 1_021), (10**9, 418_667)])
def test_any_length_has_a_bin(tokens: int, long: int) -> None:
    lengths = Lengths()
    lengths.add(tokens)
    assert lengths.long() == long


def test_old_answers_are_forgotten() -> None:
    lengths = Lengths()
    for _ in range(2_000):
        lengths.add(1_000)
    for _ in range(1_200):
        lengths.add(10)
    assert lengths.long() == 11
    assert len(lengths._counts) == BINS


def test_more_prompt_types_than_anybody_has_share_one_entry() -> None:
    estimates = Estimates()
    for n in range(MOST_TYPES + 100):
        estimates.learn(f"type {n}", characters=700, input=200, output=10)
    assert len(estimates._types) == MOST_TYPES
    assert estimates.want("type 599", characters=0, max_tokens=None).output == 11
    assert estimates.want("unheard of", characters=0, max_tokens=None).output == 11
    assert estimates.want("type 0", characters=0, max_tokens=None).output == 1_024
