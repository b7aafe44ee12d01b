"""Every answer of the only reader, against plain Python over the same calls."""

from datetime import timedelta
from decimal import Decimal

import pytest

from metrics import queries
from metrics.catalog import METRICS
from metrics.slices import NONE, OTHER, Dimension, Slice
from metrics.windows import Window
from tests.factories import NOW
from tests.metrics import oracle
from tests.metrics.conftest import World
from tests.metrics.world import DAY, HOUR, MIDNIGHT

pytestmark = pytest.mark.django_db

MINUTE = timedelta(minutes=1)
RAGGED = timedelta(minutes=17, seconds=23, milliseconds=456)

WINDOWS = {
    "five minutes to now": Window.last(5, NOW),
    "three hours to now": Window.last(180, NOW),
    "a day to now": Window.last(DAY, NOW),
    "four days to now": Window.last(4 * DAY, NOW),
    "everything": Window(MIDNIGHT - 60 * DAY, NOW),
    "ragged at both ends, in the last hours": Window(NOW - 2 * HOUR - RAGGED, NOW - RAGGED),
    "ragged at both ends, from before there are minutes": Window(NOW - 4 * DAY - RAGGED, NOW - HOUR - RAGGED),
    "ragged, all before there are minutes": Window(NOW - 5 * DAY + RAGGED, NOW - 4 * DAY - RAGGED),
    "ragged, across a closed month": Window(MIDNIGHT - 43 * DAY + RAGGED, MIDNIGHT - 40 * DAY - RAGGED),
    "within one minute": Window(NOW - 61 * MINUTE + timedelta(seconds=7), NOW - 61 * MINUTE + timedelta(seconds=49)),
    "to the microsecond": Window(NOW - HOUR + timedelta(microseconds=1), NOW - timedelta(microseconds=1)),
    "nothing happened": Window(MIDNIGHT - 30 * DAY, MIDNIGHT - 20 * DAY),
    "no time at all": Window(NOW, NOW),
    "not yet": Window(NOW, NOW + HOUR),
}
SLICES: dict[str, dict[str, str]] = {
    "everything": {},
    "an environment": {"environment": "staging"},
    "a feature": {"feature": "search"},
    "no feature": {"feature": NONE},
    "a feature in an environment": {"feature": "chat", "environment": "production"},
    "a prompt type": {"prompt_type": "prompt-3"},
    "a prompt version": {"prompt_version": "2"},
    "a model": {"model": "claude-haiku-4-5-20251001"},
    "a model without a price": {"model": "nobody-knows-me"},
    "an error": {"error": "overloaded"},
    "no error": {"error": NONE},
    "an API key": {"key": "spare"},
    "no API key": {"key": NONE},
    "a release": {"release": "1.1"},
    "a release in an environment": {"release": NONE, "environment": "production"},
    "a user": {"user_id": "ada"},
    "a user of a feature": {"user_id": "bea", "feature": "search"},
    "several at once": {"environment": "production", "feature": "search", "model": "claude-sonnet-4-5-20250929"},
    "all that rollups know": {
        "environment": "production",
        "feature": "chat",
        "prompt_type": "prompt-2",
        "prompt_version": "1",
        "model": "claude-haiku-4-5-20251001",
        "error": NONE,
    },
    "a feature nobody used": {"feature": "nonsense"},
    "an error there is not": {"error": "nonsense"},
}
USER_METRICS = (
    *("requests", "errors", "error_rate", "spend", "input_tokens", "unpriced", "fully_loaded_cost", "tokens"),
    *("cost_per_success", "cost_of_waste", "waste_share", "cache_savings"),
)


@pytest.mark.parametrize("slice_", SLICES.values(), ids=SLICES)
@pytest.mark.parametrize("window", WINDOWS.values(), ids=WINDOWS)
def test_every_metric_of_every_slice_and_window_is_exact(lived: World, window: Window, slice_: dict[str, str]) -> None:
    for project in (lived.reading, lived.writing):
        asked = Slice(project.pk, **slice_)
        calls = oracle.pick(lived.calls, window, asked)
        readings = queries.values(oracle.METRICS, window, asked, now=NOW)
        assert {key: (reading.value, reading.sample) for key, reading in readings.items()} == {
            key: oracle.measure(key, calls) for key in oracle.METRICS
        }
        assert {reading.unpriced for reading in readings.values()} == {oracle.measure("unpriced", calls)[0]}


