"""Who is let in, who waits, who is turned away; step by step, by hand."""

import random
import threading
import time
from typing import Any

import pytest

from llmclient._admission import Admission, Admitted, Refused, Ticket, Want
from llmclient._policy import Limits, Priority

SMALL = Want(10, 10)


def headers(*, date: str = "Sun, 22 Nov 2026 12:00:00 GMT", **limits: tuple[int, int]) -> dict[str, str]:
    """`requests`, `input` or `output`: limit and what remains of it."""
    said = {"date": date}
    for name, (limit, remaining) in limits.items():
        theirs = name if name == "requests" else f"{name}-tokens"
        said[f"anthropic-ratelimit-{theirs}-limit"] = str(limit)
        said[f"anthropic-ratelimit-{theirs}-remaining"] = str(remaining)
    return said


def admission(requests: int | None = None, **settings: Any) -> Admission:
    """One that uses all of its quota and has learned how many requests a minute that is."""
    made = Admission(Limits(**{"target": 1.0, **settings}), chance=lambda: 0.0)
    if requests is not None:
        made.learn(headers(requests=(requests, requests)), received_at_unix=0.0, now=0.0)
    return made


def enter(
    to: Admission, now: float = 0.0, want: Want = SMALL, priority: Priority = "interactive", patience: float = 60.0
) -> Admitted | Ticket | Refused:
    return to.enter(want, priority=priority, patience=patience, now=now)


def let_in(to: Admission, now: float = 0.0, want: Want = SMALL, priority: Priority = "interactive") -> Admitted:
    entered = enter(to, now, want, priority)
    assert isinstance(entered, Admitted)
    return entered


def in_line(to: Admission, now: float = 0.0, want: Want = SMALL, priority: Priority = "interactive") -> Ticket:
    entered = enter(to, now, want, priority)
    assert isinstance(entered, Ticket)
    return entered


def end(to: Admission, admitted: Admitted, now: float = 0.0, *, pushed_back: bool = False) -> list[Ticket]:
    return list(to.done(admitted, input=10, output=10, pushed_back=pushed_back, now=now))


def used_up(requests: int = 60, **settings: Any) -> Admission:
    """One with all its requests spent at 0, one a second coming back, and no attempt under way."""
    made = admission(requests, **settings)
    for _ in range(requests):
        end(made, let_in(made))
    return made


def test_without_a_known_limit_everybody_is_let_in() -> None:
    made = admission()
    for _ in range(64):
        let_in(made, want=Want(1e9, 1e9))
    assert made.snapshot(0.0)["buckets"] == {}


def test_who_finds_no_request_left_waits_for_the_next_one() -> None:
    made = used_up()
    ticket = in_line(made)
    assert made.poll(ticket, 0.0) == 1.0
    assert made.poll(ticket, 0.25) == 0.75
    entered = made.poll(ticket, 1.0)
    assert isinstance(entered, Admitted)
    assert made.poll(ticket, 1.0) is entered


@pytest.mark.parametrize("what", ["input", "output"])
def test_tokens_are_waited_for_like_requests(what: str) -> None:
    made = admission()
    made.learn(
        headers(**{what: (6_000, 6_000)}),  # type: ignore[arg-type]  # a date is no limit
        received_at_unix=0.0,
        now=0.0,
    )
    made.done(let_in(made, want=Want(6_000, 6_000)), input=6_000, output=6_000, pushed_back=False, now=0.0)
    assert made.poll(in_line(made, want=Want(50, 50)), 0.0) == 0.5


def test_a_wait_longer_than_the_patience_is_refused_at_the_door() -> None:
    made = used_up()
    assert enter(made, patience=0.5) == Refused(1.0)
    assert enter(used_up(max_wait=0.9), patience=60.0) == Refused(1.0)
    assert made.snapshot(0.0)["waiting"] == 0
    for _ in range(10):
        in_line(made)
    assert enter(made) == Refused(11.0)


def test_the_queue_is_bounded() -> None:
    made = used_up(requests=600, queue=3)
    for _ in range(3):
        in_line(made)
    assert enter(made) == Refused(1.0)
    assert made.snapshot(0.0)["waiting"] == 3


