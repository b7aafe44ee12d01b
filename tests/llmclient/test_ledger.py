"""Budgets in memory: tables worked out by hand, and any history against a ledger that keeps everything."""

import gc
import os
import random
import sys
import threading
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from llmclient import _holds
from llmclient._budget_keys import Claim, Key, claims
from llmclient._holds import Exceeded, Hold
from llmclient._ledger import Ledger
from tests.llmclient.paying import T, held, refused, tok, usd, want

# --- by hand ---------------------------------------------------------------------------------------------------------


def test_an_estimate_is_held_and_becomes_what_was_used() -> None:
    ledger, budget = Ledger(), usd(100)
    first = held(ledger.reserve(want(budget, nanousd=60), T))
    over = refused(ledger.reserve(want(budget, nanousd=41), T))
    assert (over.spent, over.limit, over.claim.budget) == (60, 100, budget)
    ledger.settle(first, None, 10, T + 1)
    held(ledger.reserve(want(budget, nanousd=90), T + 1))


def test_exactly_the_limit_fits() -> None:
    ledger = Ledger()
    held(ledger.reserve(want(usd(100), nanousd=100), T))
    assert refused(ledger.reserve(want(usd(100), nanousd=1), T)).spent == 100


def test_what_was_voided_is_free_again() -> None:
    ledger = Ledger()
    ledger.void(held(ledger.reserve(want(usd(100), nanousd=100), T)), T)
    held(ledger.reserve(want(usd(100), nanousd=100), T))


def test_all_or_nothing_over_several_budgets() -> None:
    ledger, user, app, request = Ledger(), usd(100), tok(50, per="app"), tok(30, per="request")
    # The app has no room for 51 tokens, so nothing of the user's is held either.
    over = refused(ledger.reserve(want(user, app, tokens=51, nanousd=100), T))
    assert (over.claim.budget, over.resets_at) == (app, None)
    first = held(ledger.reserve(want(user, app, request, tokens=30, nanousd=100), T))
    assert refused(ledger.reserve(want(app, request, tokens=31), T)).claim.budget == request
    ledger.settle(first, 30, 100, T)
    assert refused(ledger.reserve(want(user, app, tokens=1, nanousd=1), T)).claim.budget == user
    held(ledger.reserve(want(app, tokens=20), T))


def test_ending_a_hold_twice_does_nothing() -> None:
    ledger, budget = Ledger(), usd(100)
    hold = held(ledger.reserve(want(budget, nanousd=40), T))
    ledger.settle(hold, None, 40, T)
    ledger.settle(hold, None, 40, T)
    ledger.void(hold, T)
    assert refused(ledger.reserve(want(budget, nanousd=61), T)).spent == 40


def test_users_do_not_pay_for_each_other_and_the_app_pays_for_all() -> None:
    ledger, user, app = Ledger(), usd(100), usd(150, per="app")
    held(ledger.reserve(want(user, app, nanousd=100, user="ada"), T))
    assert refused(ledger.reserve(want(user, app, nanousd=51, user="bob"), T)).claim.budget == app
    held(ledger.reserve(want(user, app, nanousd=50, user="bob"), T))


def test_unknown_usage_leaves_the_estimate_standing() -> None:
    ledger, budget = Ledger(), usd(100)
    ledger.settle(held(ledger.reserve(want(budget, nanousd=70), T)), None, None, T)
    assert refused(ledger.reserve(want(budget, nanousd=31), T)).spent == 70


def test_what_costs_more_than_estimated_is_spent_all_the_same() -> None:
    ledger, budget = Ledger(), usd(100)
    ledger.settle(held(ledger.reserve(want(budget, nanousd=90), T)), None, 130, T)
    over = refused(ledger.reserve(want(budget, nanousd=1), T))
    assert (over.spent, over.resets_at) == (130, T + 61)


