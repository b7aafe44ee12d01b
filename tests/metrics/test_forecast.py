"""The forecast: the method by hand, its band and error from its own past, and when it stays silent."""

from datetime import UTC, datetime, timedelta
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.forecast import FEWEST_TRIES, Forecast, History, forecast, history_of
from metrics.windows import Window

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
# A Monday.
START = datetime(2026, 10, 5, tzinfo=UTC)


def history(days: int, of: "list[int] | None" = None) -> History:
    """`of` gives the sum of an hour by weekday."""
    weekdays = of or [100] * 7
    return History(START, [weekdays[n // 24 % 7] for n in range(days * 24)])


def look(known: History, so_far: int, until: datetime, now: datetime | None = None) -> Forecast:
    at = known.end if now is None else now
    found = forecast(known, so_far, Window(START, until), now=at)
    assert found is not None
    return found


def test_every_hour_alike_goes_on_alike() -> None:
    known = history(28)
    found = look(known, 12_345, known.end + 10 * HOUR)
    assert (found.so_far, found.expected, found.low, found.high) == (12_345, 13_345, 13_345, 13_345)
    assert found.error == 0
    assert (found.tries, found.tried_hours) == (14, 10)
    assert found.until == known.end + 10 * HOUR


def test_a_part_of_an_hour_counts_as_that_part() -> None:
    known = history(28)
    now = known.end + timedelta(minutes=15)
    assert look(known, 0, known.end + 2 * HOUR, now).expected == 175


def test_weekdays_are_held_against_weekdays() -> None:
    # 28 days end on a Sunday; a Monday has 240 an hour, a Tuesday 24, and so on.
    known = history(28, [240, 24, 48, 72, 96, 120, 0])
    assert look(known, 0, known.end + 2 * DAY).expected == 24 * (240 + 24)


def test_the_rest_is_scaled_to_the_level_of_the_last_week() -> None:
    # Three weeks of 100 an hour, then one of 150: the median of four is 100, the last week has one and a half of that.
    # Tried on the 14 days before, it was right on seven, and 1.05 times too low on the best of the others: 1.025.
    known = History(START, [100] * 21 * 24 + [150] * 7 * 24)
    assert look(known, 0, known.end + DAY).expected == 3690


def test_one_outlier_among_the_weeks_changes_nothing() -> None:
    sums = [100] * 28 * 24
    sums[24] = 1_000_000
    known = History(START, sums)
    assert look(known, 0, known.end + DAY).expected == 24 * 100


def test_before_two_weeks_all_days_are_alike() -> None:
    # Five days, hours 0 to 11 have 10 and the others 20.
    known = History(START, [10 if n % 24 < 12 else 20 for n in range(5 * 24)])
    assert look(known, 0, known.end + 13 * HOUR).expected == 12 * 10 + 20


def test_with_mostly_quiet_hours_the_mean_goes_on() -> None:
    # One hour a day has 240, at another time each day, so the median of every hour is nothing.
    sums = [0] * 28 * 24
    for day in range(28):
        sums[day * 24 + day * 7 % 24] = 240
    known = History(START, sums)
    assert look(known, 0, known.end + DAY).expected == 240


def test_with_fewer_than_three_days_there_is_none() -> None:
    known = History(START, [100] * 71)
    assert forecast(known, 5, Window(START, START + 30 * DAY), now=known.end) is None
    assert forecast(history(3), 5, Window(START, START + 30 * DAY), now=history(3).end) is not None


def test_a_period_that_is_over_has_none() -> None:
    known = history(28)
    assert forecast(known, 5, Window(START, known.end), now=known.end) is None


def test_the_forecast_is_corrected_and_has_its_band_and_error_from_the_past() -> None:
    """Ten days of 100 an hour, then days of 100, 200, 100, 200 ...: worked out with the method in plain words."""
    sums = [100] * 10 * 24
    for day in range(14):
        sums += [200 if day % 2 else 100] * 24
    known = History(START, sums)
    found = look(known, 1000, known.end + DAY)
    # One day ahead from each of the days 14 to 23.
    tries = sorted(_ratio(sums[: day * 24], sums[day * 24 :][:24]) for day in range(14, 24))
    assert found.tries == len(tries) == 10
    rest = _plainly(sums)
    # The nearest ranks of 10 and 90 % of ten are the first and the ninth; the middle lies between fifth and sixth.
    assert found.low == 1000 + round(rest * tries[0])
    assert found.high == 1000 + round(rest * tries[8])
    assert found.expected == 1000 + round(rest * (tries[4] + tries[5]) / 2)
    # Of the other nine the middle is the fifth: of all ten the sixth for the lower five, the fifth for the upper five.
    errors = sorted(abs((tries[5] if place < 5 else tries[4]) / ratio - 1) for place, ratio in enumerate(tries))
    assert found.error == (errors[4] + errors[5]) / 2


def _plainly(sums: list[int]) -> Fraction:
    """A day ahead: the medians by hour (of the week from two weeks on), scaled to the last seven days."""
    around = 168 if len(sums) >= 336 else 24
    usual = []
    for hour in range(around):
        group = sorted(sums[hour::around])
        half = len(group) // 2
        usual.append(group[half] if len(group) % 2 else (group[half - 1] + group[half]) // 2)
    level = sums[-168:]
    expected = sum(usual[n % around] for n in range(len(sums) - len(level), len(sums)))
    ahead = sum(usual[n % around] for n in range(len(sums), len(sums) + 24))
    return Fraction(sum(level) * ahead, expected)


def _ratio(before: list[int], came: list[int]) -> Fraction:
    return sum(came) / _plainly(before)


def test_too_few_tries_give_no_band() -> None:
    known = history(4)
    found = look(known, 0, known.end + 10 * DAY)
    assert found.tries < FEWEST_TRIES
    assert (found.low, found.high) == (None, None)
    # A month ahead cannot be tried in four days: half a day was.
    assert found.tried_hours == 12


def test_history_begins_with_the_first_sum_and_ends_with_the_last_whole_hour() -> None:
    starts = [START + n * HOUR for n in range(6)]
    known = history_of(starts, [0, 0, 5, 0, 7, 3], until=START + 5 * HOUR + timedelta(minutes=20))
    assert known == History(START + 2 * HOUR, [5, 0, 7])
    assert known.end == START + 5 * HOUR
    assert history_of(starts, [0] * 6, until=START + 6 * HOUR).hours == []


@given(st.lists(st.integers(0, 10**15), min_size=72, max_size=400), st.integers(1, 400), st.integers(0, 10**15))
def test_a_forecast_is_never_below_what_there_is_and_lies_in_its_band(
    hours: list[int], ahead: int, so_far: int
) -> None:
    known = History(START, hours)
    found = forecast(known, so_far, Window(START, known.end + ahead * HOUR), now=known.end)
    assert found is not None
    assert found.expected >= found.so_far
    if found.low is not None and found.high is not None:
        assert so_far <= found.low <= found.expected <= found.high
    assert found.error is None or found.error >= 0


@pytest.mark.parametrize("factor", [2, 1000])
def test_a_forecast_does_not_depend_on_the_unit(factor: int) -> None:
    known = history(20, [240, 24, 48, 72, 96, 120, 10])
    one = look(known, 100, known.end + 3 * DAY)
    other = look(History(START, [n * factor for n in known.hours]), 100 * factor, known.end + 3 * DAY)
    assert (other.expected, other.error) == (one.expected * factor, one.error)
