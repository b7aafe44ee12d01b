from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from budgets.periods import Period, label, period_at

ZONES = sorted(available_timezones())
SECONDS = st.integers(min_value=631_152_000, max_value=2_208_988_800)  # 1990 to 2040
INSTANTS = st.builds(lambda seconds: datetime.fromtimestamp(seconds, UTC), SECONDS)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def period(start: str, end: str) -> Period:
    return Period(utc(start), utc(end))


def test_a_month_in_utc_begins_on_the_first_at_midnight() -> None:
    assert period_at("month", "UTC", utc("2026-11-22T13:45")) == period("2026-11-01", "2026-12-01")


def test_a_period_holds_its_start_and_not_its_end() -> None:
    november = period("2026-11-01", "2026-12-01")
    assert period_at("month", "UTC", utc("2026-11-01T00:00:00")) == november
    assert period_at("month", "UTC", utc("2026-11-30T23:59:59.999999")) == november
    assert period_at("month", "UTC", utc("2026-12-01T00:00:00")) == period("2026-12-01", "2027-01-01")
    assert november.start in november
    assert november.end not in november


def test_a_month_in_berlin_begins_an_hour_before_utc_in_winter() -> None:
    assert period_at("month", "Europe/Berlin", utc("2026-11-30T23:30")) == period(
        "2026-11-30T23:00", "2026-12-31T23:00"
    )


def test_the_day_the_clock_is_put_forward_has_23_hours() -> None:
    day = period_at("day", "Europe/Berlin", utc("2026-03-29T12:00"))
    assert day == period("2026-03-28T23:00", "2026-03-29T22:00")
    assert day.end - day.start == timedelta(hours=23)


def test_the_day_the_clock_is_put_back_has_25_hours() -> None:
    day = period_at("day", "Europe/Berlin", utc("2026-10-25T12:00"))
    assert day == period("2026-10-24T22:00", "2026-10-25T23:00")
    assert day.end - day.start == timedelta(hours=25)


def test_a_day_whose_midnight_is_skipped_begins_when_the_clock_jumps() -> None:
    # Beirut, 26 March 2017: 00:00 became 01:00.
    assert period_at("day", "Asia/Beirut", utc("2017-03-26T10:00")) == period("2017-03-25T22:00", "2017-03-26T21:00")


def test_a_day_whose_midnight_comes_twice_begins_at_the_first() -> None:
    # Havana, 1 November 2026: 01:00 became 00:00.
    assert period_at("day", "America/Havana", utc("2026-11-01T10:00")) == period("2026-11-01T04:00", "2026-11-02T05:00")


def test_a_clock_put_back_over_midnight_does_not_bring_yesterday_back() -> None:
    # St John's, 4 November 2007: 00:01 on the 4th became 23:01 on the 3rd.
    day = period_at("day", "America/St_Johns", utc("2007-11-04T03:00"))
    assert day.start == utc("2007-11-04T02:30")
    assert utc("2007-11-04T03:00").astimezone(ZoneInfo("America/St_Johns")).date() == date(2007, 11, 3)


def test_a_date_that_never_was_takes_no_time() -> None:
    # Samoa had no 30 December 2011.
    before = period_at("day", "Pacific/Apia", utc("2011-12-30T09:59"))
    after = period_at("day", "Pacific/Apia", utc("2011-12-30T10:00"))
    assert before.end == after.start == utc("2011-12-30T10:00")


def test_a_period_has_a_name_in_its_own_zone() -> None:
    at = utc("2026-11-30T23:30")
    assert label("month", "Europe/Berlin", period_at("month", "Europe/Berlin", at)) == "December 2026"
    assert label("day", "Europe/Berlin", period_at("day", "Europe/Berlin", at)) == "1 December 2026"


def test_an_unknown_kind_of_period_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="'week' is not a budget period"):
        period_at("week", "UTC", utc("2026-11-22"))


@given(st.sampled_from(ZONES), st.sampled_from(["day", "month"]), INSTANTS)
@example("Pacific/Kwajalein", "day", utc("1993-08-21T12:00"))
@example("America/St_Johns", "month", utc("2009-11-01T02:31"))
def test_every_instant_is_in_exactly_one_period(zone: str, kind: str, at: datetime) -> None:
    own = period_at(kind, zone, at)
    assert at in own
    assert own.start < own.end
    # The same period from anywhere inside it, and neighbours that touch it.
    assert period_at(kind, zone, own.start) == own
    assert period_at(kind, zone, own.end - timedelta(microseconds=1)) == own
    assert period_at(kind, zone, own.end).start == own.end
    assert period_at(kind, zone, own.start - timedelta(microseconds=1)).end == own.start