@pytest.mark.parametrize(
    ("later", "spent"),
    [(0, 80), (59.9, 80), (60.9, 80), (61, 50), (75.9, 50), (76, 0)],
)
def test_spend_leaves_the_window_a_sixtieth_late_and_never_early(later: float, spent: int) -> None:
    ledger, budget = Ledger(), usd(80)
    ledger.settle(held(ledger.reserve(want(budget, nanousd=30), T)), None, 30, T)
    ledger.settle(held(ledger.reserve(want(budget, nanousd=50), T + 15)), None, 50, T + 15)
    ledger.reserve(want(budget, nanousd=0), T + 15)  # the clock of a ledger starts with its first question
    if spent:
        assert refused(ledger.reserve(want(budget, nanousd=81 - spent), T + later)).spent == spent
    held(ledger.reserve(want(budget, nanousd=80 - spent), T + later))


def test_it_says_when_there_is_room_again() -> None:
    ledger, budget = Ledger(), usd(100, window="1h")  # buckets of a minute
    for minute, spent in ((0, 30), (10, 30), (20, 30)):
        at = T + 60 * minute
        ledger.settle(held(ledger.reserve(want(budget, nanousd=spent), at)), None, spent, at)
    # 90 are spent at minute 30. 40 fit when the first 30 have left, 61 minutes after they came; 100 when all have.
    asked = {amount: ledger.reserve(want(budget, nanousd=amount), T + 1800) for amount in (11, 40, 41, 100, 101)}
    assert {amount: refused(answer).resets_at for amount, answer in asked.items()} == {
        11: T + 61 * 60,
        40: T + 61 * 60,
        41: T + 71 * 60,
        100: T + 81 * 60,
        101: None,  # never
    }


def test_several_marks_on_one_purse_pay_once() -> None:
    ledger, low, high = Ledger(), usd(80, on_exceed="fallback"), usd(100)
    ledger.settle(held(ledger.reserve(want(low, high, nanousd=50), T)), None, 50, T)
    over = refused(ledger.reserve(want(low, high, nanousd=40), T))
    assert (over.claim.budget, over.spent) == (low, 50)
    # When both stop the call, raising comes first.
    assert refused(ledger.reserve(want(low, high, nanousd=60), T)).claim.budget == high


def test_a_budget_that_only_warns_stops_nothing_and_counts_on() -> None:
    ledger, budget = Ledger(), usd(50, on_exceed="warn")
    first = held(ledger.reserve(want(budget, nanousd=40), T))
    second = held(ledger.reserve(want(budget, nanousd=40), T))
    assert [len(first.warned), len(second.warned)] == [0, 1]
    assert (second.warned[0].spent, second.warned[0].limit) == (40, 50)
    assert held(ledger.reserve(want(budget, nanousd=1), T)).warned[0].spent == 80


def test_four_fifths_are_told_once_per_window_and_purse() -> None:
    ledger, budget = Ledger(), usd(100)

    def spend(nanousd: int, at: float, user: str = "ada") -> list[int]:
        hold = held(ledger.reserve(want(budget, nanousd=0, user=user), at))
        return [soft.spent for soft in ledger.settle(hold, 0, nanousd, at)]

    assert spend(79, T) == []
    assert spend(1, T) == [80]
    assert spend(5, T + 30) == []
    assert spend(80, T + 30, user="bob") == [80]
    assert spend(79, T + 61) == [84]  # 80 have left; a window has passed since it was told
    assert spend(1, T + 62) == []


def test_a_hold_whose_caller_vanished_is_spent_in_full_after_the_deadline() -> None:
    ledger, budget = Ledger(hold_for=30), usd(100)
    lost = held(ledger.reserve(want(budget, nanousd=70), T))
    assert refused(ledger.reserve(want(budget, nanousd=31), T + 29)).spent == 70
    assert refused(ledger.reserve(want(budget, nanousd=31), T + 31)).spent == 70
    # Should it come back after all, only what it cost more than was counted is added, and nothing given back.
    ledger.settle(lost, None, 75, T + 32)
    assert refused(ledger.reserve(want(budget, nanousd=26), T + 32)).spent == 75
    # It expired with the question at second 31 and leaves the window 61 buckets later; the 5 a second after it.
    held(ledger.reserve(want(budget, nanousd=95), T + 92))


