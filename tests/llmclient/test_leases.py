"""The book of leases against a desk that grants them: by hand, and in any order of accidents."""

import copy
import itertools
import os
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from llmclient._lease_holds import LeaseHold, Short
from llmclient._lease_pool import IDLE
from llmclient._leases import Exchange, LeaseBook
from llmclient._server_policy import Demand, read
from tests.llmclient.lease_server import Desk, budget


class World:
    """One desk, a clock that all agree on, and the books of any number of processes."""

    def __init__(self, *budgets: dict[str, Any], **desk: Any) -> None:
        self.now = 1000.0
        self.budgets = list(budgets)
        self.desk = Desk({each["id"]: each["limit"] for each in budgets}, **desk)
        self.ids = (f"id {number}" for number in itertools.count())

    def book(self, name: str = "one", **options: Any) -> LeaseBook:
        book = LeaseBook(name, lambda: next(self.ids), **options)
        self.tell(book)
        return book

    def tell(self, book: LeaseBook) -> None:
        book.learn(read({"version": 1, "budgets": self.budgets}, self.now))

    def talk(self, book: LeaseBook) -> dict[str, Any] | None:
        """One exchange, if there is anything to say."""
        found = book.exchange(self.now)
        if found is None:
            return None
        said = copy.deepcopy(found.body)
        status, answer = self.desk.take(said, self.now)
        assert status == 200
        book.answered(answer, self.now, self.now)
        return said

    def want(self, book: LeaseBook, nanousd: int, user: str = "ada", tokens: int = 0) -> list[Demand]:
        return book.policy.demands({"user_id": user, "feature": "inbox"}, None, tokens, nanousd)

    def reserve(self, book: LeaseBook, nanousd: int, user: str = "ada") -> LeaseHold | Short:
        return book.reserve(self.want(book, nanousd, user), self.now)


def held(answer: LeaseHold | Short) -> LeaseHold:
    assert isinstance(answer, LeaseHold), answer
    return answer


def short(answer: LeaseHold | Short) -> Short:
    assert isinstance(answer, Short), answer
    return answer


def test_a_chunk_is_leased_spent_here_and_posted() -> None:
    world = World(budget(limit=1000, chunk=100))
    book = world.book()
    assert short(world.reserve(book, 30)).unknown  # nothing is leased yet, and no allowance
    said = world.talk(book)
    assert said == {
        "holder": "one",
        "fence": 1,
        "ask": [{"id": "id 0", "budget": 1, "key": "", "period": "d1", "amount": 100, "least": 30}],
        "post": [],
        "void": [],
    }
    hold = held(world.reserve(book, 30))
    assert world.talk(book) is None
    book.settle(hold, None, 25, world.now)
    # The lease ends after 60 seconds; without calls it is posted after 30.
    world.now += IDLE
    said = world.talk(book)
    assert said is not None
    assert said["post"] == [{"id": "id 0", "budget": 1, "key": "", "period": "d1", "spent": 25}]
    assert (world.desk.spent, world.desk.reserved((1, ""))) == ({(1, ""): 25}, 0)
    assert not book.owing


def test_a_lease_nothing_was_spent_of_is_voided() -> None:
    world = World(budget())
    book = world.book()
    world.reserve(book, 30)
    world.talk(book)
    book.void(held(world.reserve(book, 30)), world.now)
    world.now += IDLE
    said = world.talk(book)
    assert said is not None
    assert (said["void"], said["post"]) == ([{"id": "id 0"}], [])
    assert world.desk.leases["id 0"].state == "void"


def test_the_next_chunk_is_asked_for_while_half_of_one_is_left() -> None:
    world = World(budget(limit=1000, chunk=100, allowance=40))
    book = world.book()
    for _ in range(25):
        book.settle(held(world.reserve(book, 40)), None, 40, world.now)
        if book.hungry:
            world.talk(book)
    assert short(world.reserve(book, 1)).spent == 1000
    world.talk(book)
    assert world.desk.spent[1, ""] == 1000


