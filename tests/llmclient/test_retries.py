"""Retries are few, wait with jitter, and stop for a reason that is told. Waits are worked out by hand."""

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmclient._errors import CATEGORIES, Category
from llmclient._policy import Retry
from llmclient._retries import Retries, RetryBudget, StoppedBy

QUIET: dict[str, Any] = {"retry_after": None, "should_retry": None, "remaining": 60.0, "shown": False}
RETRIED = {"timeout", "connection", "rate_limit", "ramp_limit", "overloaded", "server_error", "stream_interrupted"}
PERSUADED = RETRIED | {
    "invalid_request",
    "authentication",
    "permission",
    "not_found",
    "request_too_large",
    "context_window",
    "other",
}


def half() -> float:
    return 0.5


def retries(attempts: int = 3, budget: RetryBudget | None = None) -> Retries:
    return Retries(Retry(attempts=attempts), budget or RetryBudget(None), chance=half)


def asked(one: Retries, category: Category, **said: Any) -> tuple[float | None, StoppedBy | None]:
    return one.next_wait(category, **QUIET | said), one.stopped_by


@pytest.mark.parametrize("category", CATEGORIES)
@pytest.mark.parametrize("said", [None, "true", "maybe"])
def test_what_is_worth_another_try(category: Category, said: str | None) -> None:
    worthwhile = category in (PERSUADED if said == "true" else RETRIED)
    outcome = asked(retries(), category, should_retry=said)
    assert (outcome[1] is None, outcome[0] is not None) == (worthwhile, worthwhile)
    assert outcome[1] in (None, "category")


def test_what_is_final_stays_so_whatever_the_server_says() -> None:
    final = {category for category in CATEGORIES if asked(retries(), category, should_retry="true")[0] is None}
    assert {"spend_limit", "billing", "cancelled", "refusal", "truncated", "circuit_open", "input_rejected"} <= final


@pytest.mark.parametrize("category", sorted(RETRIED))
def test_the_server_can_forbid_it(category: Category) -> None:
    assert asked(retries(), category, should_retry="false") == (None, "server")


def test_a_conflict_is_worth_another_try() -> None:
    assert asked(retries(), "invalid_request", status=409) == (0.25, None)
    assert asked(retries(), "invalid_request", status=400) == (None, "category")
    assert asked(retries(), "invalid_request", status=409, should_retry="false") == (None, "server")


@pytest.mark.parametrize(
    ("category", "waits"),
    [
        ("server_error", [0.25, 0.5, 1.0, 2.0, 4.0, 4.0]),  # half of 0.5, doubled up to 8
        ("connection", [0.25, 0.5, 1.0, 2.0, 4.0, 4.0]),
        ("overloaded", [0.5, 1.0, 2.0, 4.0, 8.0, 10.0, 10.0]),  # half of 1, doubled up to 20
    ],
)
def test_the_wait_is_anything_up_to_a_doubling_bound(category: Category, waits: list[float]) -> None:
    one = retries(attempts=len(waits) + 1)
    assert [asked(one, category) for _ in waits] == [(wait, None) for wait in waits]
    assert asked(one, category) == (None, "attempts")


def test_the_bounds_are_those_of_the_policy() -> None:
    rules = Retry(attempts=9, base=2.0, cap=3.0, overloaded_base=4.0, overloaded_cap=5.0)
    one = Retries(rules, RetryBudget(None), chance=half)
    assert [asked(one, c)[0] for c in ("server_error", "server_error", "overloaded")] == [1.0, 1.5, 2.5]


def test_a_thousand_and_more_attempts_do_not_overflow() -> None:
    one = retries(attempts=5000)
    assert {asked(one, "server_error")[0] for _ in range(4999)} == {0.25, 0.5, 1.0, 2.0, 4.0}


@pytest.mark.parametrize(("attempts", "allowed"), [(1, 0), (2, 1), (3, 2)])
def test_there_are_no_more_attempts_than_allowed(attempts: int, allowed: int) -> None:
    one = retries(attempts)
    assert [asked(one, "server_error")[1] for _ in range(3)] == [None] * allowed + ["attempts"] * (3 - allowed)


def test_a_timeout_is_retried_once_as_it_may_have_been_billed() -> None:
    one = retries(attempts=9)
    assert asked(one, "timeout") == (0.25, None)
    assert asked(one, "server_error") == (0.5, None)
    assert asked(one, "timeout", should_retry="true") == (None, "attempts")


def test_a_stream_that_showed_content_is_not_begun_again() -> None:
    assert asked(retries(), "stream_interrupted", shown=True) == (None, "shown")
    assert asked(retries(), "overloaded", shown=True, should_retry="true") == (None, "shown")
    assert asked(retries(), "stream_interrupted") == (0.25, None)


@pytest.mark.parametrize(
    ("chance", "retry_after", "wait"),
    [
        (0.0, 10.0, 10.0),
        (0.5, 10.0, 10.5),
        (1.0, 10.0, 11.0),
        (0.5, 0.1, 0.25),  # the backoff is longer
        (0.5, 0.0, 0.25),
        (0.5, -3.0, 0.25),
        (0.5, math.nan, 0.25),
    ],
)
def test_what_the_server_asks_for_is_the_least(chance: float, retry_after: float, wait: float) -> None:
    one = Retries(Retry(), RetryBudget(None), chance=lambda: chance)
    assert asked(one, "rate_limit", retry_after=retry_after)[0] == pytest.approx(wait, abs=1e-9)


