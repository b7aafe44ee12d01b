"""Many windows and cuts at once, against plain Python over the same calls; and the comparison built on them."""

from datetime import timedelta

import pytest
from pytest_django import DjangoAssertNumQueries

from ingest.histogram import bucket_of
from metrics import queries
from metrics.across import Cut, Parts, across
from metrics.comparison import DIMENSIONS, Comparison
from metrics.measures import FACTS, MEASURES
from metrics.selection import resolve
from metrics.slices import NONE, Dimension, Slice
from metrics.steps import alone
from metrics.windows import Window
from tests.factories import NOW
from tests.metrics import oracle
from tests.metrics.conftest import World
from tests.metrics.world import DAY, HOUR, MIDNIGHT

pytestmark = pytest.mark.django_db

RAGGED = timedelta(minutes=17, seconds=23, milliseconds=456)
WINDOWS = (
    Window.last(DAY, NOW),
    Window.last(DAY, NOW - 3 * HOUR - RAGGED),
    Window(MIDNIGHT - 43 * DAY + RAGGED, MIDNIGHT - 42 * DAY),
    Window.last(5, NOW),
    Window(NOW, NOW),
)
BY: tuple[Dimension, ...] = ("feature", "prompt_type", "prompt_version", "model", "error")


def asked(cuts: list[Cut], slice_: Slice, **more: object) -> list[Parts]:
    found = across(cuts, slice_, alone(resolve(slice_)), facts=FACTS, histograms=["latency"], now=NOW)
    assert all(parts is not None for parts in found)
    return [parts or {} for parts in found]


def counted(calls: list[oracle.Call]) -> dict[str, int]:
    return {
        "requests": len(calls),
        "errors": sum(call.outcome in {"error", "rejected"} for call in calls),
        "cancelled": sum(call.outcome == "cancelled" for call in calls),
        "unpriced": sum(call.cost is None for call in calls),
        "cost_nanousd": sum(call.cost or 0 for call in calls),
        **{
            name: sum(call.tokens[place] for call in calls)
            for place, name in enumerate(
                (
                    *("input_tokens", "output_tokens", "cache_read_tokens"),
                    *("cache_write_5m_tokens", "cache_write_1h_tokens"),
                )
            )
        },
    }


@pytest.mark.parametrize("filters", [{}, {"environment": "staging"}, {"feature": "search"}], ids=str)
def test_every_cut_of_every_window_is_exact(lived: World, filters: dict[str, str]) -> None:
    slice_ = Slice(lived.reading.pk, **filters)
    dimensions: list[Dimension | None] = [None, *BY]
    cuts = [Cut(window, by) for by in dimensions for window in WINDOWS]
    for cut, parts in zip(cuts, asked(cuts, slice_), strict=True):
        calls = oracle.pick(lived.calls, cut.window, slice_)
        groups: dict[str, list[oracle.Call]] = {}
        for call in calls:
            name = "" if cut.by is None else getattr(call, cut.by) or NONE
            if cut.by != "error" or call.error:
                groups.setdefault(name, []).append(call)
        assert {name: totals.sums for name, totals in parts.items()} == {
            name: counted(group) for name, group in groups.items()
        }
        for name, totals in parts.items():
            latencies: dict[int, int] = {}
            for call in groups[name]:
                if call.is_answered:
                    bucket = bucket_of(call.duration_ms)
                    latencies[bucket] = latencies.get(bucket, 0) + 1
            assert totals.histograms.get("latency", {}) == latencies


def test_users_stand_alone_with_the_largest_of_both_windows(lived: World) -> None:
    slice_ = Slice(lived.writing.pk)
    cuts = [Cut(window, "user_id") for window in WINDOWS[:2]]
    found = across(cuts, slice_, alone(resolve(slice_)), facts=FACTS, order="cost_nanousd", now=NOW)
    for cut, parts in zip(cuts, found, strict=True):
        calls = oracle.pick(lived.calls, cut.window, slice_)
        assert parts is not None
        assert {name: totals.sums["cost_nanousd"] for name, totals in parts.items()} == {
            user: sum(call.cost or 0 for call in calls if call.user_id == user)
            for user in {call.user_id for call in calls if call.user_id}
        }


def test_a_cut_that_would_read_too_many_calls_is_none_and_the_others_are_not(lived: World) -> None:
    slice_ = Slice(lived.reading.pk, feature="search")
    cuts = [Cut(WINDOWS[0], "release"), Cut(WINDOWS[0], "model")]
    found = across(cuts, slice_, alone(resolve(slice_)), facts=FACTS, most_calls=HOUR, now=NOW)
    assert found[0] is None
    assert found[1]


def test_a_slice_nobody_is_in_has_no_parts(lived: World) -> None:
    slice_ = Slice(lived.reading.pk, feature="nonsense")
    assert asked([Cut(WINDOWS[0]), Cut(WINDOWS[0], "model")], slice_) == [{}, {}]


def test_many_cuts_are_few_statements(lived: World, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    slice_ = Slice(lived.reading.pk)
    cuts = [Cut(window, by) for by in BY for window in WINDOWS]
    with django_assert_num_queries(2):  # the sums and the latencies, and the names
        asked(cuts, slice_)


def test_the_bridge_between_any_two_windows_adds_up(lived: World) -> None:
    for project in (lived.reading, lived.writing):
        slice_ = Slice(project.pk)
        window = Window.last(DAY, NOW)
        other = window.shift(-2 * DAY - RAGGED)
        costs = [sum(call.cost or 0 for call in oracle.pick(lived.calls, each, slice_)) for each in (window, other)]
        found = Comparison(window, other, slice_, now=NOW).bridge(MEASURES["spend"])
        assert [found.now, found.before] == costs
        assert sum(found.effects.values()) == costs[0] - costs[1]


@pytest.mark.parametrize("measure", MEASURES.values(), ids=MEASURES)
def test_the_parts_of_each_dimension_add_up_to_the_difference(lived: World, measure: object) -> None:
    chosen = MEASURES[getattr(measure, "key", "")]
    window = Window.last(DAY, NOW)
    comparison = Comparison(window, window.shift(-DAY), Slice(lived.reading.pk), now=NOW)
    amount = comparison.amount(chosen)
    difference = amount(comparison.totals) - amount(comparison.other_totals)
    moved = comparison.movers(chosen)
    for dimension in set(DIMENSIONS) - {"error"}:
        assert sum(mover.part.difference for mover in moved if mover.part.dimension == dimension) == difference


def test_a_forecast_reads_the_hours_and_what_there_is_so_far(lived: World) -> None:
    day = Window(MIDNIGHT, MIDNIGHT + DAY)
    slice_ = Slice(lived.reading.pk)
    found = queries.forecast("spend", day, slice_, now=NOW)
    assert found is not None
    assert found.so_far == sum(call.cost or 0 for call in oracle.pick(lived.calls, Window(MIDNIGHT, NOW), slice_))
    assert found.expected >= found.so_far
    assert queries.forecast("spend", day.shift(-DAY), slice_, now=NOW) is None