def test_what_the_server_refused_is_refused_here_and_says_why() -> None:
    world = World(budget(limit=100, chunk=100, allowance=50, on_exceed="fallback"))
    one, other = world.book("one"), world.book("other")
    held(world.reserve(one, 1))
    world.talk(one)
    held(world.reserve(other, 50))  # on the allowance: the server was not asked yet
    world.talk(other)
    answer = short(world.reserve(other, 1))
    assert (answer.unknown, answer.spent, answer.limit, answer.resets_at) == (False, 100, 100, 1_800_000_000.0)
    # Nobody asks again for 15 seconds, whoever calls.
    assert world.talk(other) is None
    world.now += 15
    short(world.reserve(other, 1))
    assert world.talk(other) is not None


def test_who_was_refused_gets_no_second_allowance_after_a_while() -> None:
    world = World(budget(limit=50, chunk=50, per="user", allowance=9))
    book = world.book()
    for user in ("ada", "bob"):
        book.settle(held(world.reserve(book, 9, user)), None, 50, world.now)
        world.talk(book)  # what was spent on the allowance is all there is
        assert not short(world.reserve(book, 1, user)).unknown
    world.now += 1000
    while world.talk(book) is not None:
        pass
    assert (book._pools, world.desk.spent) == ({}, {(1, "ada"): 50, (1, "bob"): 50})
    assert [short(world.reserve(book, 1, user)).unknown for user in ("ada", "bob")] == [False, False]
    # A period later both begin afresh.
    world.desk.roll_over("d2")
    world.budgets[0]["period"] = "d2"
    world.tell(book)
    held(world.reserve(book, 9, "ada"))


def test_a_call_that_outlives_its_pool_is_booked_all_the_same() -> None:
    world = World(budget())
    book = world.book()
    world.reserve(book, 1)
    world.talk(book)
    hold = held(world.reserve(book, 0))  # holds nothing, so nothing keeps the lease
    world.now += 100
    world.talk(book)
    assert not book.owing
    book.settle(hold, None, 7, world.now)
    world.talk(book)
    assert world.desk.spent == {(1, ""): 7}


def test_a_raised_limit_is_asked_about_at_once() -> None:
    world = World(budget(limit=100, chunk=100))
    book = world.book()
    world.reserve(book, 100)
    world.talk(book)
    book.settle(held(world.reserve(book, 100)), None, 100, world.now)
    assert short(world.reserve(book, 1)).unknown
    world.talk(book)
    assert not short(world.reserve(book, 1)).unknown
    world.budgets[0]["limit"] = world.desk.limits[1] = 200
    world.tell(book)
    assert short(world.reserve(book, 1)).unknown
    world.talk(book)
    held(world.reserve(book, 1))


def test_a_new_period_begins_by_the_clock_and_nobody_stays_blocked() -> None:
    world = World(budget(limit=100, chunk=100, allowance=20, ends_in_s=600))
    book = world.book()
    book.void(held(world.reserve(book, 10)), world.now)
    world.talk(book)
    old = held(world.reserve(book, 100))
    world.talk(book)
    assert short(world.reserve(book, 20)).unknown is False
    world.now += 600
    # The client does not know the new period yet, but that the old one is over: the allowance holds, nothing is asked.
    fresh = held(world.reserve(book, 20))
    assert world.talk(book) is None
    looks = [book.stale]
    world.desk.roll_over("d2")
    world.budgets[0].update(period="d2", ends_in_s=86_400)
    world.tell(book)
    assert [*looks, book.stale] == [True, False]
    said = world.talk(book)
    assert said is not None
    # The call that began in the old period is paid from its lease, the one of the new period from a new one.
    assert [(ask["period"], ask["amount"]) for ask in said["ask"]] == [("d2", 120)]
    book.settle(old, None, 90, world.now)
    book.settle(fresh, None, 15, world.now)
    said = world.talk(book)
    assert said is not None
    assert [(post["period"], post["spent"]) for post in said["post"]] == [("d1", 90)]


def test_a_budget_that_is_gone_is_posted_and_forgotten() -> None:
    world = World(budget())
    book = world.book()
    world.reserve(book, 30)
    world.talk(book)
    book.settle(held(world.reserve(book, 30)), None, 30, world.now)
    world.budgets.clear()
    world.tell(book)
    assert list(held(world.reserve(book, 30)).shares) == []
    said = world.talk(book)
    assert said is not None
    assert [post["spent"] for post in said["post"]] == [30]
    assert not book.owing


