"""Rate-limit headers, read with their instants."""

from datetime import UTC, datetime

import pytest

from llmclient import _quota
from llmclient._quota import Quota, Reading

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC).timestamp()
HEADERS = {
    "date": "Sun, 22 Nov 2026 12:00:00 GMT",
    "anthropic-ratelimit-requests-limit": "60",
    "anthropic-ratelimit-requests-remaining": "59",
    "anthropic-ratelimit-requests-reset": "2026-11-22T12:00:01Z",
    "anthropic-ratelimit-tokens-limit": "10000",
    "anthropic-ratelimit-tokens-remaining": "7000",
    "anthropic-ratelimit-tokens-reset": "2026-11-22T12:00:18Z",
    "anthropic-ratelimit-output-tokens-limit": "4000",
    "anthropic-ratelimit-output-tokens-remaining": "0",
    "anthropic-ratelimit-output-tokens-reset": "2026-11-22T13:01:00+01:00",
}


def test_each_dimension_is_read_with_the_time_until_it_is_full() -> None:
    reading = _quota.read(HEADERS, received_at=0.0)
    assert reading == Reading(NOON, (Quota(60, 59, 1.0, 1), None, Quota(4_000, 0, 60.0, 1_000)))


def test_our_clock_stands_in_for_a_missing_date() -> None:
    reading = _quota.read({**HEADERS, "date": "yesterday"}, received_at=NOON - 5)
    assert reading is not None
    assert reading.dated == NOON - 5
    assert reading.quotas[0] == Quota(60, 59, 6.0, 1)


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"anthropic-ratelimit-requests-reset": "soon"}, Quota(60, 59, None)),
        ({"anthropic-ratelimit-requests-reset": "2026-11-22T12:00:01"}, Quota(60, 59, None)),  # whose time?
        ({"anthropic-ratelimit-requests-reset": "2026-11-22T11:00:00Z"}, Quota(60, 59, 0.0)),
        ({"anthropic-ratelimit-requests-remaining": "-4"}, Quota(60, None, 1.0)),
        ({"anthropic-ratelimit-requests-remaining": "400"}, Quota(60, 60, 1.0)),
        ({"anthropic-ratelimit-requests-limit": "0"}, None),
        ({"anthropic-ratelimit-requests-limit": "unlimited"}, None),
    ],
)
def test_a_header_that_makes_no_sense_counts_as_not_sent(changed: dict[str, str], expected: Quota | None) -> None:
    reading = _quota.read({**HEADERS, **changed}, received_at=0.0)
    assert reading is not None
    assert reading.quotas[0] == expected


@pytest.mark.parametrize("date", ["", "99 99 9999", "Sun, 22 Nov 99999999999 12:00:00 GMT", "\x00"])
def test_headers_without_a_limit_say_nothing(date: str) -> None:
    assert _quota.read({"date": date, "retry-after": "3"}, received_at=0.0) is None


def test_the_tightest_dimension_is_the_one_with_least_left() -> None:
    requests, input_, output = Quota(60, 30), Quota(10_000, 2_000), Quota(4_000, 3_000)
    assert Reading(0.0, (requests, input_, output)).tightest() == ("input",)
    assert Reading(0.0, (Quota(60, 0), input_, Quota(4_000, 0))).tightest() == ("requests", "output")
    assert Reading(0.0, (Quota(60), None, None)).tightest() == ()
