"""Which table answers for which part of a window. Pure: no database."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from metrics.plan import WindowTooWideError, plan
from metrics.selection import Question
from metrics.slices import Dimension
from metrics.windows import Window

NOW = datetime(2026, 11, 22, 10, 20, 30, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def asked(
    window: Window,
    filters: dict[str, int | str] | None = None,
    *,
    step: timedelta | None = None,
    by: Dimension | None = None,
    facts: frozenset[str] = frozenset({"requests", "unpriced"}),
    histograms: frozenset[str] = frozenset(),
) -> list[tuple[str, str, str]]:
    """The tables and the parts they answer for, as text; also checks that the parts lie end to end."""
    pieces = plan(Question(1, filters or {}, window, NOW, facts, histograms, step, by))
    edges = [window.start, *(piece.window.end for piece in pieces)]
    assert [piece.window.start for piece in pieces] == edges[:-1]
    assert edges[-1] == window.end
    return [
        (piece.table.name, f"{piece.window.start:%d %H:%M:%S}", f"{piece.window.end:%d %H:%M:%S}") for piece in pieces
    ]


def test_hours_in_the_middle_minutes_around_them_and_calls_at_the_ends() -> None:
    assert asked(Window(datetime(2026, 11, 21, 8, 58, 10, tzinfo=UTC), NOW)) == [
        ("request_log", "21 08:58:10", "21 08:59:00"),
        ("facet_minute", "21 08:59:00", "21 09:00:00"),
        ("facet_hour", "21 09:00:00", "22 09:00:00"),
        ("facet_minute", "22 09:00:00", "22 10:20:00"),
        ("request_log", "22 10:20:00", "22 10:20:30"),
    ]


def test_whole_days_in_the_middle_are_read_as_such() -> None:
    assert asked(Window(datetime(2026, 11, 19, 22, tzinfo=UTC), datetime(2026, 11, 22, 3, tzinfo=UTC))) == [
        ("facet_hour", "19 22:00:00", "20 00:00:00"),
        ("facet_day", "20 00:00:00", "22 00:00:00"),
        ("facet_hour", "22 00:00:00", "22 03:00:00"),
    ]


@pytest.mark.parametrize(("now", "until"), [("00:59", "21 00:00:00"), ("01:00", "22 00:00:00")])
def test_a_day_that_has_just_ended_is_read_by_the_hour(now: str, until: str) -> None:
    at = datetime.fromisoformat(f"2026-11-22T{now}:00Z")
    window = Window(datetime(2026, 11, 20, tzinfo=UTC), datetime(2026, 11, 22, tzinfo=UTC))
    for filters, table in (({}, "facet_day"), ({"feature": 5, "model": 3}, "cube_day")):
        pieces = plan(Question(1, filters, window, at, frozenset({"requests", "unpriced"}), frozenset()))
        assert [f"{piece.window.end:%d %H:%M:%S}" for piece in pieces if piece.table.name == table] == [until]


def test_the_last_hours_are_read_by_the_minute_because_those_are_fresher() -> None:
    assert asked(Window(datetime(2026, 11, 22, 9, tzinfo=UTC), datetime(2026, 11, 22, 10, tzinfo=UTC))) == [
        ("facet_minute", "22 09:00:00", "22 10:00:00")
    ]


def test_before_there_are_minutes_the_ends_are_read_from_the_calls() -> None:
    assert asked(Window(datetime(2026, 11, 18, 8, 30, tzinfo=UTC), datetime(2026, 11, 18, 11, 15, tzinfo=UTC))) == [
        ("request_log", "18 08:30:00", "18 09:00:00"),
        ("facet_hour", "18 09:00:00", "18 11:00:00"),
        ("request_log", "18 11:00:00", "18 11:15:00"),
    ]


def test_one_filter_is_a_facet_and_two_are_the_cube() -> None:
    window = Window(datetime(2026, 11, 20, 22, tzinfo=UTC), datetime(2026, 11, 22, 3, tzinfo=UTC))
    assert {table for table, _, _ in asked(window, {"feature": 5, "environment": 2})} == {"facet_day", "facet_hour"}
    assert asked(window, {"feature": 5, "model": 3}) == [
        ("cube_hour", "20 22:00:00", "21 00:00:00"),
        ("cube_day", "21 00:00:00", "22 00:00:00"),
        ("cube_hour", "22 00:00:00", "22 03:00:00"),
    ]
    assert {table for table, _, _ in asked(window, {"feature": 5}, by="feature")} == {"facet_day", "facet_hour"}
    assert {table for table, _, _ in asked(window, {"feature": 5}, by="environment")} == {"facet_day", "facet_hour"}
    assert {table for table, _, _ in asked(window, {"feature": 5}, by="model", step=HOUR)} == {"cube_hour"}
    assert {table for table, _, _ in asked(window, {"prompt_version": 5}, step=HOUR)} == {"facet_hour"}


def test_an_api_key_or_a_release_is_a_facet_and_never_a_cube() -> None:
    window = Window(datetime(2026, 11, 20, 22, tzinfo=UTC), datetime(2026, 11, 22, 3, tzinfo=UTC))
    for dimension in ("key", "release"):
        found = {table for table, _, _ in asked(window, {dimension: 5, "environment": 2})}
        assert found == {"facet_day", "facet_hour"}
        # Beside another filter, or for calls without an environment, only the calls themselves know.
        assert {table for table, _, _ in asked(window, {dimension: 5, "feature": 3})} == {"request_log"}
        assert {table for table, _, _ in asked(window, {dimension: 5, "environment": 0})} == {"request_log"}


def test_the_last_hours_of_a_cross_filter_are_read_from_the_calls() -> None:
    assert asked(Window.last(3 * HOUR, datetime(2026, 11, 22, 10, 20, tzinfo=UTC)), {"feature": 5, "model": 3}) == [
        ("request_log", "22 07:20:00", "22 08:00:00"),
        ("cube_hour", "22 08:00:00", "22 09:00:00"),
        ("request_log", "22 09:00:00", "22 10:20:00"),
    ]


def test_a_step_is_never_finer_than_the_table() -> None:
    day = Window(datetime(2026, 11, 20, tzinfo=UTC), datetime(2026, 11, 21, tzinfo=UTC))
    assert {table for table, _, _ in asked(day, step=15 * MINUTE)} == {"facet_minute"}
    assert {table for table, _, _ in asked(day, step=90 * MINUTE)} == {"facet_minute"}
    assert {table for table, _, _ in asked(day, step=2 * HOUR)} == {"facet_hour"}
    assert {table for table, _, _ in asked(day, step=timedelta(seconds=10))} == {"request_log"}


def test_a_user_is_read_from_months_days_and_the_calls_of_today() -> None:
    assert asked(Window(datetime(2026, 9, 29, 12, tzinfo=UTC), NOW), {"user_id": "ada"}) == [
        ("request_log", "29 12:00:00", "30 00:00:00"),
        ("user_day", "30 00:00:00", "01 00:00:00"),
        ("user_month", "01 00:00:00", "01 00:00:00"),
        ("user_day", "01 00:00:00", "22 00:00:00"),
        ("request_log", "22 00:00:00", "22 10:20:30"),
    ]


def test_months_answer_only_when_the_whole_month_is_asked_for() -> None:
    window = Window(datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 10, 31, tzinfo=UTC))
    assert [table for table, _, _ in asked(window, by="user_id")] == ["user_day"]
    window = Window(datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC))
    assert [table for table, _, _ in asked(window, by="user_id")] == ["user_month"]
    assert [table for table, _, _ in asked(window, by="user_id", step=DAY)] == ["user_day"]


def test_months_are_read_up_to_the_first_that_may_lack_a_day() -> None:
    window = Window(datetime(2026, 8, 1, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC))
    question = Question(1, {}, window, NOW, frozenset({"requests"}), frozenset(), by="user_id")
    for lacking, edge in (((2026, 8, 1), (2026, 8, 1)), ((2026, 9, 30), (2026, 9, 1)), ((2026, 11, 22), (2026, 11, 1))):
        pieces = plan(replace(question, months_until=datetime(*lacking, tzinfo=UTC)))
        assert [piece.window for piece in pieces if piece.table.name == "user_month"] == [
            month for month in [Window(window.start, datetime(*edge, tzinfo=UTC))] if not month.is_empty
        ]
        assert [piece.window for piece in pieces if piece.table.name == "user_day"] == [
            days for days in [Window(datetime(*edge, tzinfo=UTC), window.end)] if not days.is_empty
        ]


def test_the_month_that_is_not_over_is_read_by_the_day() -> None:
    window = Window(datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 2, tzinfo=UTC))
    assert asked(window, {"user_id": "ada"}) == [
        ("user_day", "01 00:00:00", "22 00:00:00"),
        ("request_log", "22 00:00:00", "02 00:00:00"),
    ]


def test_what_is_not_kept_by_user_is_read_from_the_calls() -> None:
    window = Window.last(DAY, NOW)
    retries = frozenset({"requests", "unpriced", "retries"})
    assert [table for table, _, _ in asked(window, {"user_id": "ada"}, facts=retries)] == ["request_log"]
    latency = frozenset({"latency"})
    assert [table for table, _, _ in asked(window, {"user_id": "ada"}, histograms=latency)] == ["request_log"]
    assert [table for table, _, _ in asked(window, {"user_id": "ada", "feature": 5})] == ["request_log"]


def test_facets_past_the_retention_of_hours_are_read_from_days() -> None:
    window = Window(datetime(2025, 10, 20, tzinfo=UTC), datetime(2025, 10, 25, tzinfo=UTC))
    assert asked(window) == [("facet_day", "20 00:00:00", "25 00:00:00")]
    # 396 days before 22 November 2026 is 22 October 2025: from then on there are hours.
    begun = Window(datetime(2025, 10, 21, 22, tzinfo=UTC), datetime(2025, 10, 22, 3, tzinfo=UTC))
    assert asked(begun) == [
        ("request_log", "21 22:00:00", "22 00:00:00"),
        ("facet_hour", "22 00:00:00", "22 03:00:00"),
    ]


def test_calls_of_more_than_two_days_are_not_read_one_by_one() -> None:
    two_days = Window.last(2 * DAY, NOW)
    filters: dict[str, int | str] = {"feature": 5, "model": 3}
    assert [table for table, _, _ in asked(two_days, filters, step=MINUTE)] == ["request_log"]
    with pytest.raises(WindowTooWideError, match="at most 2 days"):
        asked(Window.last(2 * DAY + MINUTE, NOW), filters, step=MINUTE)
    # A single user's calls are found by an index.
    assert asked(Window.last(30 * DAY, NOW), {"user_id": "ada"}, step=MINUTE)


def test_time_that_is_still_to_come_is_not_counted_as_read_call_by_call() -> None:
    month = Window(datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC))
    assert [table for table, _, _ in asked(month, {"feature": 5, "model": 3})] == [
        "cube_day",
        "cube_hour",
        "request_log",
    ]
    with pytest.raises(WindowTooWideError, match="at most 2 days"):
        asked(Window(NOW - 2 * DAY - MINUTE, NOW + 30 * DAY), {"feature": 5, "model": 3}, step=MINUTE)


def test_no_time_is_read_from_nowhere() -> None:
    assert asked(Window(NOW, NOW)) == []