def test_a_lost_answer_is_asked_for_again_and_nothing_is_granted_twice() -> None:
    world = World(budget())
    book = world.book()
    world.reserve(book, 30)
    first = book.exchange(world.now)
    assert first is not None
    world.desk.take(copy.deepcopy(first.body), world.now)  # and the answer is lost
    world.now += 1
    assert book.exchange(world.now) is first
    world.talk(book)
    assert world.desk.reserved((1, "")) == 100
    held(world.reserve(book, 100))


def test_a_request_that_comes_late_is_turned_away() -> None:
    world = World(budget())
    book = world.book()
    world.reserve(book, 30)
    stale = world.talk(book)
    assert stale is not None
    world.now += IDLE
    world.talk(book)
    assert world.desk.take(stale, world.now) == (409, {"error": "an exchange of this holder came later", "fence": 2})
    assert world.desk.reserved((1, "")) == 0


def test_after_a_fence_the_same_is_said_behind_it() -> None:
    world = World(budget())
    book = world.book()
    world.desk.fences["one"] = (7, "", {})
    world.reserve(book, 30)
    found = book.exchange(world.now)
    assert found is not None
    status, answer = world.desk.take(found.body, world.now)
    assert (status, answer["fence"]) == (409, 7)
    book.fenced(answer["fence"])
    said = world.talk(book)
    assert said is not None
    assert said["fence"] == 8
    held(world.reserve(book, 30))


def test_nonsense_is_not_said_again() -> None:
    world = World(budget())
    book = world.book()
    world.reserve(book, 30)
    book.exchange(world.now)
    book.refused()
    assert book.lost == 0
    world.talk(book)
    book.settle(held(world.reserve(book, 30)), None, 30, world.now)
    world.now += IDLE
    book.exchange(world.now)
    book.refused()
    assert book.lost == 1
    assert not book.owing


@pytest.mark.parametrize(
    "answer",
    [
        {"granted": [{}]},
        {"granted": 7},
        {"granted": [{"id": "id 0", "amount": 0, "use_s": 60}]},
        {"granted": [{"id": "id 0", "amount": 5, "use_s": 1}]},
        {"refused": [{"id": "id 0", "reason": "exhausted"}]},
    ],
)
def test_an_answer_that_cannot_be_read_changes_nothing(answer: dict[str, Any]) -> None:
    world = World(budget())
    book = world.book()
    world.reserve(book, 30)
    found = book.exchange(world.now)
    with pytest.raises(ValueError, match=r"."):
        book.answered(answer, world.now, world.now)
    assert book.exchange(world.now) is found


def test_a_lease_is_counted_from_the_sending_of_the_request() -> None:
    world = World(budget(), use=60.0)
    book = world.book()
    world.reserve(book, 30)
    found = book.exchange(world.now)
    assert found is not None
    _, answer = world.desk.take(found.body, world.now)
    book.answered(answer, sent_at=world.now, now=world.now + 50)
    world.now += 59
    book.void(held(world.reserve(book, 100)), world.now)
    world.now += 1
    short(world.reserve(book, 1))


def test_all_or_nothing_over_several_budgets() -> None:
    world = World(budget(1, limit=1000, chunk=100), budget(2, limit=50, chunk=50, per="user"))
    book = world.book()
    world.reserve(book, 10)
    world.talk(book)
    first = held(world.reserve(book, 50))
    assert short(world.reserve(book, 1)).demand.budget.id == 2
    # Bob has a share of his own; of the project's 100 ada's call holds 50 and no more.
    world.reserve(book, 10, "bob")
    world.talk(book)
    held(world.reserve(book, 50, "bob"))
    book.void(first, world.now)


def test_a_budget_that_only_warns_stops_nothing() -> None:
    world = World(budget(limit=100, chunk=100, on_exceed="warn"))
    book = world.book()
    hold = held(world.reserve(book, 150))
    assert [each.unknown for each in hold.warned] == [True]


def test_a_hold_whose_caller_vanished_is_spent_in_full_after_the_deadline() -> None:
    world = World(budget())
    book = world.book(hold_for=900.0)
    world.reserve(book, 30)
    world.talk(book)
    lost = held(world.reserve(book, 30))
    world.now += 899
    assert world.talk(book) is None  # the lease has ended, but covers the call
    world.now += 1
    assert world.talk(book) is not None
    assert world.desk.spent == {(1, ""): 30}
    book.settle(lost, None, 42, world.now)
    world.now += IDLE
    world.talk(book)
    assert world.desk.spent == {(1, ""): 42}


