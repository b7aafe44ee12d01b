"""Pairs of properties against plain Python over the same calls."""

from datetime import timedelta
from itertools import groupby

import pytest

from metrics.pairs import pairs
from metrics.plan import WindowTooWideError
from metrics.slices import NONE, Dimension, Slice
from metrics.steps import alone
from metrics.windows import Window
from tests.factories import NOW
from tests.metrics import oracle
from tests.metrics.conftest import World
from tests.metrics.world import DAY, HOUR, MIDNIGHT

pytestmark = pytest.mark.django_db

RAGGED = timedelta(minutes=17, seconds=23, milliseconds=456)
WINDOWS = {
    "a day to now": Window.last(DAY, NOW),
    "everything": Window(MIDNIGHT - 60 * DAY, NOW),
    "ragged at both ends": Window(NOW - 4 * DAY - RAGGED, NOW - HOUR - RAGGED),
    "nothing happened": Window(MIDNIGHT - 30 * DAY, MIDNIGHT - 20 * DAY),
}
METRICS = ("requests", "errors", "valid_rate", "spend")


@pytest.mark.parametrize("window", WINDOWS.values(), ids=WINDOWS)
@pytest.mark.parametrize(
    "filters", [{}, {"environment": "production", "feature": "search"}, {"user_id": "ada"}], ids=str
)
@pytest.mark.parametrize(("first", "second"), [("error", "feature"), ("prompt_type", "prompt_version")])
def test_each_pair_counts_its_calls(
    lived: World, window: Window, filters: dict[str, str], first: Dimension, second: Dimension
) -> None:
    slice_ = Slice(lived.reading.pk, **filters)

    def names(call: oracle.Call) -> tuple[str, str]:
        return getattr(call, first) or NONE, getattr(call, second) or NONE

    picked = sorted(oracle.pick(lived.calls, window, slice_), key=names)
    if first == "error":
        picked = [call for call in picked if call.error]
    expected = {
        key: {metric: oracle.measure(metric, own) for metric in METRICS}
        for key, calls in groupby(picked, key=names)
        for own in [list(calls)]
    }
    found = alone(pairs(first, second, METRICS, window, slice_, now=NOW))
    told = {
        (pair.first, pair.second): {name: (read.value, read.sample) for name, read in pair.readings.items()}
        for pair in found
    }
    assert told == expected
    most = [pair.readings["requests"].value or 0 for pair in found]
    assert most == sorted(most, reverse=True)


def test_a_name_nobody_used_has_no_pairs(lived: World) -> None:
    slice_ = Slice(lived.reading.pk, feature="nonsense")
    assert alone(pairs("error", "feature", ["errors"], WINDOWS["everything"], slice_, now=NOW)) == []


def test_filters_that_would_read_every_call_are_refused(lived: World) -> None:
    with pytest.raises(WindowTooWideError, match="fewer filters"):
        alone(
            pairs("error", "feature", ["errors"], WINDOWS["everything"], Slice(lived.reading.pk, key="spare"), now=NOW)
        )