def test_nobody_of_the_same_priority_is_let_in_past_the_line() -> None:
    made = admission()
    made.learn(headers(input=(6_000, 6_000)), received_at_unix=0.0, now=0.0)
    let_in(made, want=Want(5_900, 10))
    large = in_line(made, want=Want(1_000, 10))
    small = in_line(made, want=Want(1, 1))
    assert made.poll(small, 0.0) == 1.0  # never longer asleep than that
    assert made.poll(small, 8.5) == pytest.approx(0.51)
    assert isinstance(made.poll(large, 9.0), Admitted)
    assert isinstance(made.poll(small, 9.01), Admitted)


def test_an_interactive_call_passes_background_ones_that_wait_for_more() -> None:
    made = admission()
    made.learn(headers(input=(6_000, 6_000)), received_at_unix=0.0, now=0.0)
    let_in(made, want=Want(5_900, 10))
    in_line(made, want=Want(800, 10), priority="background")
    let_in(made, want=Want(1, 1))
    in_line(made, want=Want(1, 1), priority="background")


def test_every_tenth_turn_is_the_background_s() -> None:
    made = used_up(queue=100, max_wait=60)
    background = in_line(made, priority="background")
    people = [in_line(made) for _ in range(12)]
    let_in_after = {}
    for second in range(1, 14):
        made.poll(people[-1], float(second))  # whoever asks, it is the first one's turn
        let_in_after.update(
            {ticket: second for ticket in (*people, background) if ticket.outcome and ticket not in let_in_after}
        )
    assert [let_in_after[ticket] for ticket in people] == [1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13]
    assert let_in_after[background] == 10


def test_a_slot_that_becomes_free_goes_to_the_first_in_line_who_is_to_be_woken() -> None:
    made = admission(concurrency=2)
    first, second = let_in(made), let_in(made)
    waiting = [in_line(made), in_line(made)]
    assert made.poll(waiting[0], 0.0) == 1.0
    assert end(made, first, 5.0) == [waiting[0]]
    assert isinstance(made.poll(waiting[0], 5.0), Admitted)
    assert made.poll(waiting[1], 5.0) == 1.0
    assert list(made.abandon(second, 6.0)) == [waiting[1]]


def test_the_wait_for_a_slot_is_predicted_from_how_long_attempts_take() -> None:
    made = admission(concurrency=2)
    end(made, let_in(made, 0.0), 8.0)
    let_in(made, 8.0)
    let_in(made, 8.0)
    assert enter(made, 8.0, patience=3.9) == Refused(4.0)
    in_line(made, 8.0)
    assert enter(made, 8.0, patience=7.9) == Refused(8.0)


def test_a_push_back_lowers_the_number_under_way() -> None:
    made = admission(concurrency=10)
    end(made, let_in(made, 1.0), 2.0, pushed_back=True)
    assert made.snapshot(2.0)["concurrency"] == 7


def test_who_asks_too_late_has_lost_the_place() -> None:
    made = admission(concurrency=1)
    let_in(made)
    ticket = in_line(made)
    assert made.poll(ticket, 9.5) == 0.5
    assert made.poll(ticket, 10.0) == Refused(0.0)
    assert made.poll(ticket, 11.0) == Refused(0.0)
    assert made.snapshot(10.0)["waiting"] == 0


def test_who_does_not_come_back_does_not_hold_up_the_others() -> None:
    made = admission(concurrency=1)
    first = let_in(made)
    in_line(made)
    late = in_line(made, 9.0)
    assert end(made, first, 15.0)[-1] is late
    assert isinstance(made.poll(late, 15.0), Admitted)


def test_a_line_of_people_who_do_not_come_back_does_not_refuse_everybody_for_ever() -> None:
    made = used_up(queue=2, max_wait=2)
    in_line(made)
    in_line(made)
    assert isinstance(enter(made, 0.5), Refused)
    assert isinstance(made.poll(in_line(made, 20.0), 20.0), Admitted)


def test_who_would_wait_too_long_after_a_push_back_is_told_at_once() -> None:
    made = used_up()
    tickets = [in_line(made), in_line(made)]
    made.refused("rate_limit", retry_after=30.0, now=0.5)
    assert made.poll(tickets[1], 0.5) == Refused(30.0)
    assert tickets[0].outcome == Refused(30.0)


def test_abandoning_gives_everything_back() -> None:
    made = admission(requests=60)
    made.learn(headers(requests=(60, 60), input=(6_000, 6_000)), received_at_unix=0.0, now=0.0)
    made.abandon(let_in(made, want=Want(6_000, 10)), 0.0)
    assert made.snapshot(0.0)["buckets"] == {
        "requests": {"limit": 60, "level": 60, "reserved": 0},
        "input": {"limit": 6_000, "level": 6_000, "reserved": 0},
    }


