"""The sliding window: sixty buckets and the one under way."""

import sys

from hypothesis import given
from hypothesis import strategies as st

from llmclient._purse import Purse


def test_spend_counts_for_the_whole_window_and_not_a_bucket_less() -> None:
    purse = Purse()
    purse.add(5, 10)
    purse.add(3, 10)
    purse.add(2, 11)
    for now, spent in ((11, 10), (70, 10), (71, 2), (72, 0)):
        purse.slide(now)
        assert (now, purse.spent) == (now, spent)
    assert purse.idle


def test_it_says_from_when_an_amount_fits() -> None:
    purse = Purse()
    purse.add(40, 10)
    purse.add(40, 20)
    purse.held = 10
    # 90 of 100 are taken. 10 fit now; 11 need the first 40 to leave (bucket 10 + 61), 51 the second as well,
    # and 91 also the call under way, which might settle in bucket 25.
    assert [purse.room_at(amount, 100, 25) for amount in (11, 50, 51, 90, 91)] == [71, 71, 81, 81, 86]


def test_a_mark_is_told_once_per_window_and_limit() -> None:
    purse = Purse()
    assert [purse.tell(80, 5), purse.tell(80, 5), purse.tell(100, 6), purse.tell(80, 65), purse.tell(80, 66)] == [
        True,
        False,
        True,
        False,
        True,
    ]


def test_a_busy_purse_is_small_too() -> None:
    purse = Purse()
    for now in range(1000):
        purse.slide(now)
        purse.add(10**12, now)
    assert purse.spent == 61 * 10**12
    assert sys.getsizeof(purse._buckets) < 1_400


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 9)), max_size=80))
def test_the_sum_is_that_of_the_last_sixty_one_buckets(steps: list[tuple[int, int]]) -> None:
    purse, now = Purse(), 0
    spends: list[tuple[int, int]] = []
    for wait, amount in steps:
        now += wait
        purse.slide(now)
        purse.add(amount, now)
        spends.append((now, amount))
        assert purse.spent == sum(spent for bucket, spent in spends if now - bucket <= 60)
        assert len(purse._buckets) <= 2 * 61