@pytest.mark.parametrize(
    ("retry_after", "remaining", "stopped_by"),
    [
        (10.0, 10.6, None),
        (10.0, 10.5, "deadline"),
        (10.0, 3.0, "deadline"),
        (math.inf, 60.0, "deadline"),
        (math.inf, math.inf, "deadline"),
        (4000.0, math.inf, "deadline"),
        (None, 0.25, "deadline"),
        (None, 0.0, "deadline"),
        (None, -1.0, "deadline"),
        (None, 0.26, None),
    ],
)
def test_nobody_waits_for_the_deadline(
    retry_after: float | None, remaining: float, stopped_by: StoppedBy | None
) -> None:
    assert asked(retries(), "rate_limit", retry_after=retry_after, remaining=remaining)[1] == stopped_by


def test_a_budget_begins_with_ten_retries_and_earns_one_by_five_successes() -> None:
    budget = RetryBudget(0.2)
    assert [budget.pay(1) for _ in range(11)] == [True] * 10 + [False]
    for successes in range(1, 6):
        assert budget.pay(1) is False
        budget.succeed()
        assert budget.saved == successes / 5
    assert (budget.pay(2), budget.pay(1), budget.pay(1)) == (False, True, False)


def test_a_budget_saves_fifty_at_most() -> None:
    budget = RetryBudget(0.2)
    for _ in range(1000):
        budget.succeed()
    assert budget.saved == 50
    assert [budget.pay(2) for _ in range(26)] == [True] * 25 + [False]


def test_without_a_budget_nothing_is_counted() -> None:
    budget = RetryBudget(None)
    budget.succeed()
    assert all(budget.pay(2) for _ in range(1000))
    assert budget.saved is None


def test_a_retry_costs_one_and_after_a_timeout_two() -> None:
    budget = RetryBudget(0.2)
    assert asked(retries(budget=budget), "timeout") == (0.25, None)
    assert budget.saved == 8
    assert asked(retries(budget=budget), "overloaded") == (0.5, None)
    assert budget.saved == 7
    for _ in range(7):
        assert asked(retries(budget=budget), "server_error") == (0.25, None)
    assert asked(retries(budget=budget), "server_error") == (None, "budget")


def test_what_is_not_retried_costs_nothing() -> None:
    budget = RetryBudget(0.2)
    for said in ({"remaining": 0.1}, {"shown": True}, {"should_retry": "false"}):
        assert asked(retries(budget=budget), "server_error", **said)[0] is None
    assert asked(retries(attempts=1, budget=budget), "server_error")[0] is None
    assert asked(retries(budget=budget), "billing")[0] is None
    assert budget.saved == 10


def test_an_outage_costs_the_saved_retries_and_no_more() -> None:
    budget = RetryBudget(0.2)
    sent = 0
    for _ in range(1000):
        call = retries(budget=budget)
        sent += 1
        while call.next_wait("overloaded", **QUIET) is not None:
            sent += 1
    assert sent == 1010


def test_in_the_long_run_a_fifth_more_is_sent() -> None:
    budget = RetryBudget(0.2)
    retried = 0
    for number in range(3000):  # every second call would retry twice, then succeed
        call = retries(budget=budget)
        while number % 2 == 0 and call.next_wait("overloaded", **QUIET) is not None:
            retried += 1
        budget.succeed()
    assert retried == 609  # 10, and a fifth of the 2998 successes before the last retry: 609.6


MOVES = st.lists(st.sampled_from(["succeed", "pay 1", "pay 2"]), max_size=300)


@given(earned=st.sampled_from([0.01, 0.2, 0.3, 1.0, 7.0]), moves=MOVES)
@settings(max_examples=200, deadline=None)
def test_no_more_is_paid_than_was_there_and_earned(earned: float, moves: list[str]) -> None:
    budget = RetryBudget(earned)
    paid = successes = 0
    for move in moves:
        if move == "succeed":
            budget.succeed()
            successes += 1
        elif budget.pay(int(move[-1])):
            paid += int(move[-1])
        assert budget.saved is not None
        assert 0 <= budget.saved <= 50
        assert round(paid * 100) <= 1000 + round(earned * 100) * successes


CALLS = st.lists(
    st.lists(
        st.tuples(
            st.sampled_from(CATEGORIES),
            st.none() | st.floats(-5, 200) | st.sampled_from([math.inf, math.nan]),
            st.sampled_from([None, None, "true", "false"]),
            st.floats(0, 20),
        ),
        max_size=6,
    ),
    max_size=30,
)


@given(calls=CALLS, attempts=st.integers(1, 5), total=st.floats(0.1, 100), chances=st.randoms(use_true_random=False))
@settings(max_examples=200, deadline=None)
def test_calls_keep_to_their_attempts_their_deadline_and_their_budget(
    calls: list[list[tuple[Category, float | None, str | None, float]]], attempts: int, total: float, chances: Any
) -> None:
    budget = RetryBudget(0.2)
    successes = retried = 0
    for failures in calls:
        call = Retries(Retry(attempts=attempts), budget, chance=chances.random)
        remaining, mine = total, 0
        for category, retry_after, should_retry, took in failures:
            remaining -= took
            wait = call.next_wait(
                category, retry_after=retry_after, should_retry=should_retry, remaining=remaining, shown=False
            )
            assert (wait is None) == (call.stopped_by is not None)
            if wait is None:
                break
            assert 0 <= wait < remaining
            if retry_after is not None and retry_after > 0:
                assert wait >= retry_after
            remaining -= wait
            mine += 1
        else:
            budget.succeed()
            successes += 1
        assert mine <= attempts - 1
        retried += mine
    assert retried * 10 <= 100 + 2 * successes
