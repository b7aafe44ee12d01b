from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerting.state import Message, State, Step, Verdict, advance

BEGIN = datetime(2026, 11, 22, 13, 0, tzinfo=UTC)
HOLD = timedelta(minutes=2)
KEEP = timedelta(minutes=5)


def at(minute: int) -> datetime:
    return BEGIN + timedelta(minutes=minute)


def play(verdicts: Sequence[tuple[int, Verdict]], hold_for: timedelta = HOLD, keep_for: timedelta = KEEP) -> list[Step]:
    """Every step of an alert that starts out fine and hears these verdicts at these minutes."""
    steps = [Step(State.OK, BEGIN)]
    for minute, verdict in verdicts:
        last = steps[-1]
        steps.append(advance(last.state, last.since, verdict, at(minute), hold_for=hold_for, keep_for=keep_for))
    return steps[1:]


# From state (entered at minute 0), verdict, minute of the verdict -> to state, since minute, message.
# With hold_for 2 minutes and keep_for 5.
TABLE = [
    (State.OK, Verdict.CLEAR, 1, State.OK, 0, None),
    (State.OK, Verdict.BAND, 1, State.OK, 0, None),
    (State.OK, Verdict.BREACH, 1, State.PENDING, 1, None),
    (State.PENDING, Verdict.BREACH, 1, State.PENDING, 0, None),
    (State.PENDING, Verdict.BREACH, 2, State.FIRING, 2, Message.FIRING),
    (State.PENDING, Verdict.CLEAR, 1, State.OK, 1, None),
    (State.PENDING, Verdict.BAND, 1, State.OK, 1, None),
    (State.FIRING, Verdict.BREACH, 9, State.FIRING, 0, None),
    (State.FIRING, Verdict.BAND, 9, State.FIRING, 0, None),
    (State.FIRING, Verdict.CLEAR, 9, State.RECOVERING, 9, None),
    (State.RECOVERING, Verdict.CLEAR, 4, State.RECOVERING, 0, None),
    (State.RECOVERING, Verdict.CLEAR, 5, State.OK, 5, Message.RESOLVED),
    (State.RECOVERING, Verdict.BREACH, 4, State.FIRING, 4, None),
    (State.RECOVERING, Verdict.BAND, 4, State.FIRING, 4, None),
]


@pytest.mark.parametrize(("state", "verdict", "minute", "to", "since", "message"), TABLE)
def test_a_verdict_takes_an_alert_one_step(
    state: State, verdict: Verdict, minute: int, to: State, since: int, message: Message | None
) -> None:
    step = advance(state, BEGIN, verdict, at(minute), hold_for=HOLD, keep_for=KEEP)
    assert step == Step(to, at(since), message)


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("verdict", [Verdict.NO_DATA, Verdict.INCOMPLETE, Verdict.ERROR])
def test_not_knowing_changes_nothing(state: State, verdict: Verdict) -> None:
    step = advance(state, BEGIN, verdict, at(600), hold_for=HOLD, keep_for=KEEP)
    assert step == Step(state, BEGIN, None)


def test_without_a_hold_the_first_breach_fires() -> None:
    step = advance(State.OK, BEGIN, Verdict.BREACH, at(1), hold_for=timedelta(0), keep_for=KEEP)
    assert step == Step(State.FIRING, at(1), Message.FIRING)


def test_without_a_keep_the_first_clear_window_resolves() -> None:
    step = advance(State.FIRING, BEGIN, Verdict.CLEAR, at(1), hold_for=HOLD, keep_for=timedelta(0))
    assert step == Step(State.OK, at(1), Message.RESOLVED)


def test_one_burst_is_one_firing_and_one_resolved() -> None:
    verdicts = [Verdict.CLEAR, *[Verdict.BREACH] * 10, Verdict.BAND, *[Verdict.CLEAR] * 6]
    steps = play(list(enumerate(verdicts)))
    assert [(minute, step.message) for minute, step in enumerate(steps) if step.message] == [
        (3, Message.FIRING),
        (17, Message.RESOLVED),
    ]


def test_a_value_that_flaps_every_minute_for_an_hour_is_told_once() -> None:
    verdicts = [Verdict.BREACH] * 3 + [Verdict.CLEAR, Verdict.BREACH] * 30
    assert [step.message for step in play(list(enumerate(verdicts))) if step.message] == [Message.FIRING]


def reference(verdicts: Sequence[tuple[int, Verdict]], hold: int, keep: int) -> list[tuple[int, Message]]:
    """What people are told, by definition instead of by steps: looks back over everything known at each minute.

    An alert fires when it does not fire yet and the unbroken run of breaches up to now is at least `hold` minutes long;
    it resolves when it fires and the unbroken run of clear windows is at least `keep` minutes long. Windows that say
    nothing are not there.
    """
    silent = (Verdict.NO_DATA, Verdict.INCOMPLETE, Verdict.ERROR)
    told: list[tuple[int, Message]] = []
    known = [(minute, verdict) for minute, verdict in verdicts if verdict not in silent]
    begin = 0
    for end, (minute, verdict) in enumerate(known):
        firing = len(told) % 2 == 1
        wanted, least = (Verdict.CLEAR, keep) if firing else (Verdict.BREACH, hold)
        others = [index for index in range(begin, end + 1) if known[index][1] is not wanted]
        run = known[others[-1] + 1 : end + 1] if others else known[begin : end + 1]
        if verdict is wanted and minute - run[0][0] >= least:
            told.append((minute, Message.RESOLVED if firing else Message.FIRING))
            begin = end + 1
    return told


@given(
    st.lists(st.tuples(st.integers(0, 4), st.sampled_from(Verdict)), max_size=60),
    st.integers(0, 6),
    st.integers(0, 6),
)
def test_the_steps_tell_people_what_the_definition_says(gaps: list[tuple[int, Verdict]], hold: int, keep: int) -> None:
    minute = 0
    verdicts = []
    for gap, verdict in gaps:
        minute += gap
        verdicts.append((minute, verdict))
    steps = play(verdicts, timedelta(minutes=hold), timedelta(minutes=keep))
    told = [(minute, step.message) for (minute, _), step in zip(verdicts, steps, strict=True) if step.message]
    assert told == reference(verdicts, hold, keep)