@pytest.mark.parametrize("window", WINDOWS.values(), ids=WINDOWS)
def test_what_a_user_did_is_read_from_days_and_months_to_the_same_figure(lived: World, window: Window) -> None:
    for environment in ("", "production"):
        asked = Slice(lived.writing.pk, environment=environment, user_id="ada")
        calls = oracle.pick(lived.calls, window, asked)
        readings = queries.values(USER_METRICS, window, asked, now=NOW)
        assert {key: reading.value for key, reading in readings.items()} == {
            key: oracle.measure(key, calls)[0] for key in USER_METRICS
        }


STEPS = {
    "an hour by minute": (Window.last(60, NOW), MINUTE),
    "an hour by minute, ragged": (Window.last(HOUR, NOW - RAGGED), MINUTE),
    "a day by 15 minutes": (Window.last(DAY, NOW), 15 * MINUTE),
    "a day by hour, ragged": (Window.last(DAY, NOW - RAGGED), HOUR),
    "a week by 2 hours": (Window.last(7 * DAY, NOW), 2 * HOUR),
    "seven weeks by day": (Window(NOW - 49 * DAY - RAGGED, NOW), DAY),
    "a day without minutes, by minute": (Window.last(DAY, NOW - 4 * DAY), MINUTE),
}
LINES = (
    *("requests", "errors", "spend", "error_rate", "latency_p50", "latency_p95", "latency_p99", "ttft_p95"),
    *("attempt_error_rate", "fallback_rate", "valid_rate", "cost_of_waste", "cache_savings"),
)


@pytest.mark.parametrize(("window", "step"), STEPS.values(), ids=STEPS)
@pytest.mark.parametrize(
    "slice_",
    [{}, {"environment": "production"}, {"feature": "search"}, {"feature": "search", "environment": "staging"}],
    ids=["all", "environment", "feature", "both"],
)
def test_a_series_is_exact_in_every_bucket(
    lived: World, window: Window, step: timedelta, slice_: dict[str, str]
) -> None:
    asked = Slice(lived.reading.pk, **slice_)
    found = queries.several_series(LINES, window, asked, bucket=step, now=NOW)
    cuts = oracle.grid(window, step)
    for metric in LINES:
        (line,) = found[metric]
        expected = [oracle.measure(metric, oracle.pick(lived.calls, cut, asked)) for cut in cuts]
        assert line.key == ""
        assert line.starts == tuple(window.buckets(step))
        assert list(zip(line.values, line.samples, strict=True)) == expected


@pytest.mark.parametrize(
    "dimension",
    ["environment", "feature", "prompt_type", "prompt_version", "model", "error", "key", "release", "user_id"],
)
@pytest.mark.parametrize(
    ("window", "step"),
    [(Window.last(DAY, NOW - RAGGED), HOUR), (Window.last(HOUR, NOW), MINUTE)],
    ids=["day", "hour"],
)
@pytest.mark.parametrize("filters", [{}, {"prompt_type": "prompt-1"}], ids=["all", "filtered"])
def test_the_lines_of_a_dimension_and_the_rest_add_up_to_all(
    lived: World, dimension: Dimension, window: Window, step: timedelta, filters: dict[str, str]
) -> None:
    asked = Slice(lived.writing.pk, **filters)
    found = queries.several_series(
        ("requests", "latency_p95"), window, asked, bucket=step, by=dimension, top=2, now=NOW
    )
    parts = _parts(oracle.pick(lived.calls, window, asked), dimension)
    ranked = sorted(parts, key=lambda name: -len(parts[name]))
    names = [line.key for line in found["requests"]]
    shown = [name for name in names if name != OTHER]
    assert len(shown) == min(2, len(parts))
    assert [len(parts[name]) for name in shown] == [len(parts[name]) for name in ranked[:2]]
    assert (OTHER in names) == (len(parts) > 2)
    for metric, lines in found.items():
        for line in lines:
            mine = [
                call
                for name in parts
                if name == line.key or (line.key == OTHER and name not in shown)
                for call in parts[name]
            ]
            expected = [
                oracle.measure(metric, [call for call in mine if cut.contains(call.at)])[0]
                for cut in oracle.grid(window, step)
            ]
            assert list(line.values) == expected