def test_a_forked_child_ends_no_call_of_its_parents() -> None:
    world = World(budget())
    book = world.book()
    world.reserve(book, 30)
    world.talk(book)
    hold = held(world.reserve(book, 100))
    hold.pid = os.getpid() + 1  # as in a child
    book.settle(hold, None, 0, world.now)
    book.void(hold, world.now)
    short(world.reserve(book, 1))


def test_what_the_garbage_collector_ends_in_the_middle_of_a_turn_is_ended_with_the_next() -> None:
    world = World(budget())
    book = world.book()
    world.reserve(book, 30)
    world.talk(book)
    hold = held(world.reserve(book, 100))
    with book._turns:
        book.void(hold, world.now)
        assert not hold.closed
    held(world.reserve(book, 100))


def test_a_call_of_a_refused_share_that_outlives_it_is_booked_too() -> None:
    world = World(budget(limit=100, chunk=100))
    book = world.book()
    world.reserve(book, 100)
    world.talk(book)
    book.settle(held(world.reserve(book, 100)), None, 100, world.now)
    hold = held(world.reserve(book, 0))
    short(world.reserve(book, 1))
    world.now += 100
    while world.talk(book) is not None:
        pass
    book.settle(hold, None, 3, world.now)
    world.talk(book)
    assert world.desk.spent == {(1, ""): 103}


def test_when_the_process_ends_everything_is_given_back() -> None:
    world = World(budget(), budget(2, per="user"))
    book = world.book()
    world.reserve(book, 30)
    world.talk(book)
    book.settle(held(world.reserve(book, 30)), None, 20, world.now)
    book.retire(world.now)
    world.talk(book)
    assert world.desk.spent == {(1, ""): 20, (2, "ada"): 20}
    assert {lease.state for lease in world.desk.leases.values()} == {"posted"}


# --- any order of accidents -------------------------------------------------------------------------------------------

LIMIT = 300
USERS_LIMIT = 170
LONG = 10_000.0  # seconds; no call of a living process takes as long, and nothing leaves suspense