def test_a_hold_voided_after_the_deadline_stays_spent() -> None:
    ledger, budget = Ledger(hold_for=30), usd(100)
    lost = held(ledger.reserve(want(budget, nanousd=70), T))
    ledger.void(lost, T + 31)
    assert refused(ledger.reserve(want(budget, nanousd=31), T + 31)).spent == 70


def test_a_clock_set_back_neither_forgets_nor_stands_still() -> None:
    ledger, budget = Ledger(), usd(100)
    ledger.settle(held(ledger.reserve(want(budget, nanousd=100), T)), None, 100, T)
    back = T - 86_400
    assert refused(ledger.reserve(want(budget, nanousd=1), back)).resets_at == back + 61
    assert refused(ledger.reserve(want(budget, nanousd=1), back + 60)).spent == 100
    held(ledger.reserve(want(budget, nanousd=1), back + 61))


# --- bounded memory -----------------------------------------------------------------------------------------------


def spend(ledger: Ledger, user: str, nanousd: int, at: float, limit: int = 100) -> None:
    ledger.settle(held(ledger.reserve(want(usd(limit), nanousd=nanousd, user=user), at)), None, nanousd, at)


def test_purses_nobody_paid_from_for_a_window_are_dropped() -> None:
    ledger = Ledger()
    for number in range(1000):
        spend(ledger, f"user {number}", 1, T + number)
    assert len(ledger) <= 62


def test_nobody_over_the_limit_is_forgotten_because_others_came() -> None:
    ledger = Ledger(most_purses=20)
    spend(ledger, "eve", 100, T)
    for number in range(500):
        spend(ledger, f"user {number}", 1, T + 1)
        assert len(ledger) <= 20
    assert refused(ledger.reserve(want(usd(100), nanousd=1, user="eve"), T + 2)).spent == 100


def test_a_forgotten_purse_comes_back_no_lighter() -> None:
    ledger = Ledger(most_purses=2)
    spend(ledger, "ada", 30, T)
    spend(ledger, "bob", 50, T)
    spend(ledger, "cyd", 10, T)  # ada spent least and is forgotten: cyd begins with her 30, and has 40
    assert refused(ledger.reserve(want(usd(100), nanousd=61, user="ada"), T)).spent == 40  # now cyd is forgotten
    assert refused(ledger.reserve(want(usd(100), nanousd=51, user="bob"), T)).spent == 50
    # A window later nobody begins with anything.
    held(ledger.reserve(want(usd(100), nanousd=100, user="dan"), T + 62))


def test_purses_with_calls_under_way_are_kept_beyond_the_bound() -> None:
    ledger = Ledger(most_purses=2)
    holds = [held(ledger.reserve(want(usd(100), nanousd=60, user=user), T)) for user in "abcde"]
    assert len(ledger) == 5
    assert refused(ledger.reserve(want(usd(100), nanousd=41, user="a"), T)).spent == 60
    for hold in holds:
        ledger.void(hold, T)


def test_a_purse_takes_less_than_half_a_kilobyte() -> None:
    ledger = Ledger()
    spend(ledger, "warm", 1, T)
    tracemalloc.start()
    for number in range(5000):
        spend(ledger, f"{number:05}", 1, T)
    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert used / 5000 < 500


# --- threads, garbage, forks -----------------------------------------------------------------------------------------


