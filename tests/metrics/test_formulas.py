"""Values follow from facts exactly; percentiles stay within five percent."""

from collections import Counter
from decimal import Decimal, localcontext
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from ingest.histogram import bucket_of, middle_of
from metrics.formulas import Formula, Percentile, Ratio, Sum, Totals, columns_of
from metrics.readings import Value
from tests.metrics.oracle import nearest_rank


def value(formula: Formula, sums: dict[str, int]) -> Value:
    (found,) = formula.values(columns_of([Totals(sums)]))
    return found


def sample(formula: Formula, sums: dict[str, int]) -> int:
    (found,) = formula.samples(columns_of([Totals(sums)]))
    return found


def test_a_sum_adds_its_facts() -> None:
    assert value(Sum("cost_nanousd", "infra_nanousd"), {"cost_nanousd": 10**18, "infra_nanousd": 7}) == 10**18 + 7


def test_a_ratio_of_nothing_is_unknown() -> None:
    rate = Ratio(("errors",), of=("requests",), less=("cancelled",))
    assert value(rate, {"requests": 3, "cancelled": 3}) is None


def test_a_ratio_equals_the_decimal_it_is() -> None:
    assert value(Ratio(("errors",), of=("requests",)), {"requests": 40, "errors": 2}) == Decimal("0.05")


def test_a_ratio_does_not_depend_on_the_callers_precision() -> None:
    with localcontext(prec=3):
        third = value(Ratio(("errors",), of=("requests",)), {"requests": 3, "errors": 1})
    assert str(third) == "0.3333333333333333333333333333"


def test_the_sample_of_a_rate_is_the_calls_it_divides_by() -> None:
    assert sample(Ratio(("errors",), of=("requests",), less=("cancelled",)), {"requests": 10, "cancelled": 4}) == 6


def test_the_sample_of_a_share_of_tokens_is_all_calls() -> None:
    share = Ratio(("cache_read_tokens",), of=("input_tokens", "cache_read_tokens"))
    assert sample(share, {"requests": 10, "input_tokens": 5000}) == 10


def test_a_formula_goes_through_many_cells_at_once() -> None:
    cells = columns_of([Totals({"requests": 4, "errors": 1}), Totals({"requests": 5}), Totals()])
    rate = Ratio(("errors",), of=("requests",), complement=True)
    assert rate.values(cells) == [Decimal("0.75"), Decimal(1), None]
    assert rate.samples(cells) == [4, 5, 0]


def test_totals_merge_sums_and_histograms() -> None:
    totals = Totals({"requests": 2}, {"latency": {3: 1, 4: 1}})
    totals.add(Totals({"requests": 5, "errors": 1}, {"latency": {4: 2}, "ttft": {9: 1}}))
    assert totals == Totals({"requests": 7, "errors": 1}, {"latency": {3: 1, 4: 3}, "ttft": {9: 1}})


def test_a_percentile_is_of_the_merged_histogram_and_rests_on_its_calls() -> None:
    cells = columns_of([Totals({}, {"latency": {bucket_of(100): 19, bucket_of(5000): 1}}), Totals()])
    median, highest = Percentile("latency", 50), Percentile("latency", 99)
    assert median.values(cells) == [middle_of(bucket_of(100)), None]
    assert highest.values(cells) == [middle_of(bucket_of(5000)), None]
    assert highest.samples(cells) == [20, 0]


@given(
    st.lists(st.integers(min_value=0, max_value=4_000_000), min_size=1, max_size=200),
    st.sampled_from([50, 95, 99]),
)
def test_a_percentile_is_within_five_percent_of_the_exact_one(latencies: list[int], percent: int) -> None:
    cell = columns_of([Totals({}, {"latency": dict(Counter(bucket_of(ms) for ms in latencies))})])
    exact = nearest_rank(latencies, percent)
    (found,) = Percentile("latency", percent).values(cell)
    assert exact is not None
    assert found is not None
    # Half a millisecond for being whole; 0 and 1 ms share a bucket.
    assert abs(found - max(exact, 1)) <= Fraction(max(exact, 1), 20) + Fraction(1, 2)
