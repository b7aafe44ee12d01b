"""When requests come: exact instants, fixed beforehand."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmclient.load._arrivals import Rate, constant, poisson, traced
from llmclient.testing.trace import Arrival

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def test_a_constant_rate_is_evenly_spaced_and_half_open() -> None:
    assert constant(Rate(600, 600), 0.5) == [0.0, 0.1, 0.2, 0.3, 0.4]
    assert len(constant(Rate(1_000, 1_000), 60)) == 1_000


def test_a_ramp_from_nothing_comes_ever_faster_and_then_evenly() -> None:
    # From 0 to 120 a minute within 60 s: t²/60 requests after t seconds, then two a second.
    rate = Rate(0, 120, 60)
    assert [rate.when(number) for number in (0, 15, 60, 62)] == [0.0, 30.0, 60.0, 61.0]
    assert len(constant(rate, 60)) == 60
    assert len(constant(rate, 90)) == 120


def test_a_ramp_may_go_down() -> None:
    # From two to one a second within 10 s: 15 requests; after t seconds 2·t - t²/20.
    rate = Rate(120, 60, 10)
    assert rate.when(8.75) == pytest.approx(5.0)
    assert rate.when(15) == 10.0
    assert rate.when(20) == 15.0


@settings(max_examples=200)
@given(st.floats(0, 1e5), st.floats(0.1, 1e5), st.floats(0.1, 1e4), st.lists(st.floats(0, 1e5), min_size=2, max_size=9))
def test_later_requests_never_come_earlier(first: float, last: float, over: float, numbers: list[float]) -> None:
    rate = Rate(first, last, over)
    times = [rate.when(number) for number in sorted(numbers)]
    assert all(earlier <= later + 1e-6 * max(1, later) for earlier, later in pairwise(times))
    assert times[0] >= 0


def test_poisson_arrivals_have_the_rate_and_the_scatter() -> None:
    times = poisson(Rate(600, 600), 600, seed=1)
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert len(times) == pytest.approx(6_000, rel=0.05)
    assert sum(gap > 0.1 for gap in gaps) / len(gaps) == pytest.approx(0.368, abs=0.03)
    assert times == poisson(Rate(600, 600), 600, seed=1) != poisson(Rate(600, 600), 600, seed=2)


def test_a_trace_keeps_its_rhythm() -> None:
    offsets = (4.0, 0.0, 10.0, 30.0)
    rows = [Arrival(row, NOON + timedelta(seconds=offset), row, row) for row, offset in enumerate(offsets)]
    assert [(at, row.row) for at, row in traced(rows, 2.0, None)] == [(0.0, 1), (2.0, 0), (5.0, 2), (15.0, 3)]
    assert [row.row for _, row in traced(rows, 2.0, 5.0)] == [1, 0]


def test_a_ramp_is_read() -> None:
    assert Rate.parse("10:1000:300s") == Rate(10, 1_000, 300)
    assert Rate.parse("0:60:1.5m") == Rate(0, 60, 90)
    assert Rate.parse("0:60:45") == Rate(0, 60, 45)


@pytest.mark.parametrize("text", ["10:1000", "10:1000:soon", "a:b:3s", "10:0:3s", "-1:5:3s"])
def test_a_ramp_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not FROM:TO:WITHIN|no length of time|could not convert|cannot be"):
        Rate.parse(text)