def test_threads_never_get_more_than_the_limit_between_them() -> None:
    ledger, budget = Ledger(), usd(1000)
    granted: list[int] = []
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)

    def pay() -> None:
        dice = random.Random(threading.get_ident())
        for _ in range(500):
            amount = dice.randint(1, 9)
            answer = ledger.reserve(want(budget, nanousd=amount), T)
            if isinstance(answer, Hold):
                used = dice.randint(0, amount)
                granted.append(used)
                ledger.settle(answer, None, used, T)

    threads = [threading.Thread(target=pay) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sys.setswitchinterval(before)
    assert 980 < sum(granted) <= 1000
    assert refused(ledger.reserve(want(budget, nanousd=100), T)).spent == sum(granted)


def paid_stream(ledger: Ledger, nanousd: int) -> Iterator[None]:
    hold = held(ledger.reserve(want(usd(100), nanousd=nanousd), T))
    try:
        yield
    finally:
        ledger.void(hold, T)


def test_a_stream_ended_by_the_garbage_collector_in_the_middle_of_a_turn_neither_hangs_nor_leaks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ledger = Ledger()
    stream = paid_stream(ledger, 90)
    next(stream)
    cycle: list[Any] = [stream]
    cycle.append(cycle)
    del stream, cycle

    def collecting(claims: Any) -> list[Exceeded]:
        gc.collect()  # at this line the ledger's lock is held by this very thread
        return _holds.over_one_request(claims)

    monkeypatch.setattr("llmclient._ledger.over_one_request", collecting)
    assert refused(ledger.reserve(want(usd(100), nanousd=50), T)).spent == 90
    held(ledger.reserve(want(usd(100), nanousd=100), T))


def test_what_is_settled_in_the_middle_of_a_turn_is_settled_with_the_next() -> None:
    ledger = Ledger()
    hold = held(ledger.reserve(want(usd(100), nanousd=90), T))
    with ledger._turns:
        assert ledger.settle(hold, None, 20, T) == []
        assert not hold.closed
    assert refused(ledger.reserve(want(usd(100), nanousd=81), T)).spent == 20


def test_a_forked_child_settles_nothing_of_its_parents_and_is_not_stopped_by_its_lock() -> None:
    ledger, budget = Ledger(), usd(100)
    ledger.settle(held(ledger.reserve(want(budget, nanousd=40), T)), None, 40, T)
    hold = held(ledger.reserve(want(budget, nanousd=50), T))
    with ledger._turns:  # as if another thread were in the middle of a turn
        child = os.fork()
        if child == 0:
            ledger.settle(hold, None, 50, T)
            ledger.void(hold, T)
            # What was spent is remembered, what the parent holds is not: 40 and 60 are 100.
            fits = isinstance(ledger.reserve(want(budget, nanousd=60), T), Hold)
            over = isinstance(ledger.reserve(want(budget, nanousd=1), T), Exceeded)
            os._exit(0 if fits and over else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert refused(ledger.reserve(want(budget, nanousd=11), T)).spent == 90
    ledger.settle(hold, None, 0, T)
    held(ledger.reserve(want(budget, nanousd=60), T))


# --- any history ------------------------------------------------------------------------------------------------------

BUDGETS = [
    usd(100),
    usd(60, on_exceed="fallback"),
    usd(40, on_exceed="warn"),
    usd(300, per="app", window=600.0),
    tok(200, per="feature"),
    tok(90, per="request"),
]
HOLD_FOR = 45.0
AMOUNTS = st.integers(0, 70)


class Histories(RuleBasedStateMachine):
    """The reference keeps every spend and adds them all up for each question."""

    def __init__(self) -> None:
        super().__init__()
        self.ledger = Ledger(hold_for=HOLD_FOR)
        self.now = T
        self.at = 0.0
        self.spends: list[tuple[float, Key, int]] = []
        self.held: dict[Hold, float] = {}
        self.excess: dict[Key, int] = {}
        self.ended: set[Hold] = set()

    holds = Bundle("holds")

    def total(self, key: Key) -> int:
        width = key.kind.seconds / 60
        spent = sum(n for at, of, n in self.spends if of == key and self.at // width - at // width <= 60)
        return spent + self.under_way(key)

    def under_way(self, key: Key) -> int:
        return sum(hold.amounts[key].amount for hold in self.held if key in hold.amounts)

    def pass_time(self) -> None:
        for hold, until in list(self.held.items()):
            if until <= self.at:
                del self.held[hold]
                self.spends += [(self.at, key, claim.amount) for key, claim in hold.amounts.items()]

    def expected(self, wanted: list[Claim]) -> tuple[list[tuple[Any, int]], list[tuple[Any, int]]]:
        totals = [0 if c.key.kind.per == "request" else self.total(c.key) for c in wanted]
        over = [(c.budget, total) for c, total in zip(wanted, totals, strict=True) if total + c.amount > c.limit]
        return [o for o in over if o[0].on_exceed != "warn"], [o for o in over if o[0].on_exceed == "warn"]

    @rule(target=holds, user=st.sampled_from("ab"), feature=st.sampled_from("xy"), tokens=AMOUNTS, nanousd=AMOUNTS)
    def reserve(self, user: str, feature: str, tokens: int, nanousd: int) -> Hold | None:
        wanted = claims(BUDGETS, {"user_id": user, "feature": feature}, None, 2 * tokens, nanousd)
        self.pass_time()
        stopping, warned = self.expected(wanted)
        answer = self.ledger.reserve(wanted, self.now)
        if isinstance(answer, Exceeded):
            raising = [each for each in stopping if each[0].on_exceed == "raise"]
            # Those per request are looked at first.
            first = min(raising or stopping, key=lambda each: each[0].per != "request")
            assert (answer.claim.budget, answer.spent) == first
            assert answer.resets_at is None or answer.resets_at > self.now
            return None
        assert not stopping
        assert [(each.claim.budget, each.spent) for each in answer.warned] == warned
        self.held[answer] = self.at + HOLD_FOR
        return answer

    @rule(hold=consumes(holds), tokens=st.none() | AMOUNTS, nanousd=st.none() | AMOUNTS)
    def settle(self, hold: Hold | None, tokens: int | None, nanousd: int | None) -> None:
        if hold is None:
            return
        self.pass_time()
        self.ledger.settle(hold, tokens, nanousd, self.now)
        late = self.held.pop(hold, None) is None
        if hold in self.ended:
            return
        for key, claim in hold.amounts.items():
            used = hold.actual(claim, tokens, nanousd)
            self.excess[key] = self.excess.get(key, 0) + max(used - claim.amount, 0)
            self.spends.append((self.at, key, max(used - claim.amount, 0) if late else used))

    @rule(hold=holds)
    def void(self, hold: Hold | None) -> None:
        if hold is not None:
            self.pass_time()
            self.ledger.void(hold, self.now)
            self.held.pop(hold, None)
            self.ended.add(hold)

    @rule(seconds=st.sampled_from([0.25, 1.0, 7.5, 30.0, 61.0, 600.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.at += seconds
        self.ledger.reserve([], self.now)  # the ledger's clock is that of its questions
        self.pass_time()

    @rule(seconds=st.integers(1, 100_000))
    def set_the_clock_back(self, seconds: int) -> None:
        self.now -= seconds
        self.ledger.reserve([], self.now)

    @invariant()
    def overshoot_is_at_most_what_calls_cost_more_than_estimated(self) -> None:
        for key in {key for _, key, _ in self.spends} | {key for hold in self.held for key in hold.amounts}:
            limit = min(b.amount for b in BUDGETS if (b.per, b.unit) == key.kind[:2] and b.on_exceed != "warn")
            spent = sum(n for at, of, n in self.spends if of == key and self.at - at <= key.kind.seconds)
            assert spent + self.under_way(key) <= limit + self.excess.get(key, 0)


Histories.TestCase.settings = settings(max_examples=150, stateful_step_count=50, deadline=None)
TestHistories = Histories.TestCase