@pytest.mark.parametrize(
    "dimension", ["environment", "feature", "prompt_type", "prompt_version", "model", "error", "key", "release"]
)
@pytest.mark.parametrize("order_by", ["requests", "spend", "error_rate", "latency_p99"])
def test_a_breakdown_lists_the_largest_and_sums_up_the_rest(lived: World, dimension: Dimension, order_by: str) -> None:
    window, asked = Window(NOW - 4 * DAY - RAGGED, NOW - RAGGED), Slice(lived.reading.pk)
    metrics = ("spend", "requests", "errors", "error_rate", "latency_p95", "latency_p99")
    found = queries.breakdown(dimension, metrics, window, asked, order_by=order_by, top=2, now=NOW)
    parts = _parts(oracle.pick(lived.calls, window, asked), dimension)
    values = [oracle.measure(order_by, parts[part.key])[0] for part in found.parts]
    largest = sorted((oracle.measure(order_by, calls)[0] for calls in parts.values()), key=lambda value: -(value or 0))
    assert values == largest[:2]
    rest = [call for name, calls in parts.items() if name not in {part.key for part in found.parts} for call in calls]
    everything = [call for calls in parts.values() for call in calls]
    listed = [(part, parts[part.key]) for part in found.parts] + [(found.total, everything)]
    if found.other is not None:
        assert found.other.key == OTHER
        listed.append((found.other, rest))
    assert (found.other is None) == (len(parts) <= 2)
    for part, calls in listed:
        assert {key: reading.value for key, reading in part.readings.items()} == {
            key: oracle.measure(key, calls)[0] for key in metrics
        }


@pytest.mark.parametrize("window", WINDOWS.values(), ids=WINDOWS)
def test_the_top_users_come_from_days_and_from_the_calls_of_today(lived: World, window: Window) -> None:
    asked = Slice(lived.writing.pk)
    found = queries.breakdown("user_id", ("spend", "requests", "error_rate"), window, asked, top=3, now=NOW)
    parts = _parts(oracle.pick(lived.calls, window, asked), "user_id")
    spent = sorted((oracle.measure("spend", calls)[0] or 0 for calls in parts.values()), reverse=True)
    assert [part.readings["spend"].value for part in found.parts] == spent[:3]
    assert found.total.readings["requests"].value == sum(len(calls) for calls in parts.values())
    for part in found.parts:
        assert part.readings["error_rate"].value == oracle.measure("error_rate", parts[part.key])[0]
    if len(parts) > 3:
        assert found.other is not None
        assert found.other.readings["spend"].value == sum(spent[3:])


def test_users_cannot_be_ordered_by_a_rate(lived: World) -> None:
    with pytest.raises(ValueError, match="users can be ordered by a sum only, and error_rate is none"):
        queries.breakdown("user_id", ("error_rate",), Window.last(60, NOW), Slice(lived.reading.pk), now=NOW)


def test_the_top_parts_of_a_latency_are_those_with_the_most_requests(lived: World) -> None:
    window, asked = Window.last(DAY, NOW), Slice(lived.reading.pk)
    by_latency = queries.series("latency_p95", window, asked, bucket=HOUR, by="prompt_type", top=3, now=NOW)
    by_requests = queries.series("requests", window, asked, bucket=HOUR, by="prompt_type", top=3, now=NOW)
    assert [line.key for line in by_latency] == [line.key for line in by_requests]


