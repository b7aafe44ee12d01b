"""Whose content is kept."""

from uuid import UUID

import pytest

from llmclient._ids import MINTER
from llmclient._policy import Policy, Privacy
from llmclient._privacy._sampling import keeps_content, place

CALL = UUID("019a0000-0000-7000-8000-000000000000")


def share_of(share: float, calls: list[UUID]) -> float:
    policy = Policy(privacy=Privacy(sample=share))
    return sum(keeps_content(call, policy, None) for call in calls) / len(calls)


def test_a_call_has_its_place_for_ever() -> None:
    assert place(CALL) == 0.5308831597211298


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5, 0.9])
def test_of_calls_made_one_after_another_about_the_share_is_kept(share: float) -> None:
    calls = [MINTER.mint(1_800_000_000_000 + n // 50) for n in range(20_000)]
    assert share_of(share, calls) == pytest.approx(share, abs=0.015)


def test_all_and_none_are_exact() -> None:
    calls = [MINTER.mint(1_800_000_000_000) for _ in range(1_000)]
    assert (share_of(1.0, calls), share_of(0.0, calls)) == (1.0, 0.0)


def test_a_larger_share_keeps_the_same_calls_and_more() -> None:
    calls = [MINTER.mint(1_800_000_000_000 + n) for n in range(1_000)]
    kept = {
        share: {call for call in calls if keeps_content(call, Policy(privacy=Privacy(sample=share)), None)}
        for share in (0.1, 0.3)
    }
    assert kept[0.1] < kept[0.3]


def test_a_prompt_type_may_have_a_share_of_its_own() -> None:
    policy = Policy(privacy=Privacy(sample=0.0), prompts={"triage": {"privacy": Privacy(sample=1.0)}})
    assert keeps_content(CALL, policy, "triage")
    assert not keeps_content(CALL, policy, "report")
    assert not keeps_content(CALL, policy, None)
