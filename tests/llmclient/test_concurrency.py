"""Attempts under way at a time: added to one by one, cut by factors."""

from llmclient._concurrency import Concurrency


def clean(concurrency: Concurrency, answers: int, *, sent_at: float) -> int:
    for _ in range(answers):
        concurrency.ended(sent_at=sent_at, pushed_back=False, now=sent_at + 1)
    return concurrency.limit


def test_it_starts_with_the_most_and_stays_there() -> None:
    assert clean(Concurrency(64), 1_000, sent_at=0.0) == 64


def test_a_push_back_takes_three_tenths() -> None:
    concurrency = Concurrency(64)
    limits = []
    for second in range(12):
        concurrency.ended(sent_at=second + 0.5, pushed_back=True, now=second + 1.0)
        limits.append(concurrency.limit)
    assert limits == [44, 31, 21, 15, 10, 7, 5, 3, 2, 1, 1, 1]


def test_attempts_that_were_under_way_together_cut_once() -> None:
    concurrency = Concurrency(10)
    for _ in range(10):
        concurrency.ended(sent_at=0.0, pushed_back=True, now=5.0)
    assert concurrency.limit == 7


def test_a_clean_window_is_as_many_answers_as_may_be_under_way() -> None:
    concurrency = Concurrency(10)
    concurrency.ended(sent_at=0.0, pushed_back=True, now=1.0)
    assert clean(concurrency, 6, sent_at=2.0) == 7
    assert clean(concurrency, 1, sent_at=2.0) == 8
    assert clean(concurrency, 7, sent_at=2.0) == 8
    assert clean(concurrency, 1, sent_at=2.0) == 9
    assert clean(concurrency, 9 + 10 + 10, sent_at=2.0) == 10


def test_answers_to_what_was_sent_before_a_cut_are_no_sign_that_it_was_too_deep() -> None:
    concurrency = Concurrency(10)
    concurrency.ended(sent_at=0.0, pushed_back=True, now=1.0)
    assert clean(concurrency, 50, sent_at=0.9) == 7


def test_a_push_back_starts_the_window_again() -> None:
    concurrency = Concurrency(4)
    concurrency.ended(sent_at=0.0, pushed_back=True, now=1.0)
    clean(concurrency, 1, sent_at=2.0)
    concurrency.ended(sent_at=2.0, pushed_back=True, now=3.0)
    assert concurrency.limit == 1
    assert clean(concurrency, 1, sent_at=4.0) == 2


def test_from_one_it_comes_back() -> None:
    concurrency = Concurrency(1)
    concurrency.ended(sent_at=0.0, pushed_back=True, now=1.0)
    assert concurrency.limit == 1
    assert clean(concurrency, 5, sent_at=2.0) == 1