def test_what_has_not_happened_yet_is_unknown_and_not_zero(lived: World) -> None:
    window = Window(NOW - MINUTE, NOW + 2 * MINUTE)
    (line,) = queries.series("requests", window, Slice(lived.reading.pk), bucket=MINUTE, now=NOW)
    assert line.values[0] is not None
    assert line.values[1:] == (None, None)


def test_a_question_that_would_read_too_many_calls_says_what_to_change(lived: World) -> None:
    asked = Slice(lived.reading.pk, feature="search", model="claude-haiku-4-5-20251001")
    with pytest.raises(
        queries.WindowTooWideError, match="at most 2 days: ask for a shorter window, buckets of whole hours"
    ):
        queries.series("requests", Window.last(3 * DAY, NOW), asked, bucket=MINUTE, now=NOW)


def test_a_comparison_gives_both_sides_and_their_difference(lived: World) -> None:
    asked, today = Slice(lived.reading.pk), Window.last(DAY, NOW)
    found = queries.compare("spend", today, today.previous(), asked, now=NOW)
    here = oracle.measure("spend", oracle.pick(lived.calls, today, asked))[0]
    there = oracle.measure("spend", oracle.pick(lived.calls, today.previous(), asked))[0]
    assert isinstance(here, int)
    assert isinstance(there, int)
    assert (found.reading.value, found.other.value, found.difference) == (here, there, here - there)
    assert found.relative == oracle.ratio(here - there, there)
    assert found.enough


def test_a_comparison_cuts_both_sides_at_the_part_that_has_passed(lived: World) -> None:
    asked, today = Slice(lived.reading.pk), Window(MIDNIGHT, MIDNIGHT + DAY)
    found = queries.compare("requests", today, today.shift(-DAY), asked, now=NOW)
    passed = Window(MIDNIGHT, NOW)
    assert found.reading.value == len(oracle.pick(lived.calls, passed, asked))
    assert found.other.value == len(oracle.pick(lived.calls, passed.shift(-DAY), asked))


def test_a_comparison_with_few_calls_says_so(lived: World) -> None:
    asked, window = Slice(lived.reading.pk), Window.last(5, NOW)
    found = queries.compare("error_rate", window, Window.last(5, NOW - 30 * DAY), asked, now=NOW)
    assert not found.enough
    assert (found.other.value, found.difference, found.relative) == (None, None, None)


def test_the_difference_of_two_rates_is_exact(lived: World) -> None:
    asked, window = Slice(lived.reading.pk), Window.last(DAY, NOW)
    found = queries.compare("error_rate", window, window.previous(), asked, now=NOW)
    assert isinstance(found.reading.value, Decimal)
    assert isinstance(found.other.value, Decimal)
    assert found.difference == found.reading.value - found.other.value


def test_the_oracle_knows_every_metric_of_calls() -> None:
    assert set(oracle.METRICS) == {key for key, metric in METRICS.items() if metric.source == "calls"}


def test_what_a_source_does_not_know_is_refused(lived: World) -> None:
    window, named = Window.last(60, NOW), Slice(lived.reading.pk, score="grade")
    with pytest.raises(ValueError, match="of calls it is not known: score"):
        queries.value("requests", window, named, now=NOW)
    with pytest.raises(ValueError, match="of breakers it is not known: environment"):
        queries.value("breaker_open_ms", window, Slice(lived.reading.pk, environment="staging"), now=NOW)
    with pytest.raises(ValueError, match="of breakers it is not known: feature"):
        queries.breakdown("feature", ["breaker_open_ms"], window, Slice(lived.reading.pk), now=NOW)
    with pytest.raises(ValueError, match="metrics of calls and scores are asked for apart"):
        queries.values(("requests", "scores"), window, Slice(lived.reading.pk), now=NOW)


def _parts(calls: list[oracle.Call], dimension: str) -> dict[str, list[oracle.Call]]:
    """The calls by name; a breakdown by error or by user is about the calls that have one."""
    parts: dict[str, list[oracle.Call]] = {}
    for call in calls:
        name = getattr(call, dimension)
        if name or dimension not in {"error", "user_id"}:
            parts.setdefault(name or NONE, []).append(call)
    return parts
