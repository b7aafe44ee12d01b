"""When a job is tried again, and why it is given up."""

from datetime import UTC, datetime, timedelta
from typing import Any

import anthropic
import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmclient._errors import CATEGORIES, Category
from llmclient._exceptions import BudgetExceeded, CircuitOpen, Deferred, FallbackExhausted, LocalRateLimited
from llmclient._fate import FAULTS, FULL, REASONS, UNPAID, Again, Reason, Rules, Trouble, after, trouble_of
from llmclient._policy import Budget

NOW = 1_800_000_000.0
RULES = Rules()


def fate(
    category: Category, asked: float | None = None, *, kind: str = "", chance: float = 0.0, **tried: Any
) -> Again | Reason:
    so_far = {"waits": 0, "faults": 0, "age": 0.0, "rules": RULES, **tried}
    return after(Trouble(category, asked, kind=kind), chance=lambda: chance, **so_far)


def refused(status: int, headers: dict[str, str], type_: str = "rate_limit_error") -> anthropic.APIStatusError:
    request = httpx2.Request("POST", "https://api.anthropic.com/v1/messages")
    body = {"type": "error", "error": {"type": type_, "message": "no"}}
    response = httpx2.Response(status, headers=headers, json=body, request=request)
    return anthropic.Anthropic(api_key="x")._make_status_error_from_response(response)


def test_every_failure_waits_counts_or_ends_the_job() -> None:
    waits = {each for each in CATEGORIES if isinstance(found := fate(each), Again) and not found.fault}
    counts = {each for each in CATEGORIES if isinstance(found := fate(each), Again) and found.fault}
    assert waits == FULL | UNPAID
    assert counts == FAULTS
    assert {each for each in CATEGORIES if fate(each) == "permanent"} == {
        "invalid_request",
        "permission",
        "not_found",
        "request_too_large",
        "context_window",
        "refusal",
        "truncated",
        "budget_exceeded",
        "input_rejected",
        "output_filtered",
        "fallback_exhausted",
    }


def test_what_claude_asks_to_wait_is_the_least_and_a_quarter_more_the_most() -> None:
    assert fate("rate_limit", 40.0) == Again(40.0, fault=False)
    assert fate("rate_limit", 40.0, chance=1.0) == Again(50.0, fault=False)


def test_nobody_waits_longer_than_the_longest_wait() -> None:
    assert fate("rate_limit", 7200.0) == Again(600.0, fault=False)
    assert fate("overloaded", waits=40) == Again(600.0, fault=False)


def test_waits_double_where_nobody_says_how_long() -> None:
    assert [fate("overloaded", waits=times) for times in range(4)] == [
        Again(5.0, fault=False),
        Again(10.0, fault=False),
        Again(20.0, fault=False),
        Again(40.0, fault=False),
    ]
    assert fate("connection", faults=2, waits=7) == Again(20.0, fault=True)
    assert fate("connection", faults=2, chance=1.0) == Again(10.0, fault=True)


def test_waiting_costs_no_attempt() -> None:
    assert fate("circuit_open", 30.0, waits=500, faults=7) == Again(30.0, fault=False)


def test_the_last_attempt_is_the_last() -> None:
    assert fate("server_error", faults=6) == Again(320.0, fault=True)
    assert fate("server_error", faults=7) == "attempts"
    assert fate("server_error", rules=Rules(attempts=1)) == "attempts"


def test_a_job_that_would_be_too_old_by_then_is_given_up_now() -> None:
    hour = Rules(max_age="1h")
    assert fate("rate_limit", 60.0, rules=hour, age=3540.0) == Again(60.0, fault=False)
    assert fate("rate_limit", 60.0, rules=hour, age=3541.0) == "expired"


def test_money_is_waited_for_at_the_slowest_pace() -> None:
    assert fate("spend_limit") == Again(600.0, fault=False)
    assert fate("billing", chance=1.0) == Again(450.0, fault=False)


def test_a_budget_is_waited_for_when_it_is_known_how_long() -> None:
    assert fate("budget_exceeded", 120.0) == Again(120.0, fault=False)
    assert fate("budget_exceeded") == "permanent"


def test_a_call_its_own_policy_deferred_is_not_tried_again() -> None:
    assert fate("other", kind="Deferred") == "permanent"
    assert (
        after(trouble_of(Deferred("t"), now=NOW), RULES, waits=0, faults=0, age=0.0, chance=lambda: 0.0) == "permanent"
    )


def test_an_exception_says_how_long_to_wait() -> None:
    at = datetime.fromtimestamp(NOW, UTC) + timedelta(seconds=90)
    budget = BudgetExceeded("no", budget=Budget(per="app", tokens=5), spent=5, limit=5, resets_at=at)
    errors = [
        LocalRateLimited("full", retry_after=7.5),
        CircuitOpen("down", retry_at=at),
        budget,
        refused(429, {"retry-after": "12"}),
        refused(529, {"retry-after-ms": "250"}, "overloaded_error"),
        refused(529, {}, "overloaded_error"),
    ]
    assert [(found.category, found.asked) for found in (trouble_of(error, now=NOW) for error in errors)] == [
        ("local_rate_limited", 7.5),
        ("circuit_open", 90.0),
        ("budget_exceeded", 90.0),
        ("rate_limit", 12.0),
        ("overloaded", 0.25),
        ("overloaded", None),
    ]


def test_behind_an_exhausted_chain_stands_what_claude_said() -> None:
    exhausted = FallbackExhausted("nothing could")
    exhausted.__cause__ = refused(429, {"retry-after": "12"})
    found = trouble_of(exhausted, now=NOW)
    assert (found.category, found.asked, found.kind) == ("rate_limit", 12.0, "RateLimitError")
    assert trouble_of(FallbackExhausted("without a cause"), now=NOW).category == "fallback_exhausted"


@pytest.mark.parametrize("wrong", [{"attempts": 0}, {"losses": 0}, {"max_age": "soon"}, {"longest_wait": 0}])
def test_rules_that_cannot_be_are_told_at_once(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Rules(**wrong)


@given(
    st.sampled_from(CATEGORIES),
    st.none() | st.floats(-1e6, 1e9),
    st.integers(0, 10_000),
    st.integers(0, 100),
    st.floats(0, 1e6),
    st.floats(0, 1, exclude_max=True),
)
def test_a_job_never_waits_beyond_its_end(
    category: Category, asked: float | None, waits: int, faults: int, age: float, chance: float
) -> None:
    found = fate(category, asked, waits=waits, faults=faults, age=age, chance=chance)
    if isinstance(found, Again):
        assert 0 < found.wait <= RULES.wait * 1.25
        assert age + found.wait <= RULES.age
        assert not found.fault or faults + 1 < RULES.attempts
    else:
        assert found in REASONS
