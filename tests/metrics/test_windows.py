"""Windows are half-open, in UTC, and lie on one grid."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from ingest.vocabulary import Grain
from metrics.windows import Window, ceil, floor, seconds_of

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
AT = datetime(2026, 11, 22, 10, 7, 31, 250_000, tzinfo=UTC)


def test_the_last_minutes_end_now() -> None:
    assert Window.last(5, AT) == Window(AT - 5 * MINUTE, AT)
    assert Window.last(DAY, AT) == Window(AT - DAY, AT)


def test_the_start_belongs_to_a_window_and_the_end_does_not() -> None:
    window = Window.last(5, AT)
    assert window.contains(window.start)
    assert not window.contains(window.end)


def test_length_in_seconds_knows_fractions() -> None:
    assert Window(AT, AT + timedelta(milliseconds=1500)).seconds == 1.5


def test_shifting_and_the_window_before_keep_the_length() -> None:
    window = Window.last(90, AT)
    assert window.shift(-DAY) == Window(AT - DAY - 90 * MINUTE, AT - DAY)
    assert window.previous() == Window(AT - 180 * MINUTE, AT - 90 * MINUTE)


def test_a_window_can_be_cut_at_a_time() -> None:
    window = Window(AT, AT + HOUR)
    assert window.until(AT + MINUTE) == Window(AT, AT + MINUTE)
    assert window.until(AT + DAY) == window
    assert window.until(AT - DAY).is_empty


@pytest.mark.parametrize(
    ("step", "below", "above"),
    [
        (MINUTE, AT.replace(second=0, microsecond=0), datetime(2026, 11, 22, 10, 8, tzinfo=UTC)),
        (15 * MINUTE, datetime(2026, 11, 22, 10, 0, tzinfo=UTC), datetime(2026, 11, 22, 10, 15, tzinfo=UTC)),
        (2 * HOUR, datetime(2026, 11, 22, 10, 0, tzinfo=UTC), datetime(2026, 11, 22, 12, 0, tzinfo=UTC)),
        (12 * HOUR, datetime(2026, 11, 22, 0, 0, tzinfo=UTC), datetime(2026, 11, 22, 12, 0, tzinfo=UTC)),
        (DAY, datetime(2026, 11, 22, tzinfo=UTC), datetime(2026, 11, 23, tzinfo=UTC)),
    ],
)
def test_a_time_lies_between_two_points_of_the_grid(step: timedelta, below: datetime, above: datetime) -> None:
    assert (floor(AT, step), ceil(AT, step)) == (below, above)
    assert (floor(below, step), ceil(below, step)) == (below, below)


def test_buckets_cover_the_window_with_cut_ones_at_both_ends() -> None:
    window = Window(AT, AT + 2 * MINUTE)
    assert window.buckets(MINUTE) == window.buckets(Grain.MINUTE)
    assert [start.minute for start in window.buckets(MINUTE)] == [7, 8, 9]
    assert Window(floor(AT, MINUTE), floor(AT, MINUTE) + 2 * MINUTE).buckets(MINUTE) == [
        datetime(2026, 11, 22, 10, 7, tzinfo=UTC),
        datetime(2026, 11, 22, 10, 8, tzinfo=UTC),
    ]
    assert Window(AT, AT).buckets(MINUTE) == []


def test_a_window_in_another_zone_lies_on_the_grid_of_utc() -> None:
    kolkata = timezone(timedelta(hours=5, minutes=30))
    assert floor(AT.astimezone(kolkata), HOUR) == datetime(2026, 11, 22, 10, tzinfo=UTC)


def test_a_window_that_ends_before_it_starts_is_refused() -> None:
    with pytest.raises(ValueError, match="before it starts"):
        Window(AT, AT - MINUTE)


def test_a_window_without_a_time_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="need a time zone"):
        Window(AT.replace(tzinfo=None), AT)


def test_a_start_is_a_number_of_seconds() -> None:
    assert seconds_of(datetime(2026, 11, 22, 10, tzinfo=UTC)) == 1_795_341_600
