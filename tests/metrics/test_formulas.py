"""Values follow from facts exactly; percentiles stay within five percent."""

from decimal import Decimal, localcontext
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from ingest.histogram import bucket_of
from metrics.formulas import Percentile, Ratio, Sum, Totals
from tests.metrics.oracle import nearest_rank


def test_a_sum_adds_its_facts() -> None:
    assert (
        Sum("cost_nanousd", "infra_nanousd").value(Totals({"cost_nanousd": 10**18, "infra_nanousd": 7})) == 10**18 + 7
    )


def test_a_ratio_of_nothing_is_unknown() -> None:
    assert (
        Ratio(("errors",), of=("requests",), less=("cancelled",)).value(Totals({"requests": 3, "cancelled": 3})) is None
    )


def test_a_ratio_equals_the_decimal_it_is() -> None:
    rate = Ratio(("errors",), of=("requests",))
    assert rate.value(Totals({"requests": 40, "errors": 2})) == Decimal("0.05")


def test_a_ratio_does_not_depend_on_the_callers_precision() -> None:
    with localcontext(prec=3):
        third = Ratio(("errors",), of=("requests",)).value(Totals({"requests": 3, "errors": 1}))
    assert str(third) == "0.3333333333333333333333333333"


def test_the_sample_of_a_rate_is_the_calls_it_divides_by() -> None:
    rate = Ratio(("errors",), of=("requests",), less=("cancelled",))
    assert rate.sample(Totals({"requests": 10, "cancelled": 4})) == 6


def test_the_sample_of_a_share_of_tokens_is_all_calls() -> None:
    share = Ratio(("cache_read_tokens",), of=("input_tokens", "cache_read_tokens"))
    assert share.sample(Totals({"requests": 10, "input_tokens": 5000})) == 10


def test_totals_merge_sums_and_histograms() -> None:
    totals = Totals({"requests": 2}, {"latency": {3: 1, 4: 1}})
    totals.add(Totals({"requests": 5, "errors": 1}, {"latency": {4: 2}, "ttft": {9: 1}}))
    assert totals == Totals({"requests": 7, "errors": 1}, {"latency": {3: 1, 4: 3}, "ttft": {9: 1}})


def test_a_stored_percentile_stands() -> None:
    totals = Totals({"requests": 9}, {}, {"latency_p95": 812}, {"latency": 8})
    assert (Percentile("latency", 95).value(totals), Percentile("latency", 95).sample(totals)) == (812, 8)


@given(
    st.lists(st.integers(min_value=0, max_value=4_000_000), min_size=1, max_size=200),
    st.sampled_from([1, 50, 90, 95, 99, 100]),
)
def test_a_percentile_is_within_five_percent_of_the_exact_one(latencies: list[int], percent: int) -> None:
    counts: dict[int, int] = {}
    for ms in latencies:
        counts[bucket_of(ms)] = counts.get(bucket_of(ms), 0) + 1
    exact = nearest_rank(latencies, percent)
    found = Percentile("latency", percent).value(Totals({}, {"latency": counts}))
    assert exact is not None
    assert found is not None
    # Half a millisecond for being whole; 0 and 1 ms share a bucket.
    assert abs(found - max(exact, 1)) <= Fraction(max(exact, 1), 20) + Fraction(1, 2)
