"""Episodes of breakers from the changes clients told: by hand, minute by minute."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from ingest.vocabulary import BreakerState
from metrics.breaker_states import Change, Stretch, told_by
from metrics.windows import Window

CLOSED, OPEN, HALF = BreakerState.CLOSED, BreakerState.OPEN, BreakerState.HALF_OPEN
DAWN = datetime(2026, 11, 22, 10, tzinfo=UTC)
WINDOW = Window(DAWN, DAWN + timedelta(hours=1))


def at(minute: float) -> datetime:
    return DAWN + timedelta(minutes=minute)


def change(
    minute: float, before: BreakerState, after: BreakerState, reason: str = "", *, boot: int = 1, seen: float = 120
) -> Change:
    return Change(UUID(int=boot), "sonnet-5", at(minute), before, after, reason, at(seen))


def test_no_change_is_no_episode_and_neither_is_a_closed_breaker() -> None:
    assert told_by([], WINDOW) == {}
    assert told_by([change(-5, OPEN, CLOSED)], WINDOW) == {}


def test_an_episode_goes_from_closed_to_closed_with_its_tries_and_its_reason() -> None:
    changes = [
        change(10, CLOSED, OPEN, "failure_share"),
        change(12, OPEN, HALF, "cooldown_over"),
        change(13, HALF, OPEN, "probes_failed"),
        change(15, OPEN, HALF, "cooldown_over"),
        change(16, HALF, CLOSED, "probes_succeeded"),
    ]
    (episode,) = told_by(changes, WINDOW)["sonnet-5"]
    assert (episode.start, episode.end, episode.is_over) == (at(10), at(16), True)
    assert (episode.clients, episode.tries, episode.reason) == (1, 2, "failure_share")
    assert episode.duration == timedelta(minutes=6)
    assert episode.stretches == (
        Stretch(at(10), at(12), OPEN),
        Stretch(at(12), at(13), HALF),
        Stretch(at(13), at(15), OPEN),
        Stretch(at(15), at(16), HALF),
    )


def test_what_opened_before_the_window_begins_with_it() -> None:
    (episode,) = told_by([change(-30, CLOSED, OPEN, "overloaded"), change(5, OPEN, CLOSED)], WINDOW)["sonnet-5"]
    assert (episode.start, episode.end) == (at(0), at(5))
    # The first change known says what was before it.
    (episode,) = told_by([change(5, HALF, CLOSED)], WINDOW)["sonnet-5"]
    assert episode.stretches == (Stretch(at(0), at(5), HALF),)


def test_what_is_still_open_lasts_until_the_window_ends_or_the_client_falls_silent() -> None:
    (episode,) = told_by([change(50, CLOSED, OPEN)], WINDOW)["sonnet-5"]
    assert (episode.end, episode.is_over) == (at(60), False)
    # Last heard two minutes before it was, and two minutes more.
    (episode,) = told_by([change(20, CLOSED, OPEN, seen=22)], WINDOW)["sonnet-5"]
    assert (episode.end, episode.is_over) == (at(24), True)


def test_a_group_is_as_open_as_the_most_open_of_its_clients() -> None:
    changes = [
        change(10, CLOSED, OPEN, "overloaded"),
        change(14, OPEN, HALF),
        change(20, HALF, CLOSED),
        change(12, CLOSED, OPEN, "shared", boot=2),
        change(16, OPEN, CLOSED, boot=2),
    ]
    (episode,) = told_by(changes, WINDOW)["sonnet-5"]
    assert (episode.clients, episode.reason) == (2, "overloaded")
    assert episode.stretches == (Stretch(at(10), at(16), OPEN), Stretch(at(16), at(20), HALF))


def test_two_episodes_with_peace_between_them_are_two() -> None:
    changes = [change(1, CLOSED, OPEN), change(2, OPEN, CLOSED), change(30, CLOSED, OPEN), change(33, OPEN, CLOSED)]
    found = told_by(changes, WINDOW)["sonnet-5"]
    assert [(one.start, one.end) for one in found] == [(at(1), at(2)), (at(30), at(33))]


def test_groups_are_apart_and_in_order() -> None:
    other = change(3, CLOSED, OPEN)._replace(group="haiku-4-5")
    assert list(told_by([change(1, CLOSED, OPEN), other], WINDOW)) == ["haiku-4-5", "sonnet-5"]