def test_a_ticket_abandoned_after_its_turn_came_gives_its_slot_to_the_next() -> None:
    made = admission(concurrency=1)
    first = let_in(made)
    tickets = [in_line(made), in_line(made)]
    assert end(made, first) == [tickets[0]]
    assert list(made.abandon(tickets[0], 0.0)) == [tickets[1]]
    assert made.snapshot(0.0)["in_flight"] == 1


def test_an_abandoned_ticket_is_never_let_in() -> None:
    made = admission(concurrency=1)
    first = let_in(made)
    ticket = in_line(made)
    made.abandon(ticket, 0.0)
    assert end(made, first) == []
    assert made.poll(ticket, 0.0) == Refused(0.0)
    assert made.snapshot(0.0)["in_flight"] == 0


def test_an_attempt_ends_once() -> None:
    made = admission(requests=60)
    admitted = let_in(made)
    for _ in range(3):
        end(made, admitted)
        made.abandon(admitted, 0.0)
    assert made.snapshot(0.0)["buckets"]["requests"] == {"limit": 60, "level": 59, "reserved": 0}


def test_usage_settles_the_estimate_and_stands_in_for_nothing_else() -> None:
    made = admission()
    made.learn(headers(requests=(60, 60), input=(6_000, 6_000), output=(6_000, 6_000)), received_at_unix=0.0, now=0.0)
    made.done(let_in(made, want=Want(1_000, 500)), input=400, output=None, pushed_back=False, now=0.0)
    levels = {name: each["level"] for name, each in made.snapshot(0.0)["buckets"].items()}
    assert levels == {"requests": 59, "input": 5_600, "output": 5_500}
    made.done(let_in(made, want=Want(1_000, 500)), input=0, output=0, pushed_back=True, now=0.0)
    assert {name: each["level"] for name, each in made.snapshot(0.0)["buckets"].items()} == levels


def test_a_refusal_blocks_the_dimension_with_least_left() -> None:
    made = admission()
    said = headers(requests=(60, 50), input=(6_000, 1_000), output=(6_000, 6_000))
    made.learn(said, received_at_unix=0.0, now=0.0)
    made.refused("rate_limit", retry_after=4.0, headers=said, now=0.0)
    assert enter(made, want=Want(0, 0), patience=1.0) == Refused(4.0)
    assert made.snapshot(0.0)["blocked_for"] == 4.0
    levels = {name: each["level"] for name, each in made.snapshot(4.0)["buckets"].items()}
    assert levels == {"requests": 54, "input": 280, "output": 6_000}  # 0.7 of 100 a second


def test_a_refusal_that_says_nothing_blocks_everything_for_a_second() -> None:
    made = admission()
    made.refused("rate_limit", retry_after=None, now=0.0)
    assert enter(made, patience=0.5) == Refused(1.0)
    let_in(made, 1.0)


def test_no_header_blocks_for_longer_than_five_minutes() -> None:
    made = admission()
    made.refused("rate_limit", retry_after=1e9, now=0.0)
    assert enter(made) == Refused(300.0)


def test_processes_that_were_blocked_together_do_not_come_back_together() -> None:
    made = Admission(Limits(), chance=lambda: 0.5)
    made.refused("rate_limit", retry_after=20.0, now=0.0)
    assert enter(made) == Refused(21.0)


def test_a_refusal_for_growth_tightens_the_ramp_once_and_leaves_the_rate() -> None:
    made = admission(requests=6_000)
    for n in range(1_000):
        end(made, let_in(made, n / 20), n / 20)
    for _ in range(30):
        made.refused("ramp_limit", retry_after=2.0, now=50.0)
    assert made.snapshot(50.0)["requests_per_minute"] == 678.2
    # Down to 0.9 of it: 68.8 fewer, and ten a second. A second tightening would have made it 0.81.
    refused = enter(made, 50.0, patience=1.0)
    assert isinstance(refused, Refused)
    assert refused.wait == pytest.approx(68.82 * 60 / 609.38, abs=0.01)
    assert made.snapshot(50.0)["blocked_for"] == 2.0
    let_in(made, 57.0)


def test_an_overload_that_says_when_to_come_back_is_obeyed_and_nothing_is_slowed() -> None:
    made = admission(requests=60)
    made.refused("overloaded", retry_after=None, now=0.0)
    end(made, let_in(made))
    made.refused("overloaded", retry_after=3.0, now=0.0)
    assert enter(made, patience=1.0) == Refused(3.0)
    assert made.snapshot(1.0)["buckets"]["requests"]["level"] == 60


