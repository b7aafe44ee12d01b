"""What an alert is: four states, six verdicts, and one pure function between them.

    ok          nothing is wrong
    pending     the value is beyond the threshold, but not yet for as long as the rule asks (`hold_for`)
    firing      it has been for long enough; people have been told
    recovering  the value is back behind the recovery threshold, but not yet for `keep_for`

Between the two thresholds lies a band in which nothing begins and nothing ends: a hold that was running is broken, and
an alert that fires goes on firing. Not knowing changes nothing: no data, an incomplete window and a failed reading
leave the state and its clock as they are, so silence never resolves an alert.
"""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple


class State(StrEnum):
    OK = "ok"
    PENDING = "pending"
    FIRING = "firing"
    RECOVERING = "recovering"


class Verdict(StrEnum):
    """What one complete window says about one rule."""

    BREACH = "breach"  # beyond the threshold
    CLEAR = "clear"  # behind the recovery threshold
    BAND = "band"  # between the two
    NO_DATA = "no_data"  # too few requests to say, and the rule asks to keep its state
    INCOMPLETE = "incomplete"  # the window is not fully counted yet
    ERROR = "error"  # the reading failed


class Message(StrEnum):
    """What people are to be told about a step."""

    FIRING = "firing"
    RESOLVED = "resolved"


class Step(NamedTuple):
    """Where an alert stands after a verdict: its state, since when, and the message the step calls for."""

    state: State
    since: datetime
    message: Message | None = None


def advance(
    state: State, since: datetime, verdict: Verdict, now: datetime, *, hold_for: timedelta, keep_for: timedelta
) -> Step:
    """Take one step. `now` is the end of the window the verdict is about; it never runs backwards."""
    if verdict in (Verdict.NO_DATA, Verdict.INCOMPLETE, Verdict.ERROR):
        return Step(state, since)
    if state in (State.OK, State.PENDING):
        return _before_firing(state, since, verdict, now, hold_for)
    return _while_firing(state, since, verdict, now, keep_for)


def _before_firing(state: State, since: datetime, verdict: Verdict, now: datetime, hold_for: timedelta) -> Step:
    if verdict is not Verdict.BREACH:
        return Step(State.OK, since if state is State.OK else now)
    breaching_since = since if state is State.PENDING else now
    if now - breaching_since >= hold_for:
        return Step(State.FIRING, now, Message.FIRING)
    return Step(State.PENDING, breaching_since)


def _while_firing(state: State, since: datetime, verdict: Verdict, now: datetime, keep_for: timedelta) -> Step:
    if verdict is not Verdict.CLEAR:
        return Step(State.FIRING, since if state is State.FIRING else now)
    clear_since = since if state is State.RECOVERING else now
    if now - clear_since >= keep_for:
        return Step(State.OK, now, Message.RESOLVED)
    return Step(State.RECOVERING, clear_since)
