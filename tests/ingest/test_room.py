"""For how long the disk is enough, worked out by hand."""

from datetime import date, timedelta

import pytest
from pytest_django.fixtures import Settings

from ingest.room import Day, Outlook, Room, days_ahead, outlook
from tests.factories import NOW

TODAY = NOW.date()


def room(log: dict[int, int], body: dict[int, int], free: int | None) -> Room:
    """Sizes by days before today; a negative one lies ahead."""

    def days(sizes: dict[int, int]) -> dict[date, Day]:
        return {TODAY - timedelta(days=ago): Day(size, 0) for ago, size in sizes.items()}

    return Room(0, {"request_log": days(log), "request_body": days(body)}, {}, free)


@pytest.fixture(autouse=True)
def _kept(settings: Settings) -> None:
    settings.RETENTION_DAYS = {"request_log": 20, "request_body": 5}


# A day of calls takes 100 (the mean of 90, 110 and 100), a day of bodies 40. Today and older days do not count.
LOG = {-1: 5, 0: 7, 1: 90, 2: 110, 7: 100, 8: 9_999}
BODY = {0: 1, 1: 40}


@pytest.mark.parametrize(
    ("free", "expected"),
    [
        # To come: 15 more days of calls and 3 of bodies.
        (1_620, Outlook(140, 1_620, None)),
        (1_619, Outlook(140, 1_620, 11)),
        (139, Outlook(140, 1_620, 0)),
        (None, None),
    ],
)
def test_the_disk_lasts_for_all_kept_days_or_for_some(free: int | None, expected: Outlook | None) -> None:
    assert outlook(room(LOG, BODY, free), NOW) == expected


def test_the_first_day_says_nothing_about_the_next() -> None:
    assert outlook(room({0: 500}, {}, 1_000), NOW) is None


@pytest.mark.parametrize(
    ("log", "body", "ahead"),
    [({-1: 0, -2: 0}, {-1: 0, -2: 0, -3: 0}, 2), ({-1: 0}, {}, 0), ({-2: 0}, {-2: 0}, 0)],
)
def test_days_ahead_are_those_that_both_tables_have(log: dict[int, int], body: dict[int, int], ahead: int) -> None:
    assert days_ahead(room(log, body, None), NOW) == ahead