class Accidents(RuleBasedStateMachine):
    """Three processes and one desk. What is true is known only here: what calls really cost."""

    allowance = 0

    @initialize(share=st.sampled_from([1, 4]))
    def begin(self, share: int) -> None:
        shown = {"chunk": 60, "allowance": self.allowance, "ends_in_s": 10**9}
        self.world = World(
            budget(1, limit=LIMIT, **shown), budget(2, limit=USERS_LIMIT, per="user", **shown), share=share, grace=LONG
        )
        self.names = (f"process {number}" for number in itertools.count())
        self.books = [self.world.book(next(self.names), hold_for=LONG) for _ in range(3)]
        self.holds: list[tuple[int, LeaseHold, str, int]] = []
        self.true: dict[tuple[int, str], int] = {}
        self.settled: dict[tuple[int, str], int] = {}
        self.excess: dict[tuple[int, str], int] = {}
        self.old: list[dict[str, Any]] = []
        self.dead = 0

    def each_place(self, user: str) -> list[tuple[int, str]]:
        return [(1, ""), (2, user)]

    @rule(which=st.integers(0, 2), user=st.sampled_from("ab"), nanousd=st.integers(0, 80))
    def reserve(self, which: int, user: str, nanousd: int) -> None:
        answer = self.world.reserve(self.books[which], nanousd, user)
        if isinstance(answer, LeaseHold):
            self.holds.append((which, answer, user, nanousd))

    @rule(which=st.integers(0, 2), user=st.sampled_from("ab"), nanousd=st.integers(30, 60), calls=st.integers(1, 9))
    def make_calls(self, which: int, user: str, nanousd: int, calls: int) -> None:
        """Calls one after the other, as dear as estimated; the server is asked between them."""
        for _ in range(calls):
            before = len(self.holds)
            self.reserve(which, user, nanousd)
            self.talk(which, "none")
            if len(self.holds) > before:
                self.settle(before, nanousd)

    @rule(which=st.integers(0, 2), user=st.sampled_from("ab"), nanousd=st.integers(30, 60))
    def begin_a_call_longer_than_its_lease(self, which: int, user: str, nanousd: int) -> None:
        self.reserve(which, user, nanousd)
        self.wait(61.0)
        self.talk(which, "none")

    @precondition(lambda self: self.holds)
    @rule(which=st.integers(0), used=st.none() | st.integers(0, 100))
    def settle(self, which: int, used: int | None) -> None:
        book, hold, user, amount = self.holds.pop(which % len(self.holds))
        self.books[book].settle(hold, None, used, self.world.now)
        self.books[book].void(hold, self.world.now)
        for place in self.each_place(user):
            true = amount if used is None else used
            self.true[place] = self.true.get(place, 0) + true
            self.excess[place] = self.excess.get(place, 0) + max(true - amount, 0)

    @precondition(lambda self: self.holds)
    @rule(which=st.integers(0))
    def void(self, which: int) -> None:
        book, hold, _, _ = self.holds.pop(which % len(self.holds))
        self.books[book].void(hold, self.world.now)

    @rule(which=st.integers(0, 2), accident=st.sampled_from(["none", "none", "none", "never came", "answer lost"]))
    def talk(self, which: int, accident: str) -> None:
        book = self.books[which]
        found: Exchange | None = book.exchange(self.world.now)
        if found is None or accident == "never came":
            return
        said = copy.deepcopy(found.body)
        status, answer = self.world.desk.take(said, self.world.now)
        assert status == 200
        self.old.append(said)
        if accident == "none":
            book.answered(answer, self.world.now, self.world.now)

    @precondition(lambda self: self.old)
    @rule(which=st.integers(0))
    def an_old_request_comes_once_more(self, which: int) -> None:
        before = copy.deepcopy((self.world.desk.leases, self.world.desk.spent))
        self.world.desk.take(self.old[which % len(self.old)], self.world.now)
        self.world.desk.expire(self.world.now)
        assert {id_: lease.amount for id_, lease in before[0].items()} == {
            id_: lease.amount for id_, lease in self.world.desk.leases.items()
        }
        assert before[1] == self.world.desk.spent

    @rule(seconds=st.sampled_from([1.0, 14.0, 31.0, 61.0]))
    def wait(self, seconds: float) -> None:
        self.world.now += seconds

    @rule(which=st.integers(0, 2))
    def a_process_dies(self, which: int) -> None:
        self.dead += 1
        for _, _, user, amount in [each for each in self.holds if each[0] == which]:
            for place in self.each_place(user):
                self.true[place] = self.true.get(place, 0) + amount  # the call may have been made
        self.holds = [each for each in self.holds if each[0] != which]
        self.books[which] = self.world.book(next(self.names), hold_for=LONG)

    @invariant()
    def nobody_spends_more_than_there_is(self) -> None:
        for place, limit in (((1, ""), LIMIT), ((2, "a"), USERS_LIMIT), ((2, "b"), USERS_LIMIT)):
            spent = self.true.get(place, 0)
            spent += sum(amount for _, _, user, amount in self.holds if place in self.each_place(user))
            assert spent <= limit + self.excess.get(place, 0) + (3 + self.dead) * self.allowance

    def teardown(self) -> None:
        """After a quiet minute nothing is reserved but by the dead, and of the living every nano-dollar is booked."""
        if not hasattr(self, "books"):
            return
        for which, hold, _, _ in self.holds:
            self.books[which].void(hold, self.world.now)
        self.world.now += 61
        for book in self.books:
            while self.world.talk(book) is not None:
                pass
            assert not book.owing
        for place in ((1, ""), (2, "a"), (2, "b")):
            if not self.dead:
                assert self.world.desk.reserved(place) == 0
                assert self.world.desk.spent.get(place, 0) == self.true.get(place, 0)


class AccidentsWithAnAllowance(Accidents):
    allowance = 40


for machine in (Accidents, AccidentsWithAnAllowance):
    machine.TestCase.settings = settings(max_examples=100, stateful_step_count=60, deadline=None)
TestAccidents: Callable[..., Any] = Accidents.TestCase
TestAccidentsWithAnAllowance: Callable[..., Any] = AccidentsWithAnAllowance.TestCase