def test_an_older_answer_that_comes_late_is_not_read() -> None:
    made = admission()
    made.learn(headers(date="Sun, 22 Nov 2026 12:00:30 GMT", requests=(60, 5)), received_at_unix=0.0, now=30.0)
    made.learn(headers(date="Sun, 22 Nov 2026 12:00:20 GMT", requests=(600, 500)), received_at_unix=0.0, now=31.0)
    assert made.snapshot(30.0)["buckets"]["requests"] == {"limit": 60, "level": 5, "reserved": 0}
    made.learn(headers(date="Sun, 22 Nov 2026 12:00:30 GMT", requests=(60, 3)), received_at_unix=0.0, now=31.0)
    assert made.snapshot(31.0)["buckets"]["requests"]["level"] == 3


def test_a_date_from_the_future_keeps_others_out_for_a_minute_only() -> None:
    made = admission()
    made.learn(headers(date="Sun, 22 Nov 2099 12:00:30 GMT", requests=(60, 60)), received_at_unix=0.0, now=0.0)
    made.learn(headers(requests=(600, 600)), received_at_unix=0.0, now=59.0)
    assert made.snapshot(59.0)["buckets"]["requests"]["limit"] == 60
    made.learn(headers(requests=(600, 600)), received_at_unix=0.0, now=60.0)
    assert made.snapshot(60.0)["buckets"]["requests"]["limit"] == 600


def test_a_share_can_be_taken_and_given_back() -> None:
    made = admission(requests=600, share=0.1)
    assert made.snapshot(0.0)["buckets"]["requests"]["level"] == 60
    made.take_share(1.0, 0.0)
    assert made.snapshot(60.0)["buckets"]["requests"]["level"] == 600


def test_an_attempt_that_nobody_ended_is_let_go_after_an_hour() -> None:
    made = admission(concurrency=1)
    let_in(made)
    ticket = in_line(made, 3_599.0)
    assert made.poll(ticket, 3_599.0) == 1.0
    assert isinstance(made.poll(ticket, 3_601.0), Admitted)
    assert made.snapshot(3_601.0)["in_flight"] == 1


def test_threads_that_sleep_as_told_are_woken_when_it_is_their_turn() -> None:
    made, lock, order = admission(concurrency=3, max_wait=60), threading.Lock(), []

    def end_and_wake(admitted: Admitted) -> None:
        with lock:
            woken = end(made, admitted, time.monotonic())
        for ticket in woken:
            assert ticket.wake is not None
            ticket.wake()

    def call() -> None:
        awake = threading.Event()
        with lock:
            ticket = in_line(made, time.monotonic())
            ticket.wake = awake.set
        said: Admitted | float | Refused = 0.0
        while isinstance(said, float):
            awake.wait(said)
            awake.clear()
            with lock:
                said = made.poll(ticket, time.monotonic())
        assert isinstance(said, Admitted)
        with lock:
            order.append(made.snapshot(time.monotonic())["in_flight"])
        end_and_wake(said)

    held = [let_in(made, time.monotonic()) for _ in range(3)]
    threads = [threading.Thread(target=call) for _ in range(50)]
    for thread in threads:
        thread.start()
    while made.snapshot(time.monotonic())["waiting"] < len(threads):
        threading.Event().wait(0.001)
    started = time.monotonic()
    for admitted in held:
        end_and_wake(admitted)
    for thread in threads:
        thread.join(60)
    assert len(order) == 50
    assert max(order) <= 3
    assert time.monotonic() - started < 5  # seventeen, a second for each three, if nobody were woken
    assert made.snapshot(0.0)["in_flight"] == 0


def test_the_snapshot_is_plain_data() -> None:
    made = admission(requests=60)
    let_in(made)
    assert made.snapshot(0.0) == {
        "in_flight": 1,
        "waiting": 0,
        "concurrency": 64,
        "requests_per_minute": 1.0,
        "blocked_for": 0.0,
        "buckets": {"requests": {"limit": 60, "level": 59, "reserved": 1}},
    }


def test_chance_is_asked_only_where_something_is_blocked() -> None:
    made = Admission(Limits(), chance=random.Random(1).random)
    end(made, let_in(made))
    assert made.snapshot(0.0)["blocked_for"] == 0.0
