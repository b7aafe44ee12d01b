"""The line of those who wait: whose turn it is, and how long it will be."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmclient._policy import Priority
from llmclient._queue import Ahead, Queue, Slowness, Ticket, Want


def ticket(priority: Priority = "interactive", input_: float = 1.0, output: float = 1.0) -> Ticket:
    return Ticket(Want(input_, output), priority, came_at=0.0, leaves_at=10.0)


def served(queue: Queue, turns: int) -> str:
    """The priorities of the next turns, by their initials."""
    letters = ""
    for _ in range(turns):
        head = queue.head()
        assert head is not None
        queue.serve(head)
        letters += head.priority[0]
    return letters


def test_first_come_first_served() -> None:
    queue = Queue(10)
    tickets = [ticket() for _ in range(4)]
    for each in tickets:
        queue.push(each)
    assert list(queue.in_order()) == tickets
    queue.serve(tickets[0])
    queue.remove(tickets[2])
    assert list(queue.in_order()) == [tickets[1], tickets[3]]
    assert len(queue) == 2


def test_interactive_calls_go_before_background_ones_which_get_every_tenth_turn() -> None:
    queue = Queue(100)
    for _ in range(3):
        queue.push(ticket("background"))
    for _ in range(25):
        queue.push(ticket("interactive"))
    assert "".join(each.priority[0] for each in queue.in_order()) == "i" * 9 + "b" + "i" * 9 + "b" + "i" * 7 + "b"
    assert served(queue, 28) == "i" * 9 + "b" + "i" * 9 + "b" + "i" * 7 + "b"


def test_calls_let_in_past_the_line_count_as_overtaking() -> None:
    queue = Queue(100)
    queue.push(ticket("background"))
    for _ in range(9):
        assert queue.passes("interactive")
        queue.overtake()
    assert not queue.passes("interactive")
    queue.push(ticket("interactive"))
    assert served(queue, 2) == "bi"
    assert queue.passes("interactive")


def test_nobody_is_overtaken_when_no_background_call_waits() -> None:
    queue = Queue(100)
    for _ in range(20):
        queue.overtake()
    queue.push(ticket("background"))
    assert queue.passes("interactive")
    assert not queue.passes("background")
    gone = queue.head()
    assert gone is not None
    for _ in range(9):
        queue.overtake()
    queue.remove(gone)
    queue.push(ticket("background"))
    assert queue.passes("interactive")


def test_what_is_ahead_is_everybody_who_is_served_before() -> None:
    queue = Queue(100)
    first, late = ticket("background", 100, 10), ticket("background", 1, 1)
    queue.push(first)
    queue.push(late)
    people = [ticket("interactive", 2, 3) for _ in range(10)]
    for each in people:
        queue.push(each)
    assert queue.ahead(people[0]) == Ahead(0, 0, 0)
    assert queue.ahead(people[8]) == Ahead(8, 16, 24)
    assert queue.ahead(people[9]) == Ahead(10, 118, 37)
    assert queue.ahead(late) == Ahead(11, 120, 40)


def test_a_ticket_that_is_not_in_line_is_removed_without_harm() -> None:
    queue = Queue(2)
    stays = ticket()
    queue.push(stays)
    queue.remove(ticket())
    assert list(queue.in_order()) == [stays]


def test_it_is_full_at_its_size() -> None:
    queue = Queue(2)
    queue.push(ticket())
    assert not queue.full
    queue.push(ticket("background"))
    assert queue.full


@settings(max_examples=100)
@given(arrivals=st.lists(st.sampled_from(["interactive", "background", None]), max_size=150))
def test_a_background_call_is_overtaken_nine_times_in_a_row_at_most(arrivals: list[Priority | None]) -> None:
    queue, overtaken = Queue(1_000), 0
    for arrival in arrivals:
        if arrival is not None:
            queue.push(ticket(arrival))
            continue
        expected = next(queue.in_order(), None)
        head = queue.head()
        assert head is expected
        if head is None:
            continue
        waited = any(each.priority == "background" for each in queue.in_order())
        queue.serve(head)
        overtaken = overtaken + 1 if waited and head.priority == "interactive" else 0
        assert overtaken <= 9


def test_waits_that_turn_out_as_predicted_change_nothing() -> None:
    slowness = Slowness()
    for _ in range(100):
        slowness.ended(Ticket(Want(1, 1), "interactive", 0.0, 10.0, predicted=5.0), 0.0, 5.0)
        slowness.ended(Ticket(Want(1, 1), "interactive", 0.0, 10.0, predicted=5.0), 0.0, 1.0)
    assert slowness.factor(5.0) == 1.0


def test_waits_twice_as_long_as_predicted_double_the_predictions_and_are_forgotten() -> None:
    slowness = Slowness()
    for _ in range(200):
        # Predicted 8 s; after 10 s there are still 3 s to go: 10 s for a way of 5.
        slowness.ended(Ticket(Want(1, 1), "interactive", 90.0, 100.0, predicted=8.0), 3.0, 100.0)
    assert slowness.factor(100.0) == pytest.approx(2.0, abs=0.001)
    assert slowness.factor(220.0) == pytest.approx(1.368, abs=0.001)


def test_a_line_that_was_stopped_is_no_slow_line() -> None:
    slowness = Slowness()
    for _ in range(100):
        slowness.ended(Ticket(Want(1, 1), "interactive", 0.0, 10.0, predicted=2.0), 30.0, 1.0)
    assert slowness.factor(1.0) == 1.0
