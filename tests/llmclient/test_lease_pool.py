"""One pool of leases: what is free, what is asked for, what is posted. Amounts small enough to add in the head."""

import pytest

from llmclient._lease_pool import Lease, Pool, Refused, Wish
from llmclient._server_policy import read
from tests.llmclient.lease_server import budget

NOW = 1000.0


def pool(*leases: tuple[int, float], chunk: int = 100, allowance: int = 0, **state: int) -> Pool:
    """A pool with leases of (amount, seconds of use left), in use just now."""
    [found] = read({"version": 1, "budgets": [budget(chunk=chunk, allowance=allowance)]}, NOW).budgets
    held = [Lease(f"lease {number}", amount, NOW + left) for number, (amount, left) in enumerate(leases)]
    made = Pool(found, "", "d1", held, used_at=NOW)
    for name, value in state.items():
        setattr(made, name, value)
    return made


@pytest.mark.parametrize(
    ("leases", "unposted", "held", "room"),
    [
        ([], 0, 0, 0),
        ([], 5, 3, -8),
        ([(100, 60)], 20, 30, 50),
        # One that is no longer used covers what is owed, and nothing new.
        ([(100, -1)], 20, 30, 0),
        ([(100, -1), (100, 60)], 20, 30, 100),
        ([(40, -1), (100, 60)], 20, 30, 90),
    ],
)
def test_what_may_be_reserved(leases: list[tuple[int, float]], unposted: int, held: int, room: int) -> None:
    assert pool(*leases, unposted=unposted, held=held).room(NOW) == room


def test_without_a_lease_the_allowance_holds_until_the_server_says_no() -> None:
    waiting = pool((10, 60), allowance=30)
    assert [waiting.admits(amount, NOW) for amount in (10, 40, 41)] == [True, True, False]
    waiting.refused = Refused(976, 1000, NOW + 15, None)
    assert [waiting.admits(amount, NOW) for amount in (10, 24, 25, 40)] == [True, True, False, False]


@pytest.mark.parametrize(
    ("made", "wish"),
    [
        (pool(), Wish(100, 1, 0)),  # in use, and nothing left
        (pool(need=250), Wish(250, 250, 0)),  # a call that is dearer than a chunk
        (pool(need=20, unposted=15), Wish(100, 20, 15)),  # the allowance in use is wanted on top
        (pool((100, 60), unposted=50), None),  # half a chunk is enough
        (pool((100, 60), unposted=51), Wish(100, 1, 0)),
        (pool((100, 4)), Wish(100, 1, 0)),  # ends within five seconds
        (pool((100, 4), need=20), Wish(100, 1, 0)),  # the call that was too dear would fit by now
        (pool((100, 60), need=120), Wish(120, 120, 0)),
    ],
)
def test_what_is_asked_for(made: Pool, wish: Wish | None) -> None:
    assert made.wish(NOW) == wish


def test_nothing_is_asked_for_while_an_answer_is_awaited_or_nobody_calls() -> None:
    made = pool()
    assert made.wish(NOW + 29) is not None
    assert made.wish(NOW + 30) is None
    for name, value in (("asking", True), ("closing", True), ("period", None)):
        made = pool(need=5)
        setattr(made, name, value)
        assert made.wish(NOW) is None


def test_a_refused_amount_is_asked_for_again_only_after_a_while_and_a_smaller_one_at_once() -> None:
    made = pool(need=25)
    made.refused = Refused(976, 1000, NOW + 15, None)
    assert made.wish(NOW) is None
    assert made.wish(NOW + 15) == Wish(100, 25, 0)
    made.need = 24
    assert made.wish(NOW) == Wish(100, 24, 0)
    made.need = 0  # nobody waits: nothing is asked for
    assert made.wish(NOW + 15) is None


def posts(made: Pool, now: float = NOW) -> list[tuple[str | None, int]]:
    return [(lease.id if lease else None, spent) for lease, spent in made.payments(now)]


def test_a_lease_that_is_used_up_is_posted_at_once() -> None:
    made = pool((100, 60), (100, 60), unposted=130, held=10)
    assert posts(made) == [("lease 0", 100)]
    assert (made.unposted, made.room(NOW)) == (30, 60)


def test_an_ended_lease_is_posted_with_what_was_spent_of_it() -> None:
    assert posts(pool((100, -1), unposted=30)) == [("lease 0", 30)]
    assert posts(pool((100, -1))) == [("lease 0", 0)]
    # The last one takes what was spent beyond it, too.
    assert posts(pool((100, -1), unposted=130)) == [("lease 0", 130)]


def test_nothing_is_posted_that_would_leave_a_call_under_way_uncovered() -> None:
    made = pool((100, -1), unposted=30, held=50)
    assert posts(made) == []
    # With another lease the call is covered by that.
    made.leases.append(Lease("lease 1", 50, NOW + 60))
    assert posts(made) == [("lease 0", 30)]
    assert made.room(NOW) == 0
    made = pool((100, -1), (49, 60), unposted=30, held=50)
    assert posts(made) == []


def test_everything_is_given_back_after_thirty_seconds_without_a_call() -> None:
    made = pool((100, 60), (100, 60), unposted=30)
    assert posts(made, NOW + 29) == []
    assert posts(made, NOW + 30) == [("lease 0", 30), ("lease 1", 0)]
    assert made.idle(NOW + 30)


def test_what_was_spent_on_the_allowance_is_posted_without_a_lease_once_there_will_be_none() -> None:
    made = pool(unposted=8, allowance=10)
    assert posts(made) == []  # a lease may yet cover it
    made.refused = Refused(1000, 1000, NOW + 15, None)
    assert posts(made) == [(None, 8)]
    assert posts(made) == []
