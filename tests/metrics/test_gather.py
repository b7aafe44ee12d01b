"""What the database adds up and merges for a chart, in figures worked out by hand."""

from datetime import timedelta
from importlib import import_module

import pytest

from metrics import queries
from metrics.facts import MOST_MONEY
from metrics.slices import OTHER, Dimension, Slice
from metrics.windows import Window
from projects.models import Project
from tests import factories
from tests.factories import NOW
from tests.metrics import rollups
from tests.metrics.world import DAY, HOUR, MIDNIGHT, settle

pytestmark = [pytest.mark.django_db, pytest.mark.storage]
YESTERDAY = MIDNIGHT - DAY
# The middles of the histogram buckets that 100 and 5,000 ms lie in: 19/20 (21/19)^47 and 19/20 (21/19)^86.
NEAR_100, NEAR_5000 = 105, 5197


@pytest.fixture
def owner() -> Project:
    """Six hours of calls: inbox from the first to the third, search and a call without a feature in the fifth."""
    owner = factories.project()

    def called(hour: int, duration_ms: int, feature: str | None = "inbox") -> None:
        at = YESTERDAY + timedelta(hours=hour, minutes=7)
        factories.stored(owner, at=at, duration_ms=duration_ms, feature=feature, ttft_ms=None)

    for hour, duration_ms in ((0, 100), (0, 100), (0, 100), (1, 5000)):
        called(hour, duration_ms)
    factories.stored(owner, factories.failed(at=YESTERDAY + 2 * HOUR))
    for duration_ms, feature in ((100, "search"), (100, "search"), (5000, None)):
        called(4, duration_ms, feature)
    settle()
    return owner


Lines = dict[str, list[tuple[object, ...]]]


def lines(owner: Project, step: timedelta, *, by: Dimension | None = "feature", top: int = 2) -> Lines:
    metrics = ("requests", "latency_p50", "latency_p95")
    window = Window(YESTERDAY, YESTERDAY + 6 * HOUR)
    found = queries.several_series(metrics, window, Slice(owner.pk), bucket=step, by=by, top=top, now=NOW)
    assert all(len(line.values) == len(line.samples) == len(line.starts) for line in found["latency_p95"])
    return {
        line.key: [line.values, *(found[name][at].values for name in metrics[1:])]
        for at, line in enumerate(found["requests"])
    }


@pytest.mark.parametrize("top", [1, 2, 3])
def test_percentiles_of_several_hours_are_those_of_all_their_calls(owner: Project, top: int) -> None:
    found = lines(owner, 2 * HOUR, top=top)
    # Of 3 calls of 100 ms and one of 5,000 the second is the median and the fourth p95; the failed one has no latency.
    assert found["inbox"] == [(4, 1, 0), (NEAR_100, None, None), (NEAR_5000, None, None)]
    assert list(found) == [["inbox", OTHER], ["inbox", "search", OTHER], ["inbox", "search", "(none)"]][top - 1]


def test_all_other_parts_are_one_line_whether_there_are_few_names_or_many(owner: Project) -> None:
    # With two lines for four names all are read at once, with one line the largest part is asked for first.
    assert lines(owner, 2 * HOUR, top=2)[OTHER] == [(0, 0, 1), (None, None, NEAR_5000), (None, None, NEAR_5000)]
    assert lines(owner, 2 * HOUR, top=1)[OTHER] == [(0, 0, 3), (None, None, NEAR_100), (None, None, NEAR_5000)]


def test_hours_as_they_stand_lie_on_the_grid_with_nothing_in_between(owner: Project) -> None:
    assert lines(owner, HOUR, by=None)[""] == [
        (3, 1, 1, 0, 3, 0),
        (NEAR_100, NEAR_5000, None, None, NEAR_100, None),
        (NEAR_100, NEAR_5000, None, None, NEAR_5000, None),
    ]
    assert lines(owner, HOUR, top=1)[OTHER] == [
        (0, 0, 0, 0, 3, 0),
        (None, None, None, None, NEAR_100, None),
        (None, None, None, None, NEAR_5000, None),
    ]


def test_a_sum_beyond_what_a_column_holds_is_exact_all_the_same(owner: Project) -> None:
    rollups.rows("UPDATE facet_hour SET cost_nanousd = %s RETURNING 1", MOST_MONEY)
    window = Window(YESTERDAY, YESTERDAY + 6 * HOUR)
    (line,) = queries.series("spend", window, Slice(owner.pk), bucket=6 * HOUR, now=NOW)
    # Four hours have calls: more than 64 bits hold.
    assert line.values == (36_893_488_147_419_103_228,)


def test_a_day_by_the_hour_needs_the_key_of_the_hours_only(owner: Project) -> None:
    """For what the Overview draws; an index has at most 32 columns, and what is counted since 0004 is not in it."""
    held = {
        name
        for (name,) in rollups.rows("SELECT attname FROM pg_attribute WHERE attrelid = 'facet_hour_pkey'::regclass")
    }
    columns = {
        name
        for (name,) in rollups.rows(
            "SELECT attname FROM pg_attribute WHERE attrelid = 'facet_hour'::regclass AND attnum > 0"
        )
    }
    newer = import_module("metrics.migrations.0004_attempts_answers_and_waste")
    histograms = {"latency_buckets", "latency_counts", "ttft_buckets", "ttft_counts"}
    assert columns - held == histograms | set(newer.COUNTS + newer.MONEY)
