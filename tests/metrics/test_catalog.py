"""Every metric of the catalogue keeps the rules, so that a new entry is tested by existing."""

import pytest

from metrics.catalog import DIMENSIONS_OF, METRICS, Metric
from metrics.facts import BREAKER_FACT_NAMES, FACT_NAMES, HISTOGRAMS, SCORE_FACT_NAMES
from metrics.formulas import Percentile, Ratio, Sum, Totals, columns_of
from metrics.units import Unit

FACTS_OF = {"calls": FACT_NAMES, "scores": SCORE_FACT_NAMES, "breakers": BREAKER_FACT_NAMES}

every_metric = pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)


@every_metric
def test_a_metric_is_computed_from_facts_that_are_kept_of_its_source(metric: Metric) -> None:
    assert FACTS_OF.keys() == DIMENSIONS_OF.keys()
    assert metric.facts <= FACTS_OF[metric.source]
    assert metric.formula.histogram in {"", *(histogram.name for histogram in HISTOGRAMS)}


@every_metric
def test_a_percentile_is_one_that_is_stored(metric: Metric) -> None:
    columns = {column for histogram in HISTOGRAMS for column in histogram.columns}
    assert not isinstance(metric.formula, Percentile) or metric.key in columns


@every_metric
def test_a_sum_of_nothing_is_zero_and_everything_else_unknown(metric: Metric) -> None:
    assert metric.empty == (0 if isinstance(metric.formula, Sum) else None)
    nothing = columns_of([Totals()])
    assert metric.formula.values(nothing) == [metric.empty]
    assert metric.formula.samples(nothing) == [0]


@every_metric
def test_a_metric_has_the_unit_of_what_it_counts(metric: Metric) -> None:
    names = {name for name in metric.facts if name.endswith(("_tokens", "_nanousd", "_ms"))}
    if isinstance(metric.formula, Percentile):
        assert metric.unit is Unit.MILLISECONDS
    elif isinstance(metric.formula, Sum):
        endings = {"_tokens": Unit.TOKENS, "nanousd": Unit.NANOUSD, "_ms": Unit.MILLISECONDS}
        assert metric.unit == next((unit for end, unit in endings.items() if str(names).find(end) > 0), Unit.COUNT)
    else:
        assert isinstance(metric.formula, Ratio)
        assert metric.unit in {Unit.RATIO, Unit.NANOUSD, Unit.MILLISECONDS, Unit.TOKENS, Unit.NUMBER}


@every_metric
def test_a_metric_is_described_in_sentences(metric: Metric) -> None:
    assert metric.label
    assert metric.label[0].isupper()
    assert metric.description[0].isalnum()
    assert metric.description.endswith(".")
    assert metric.better in {"lower", "higher"}


def test_success_and_error_rate_are_what_is_left_of_each_other() -> None:
    cell = columns_of([Totals({"requests": 10, "cancelled": 3, "errors": 2})])
    rates = [rate for key in ("error_rate", "success_rate") for rate in METRICS[key].formula.values(cell)]
    assert [str(rate) for rate in rates] == ["0.2857142857142857142857142857", "0.7142857142857142857142857143"]
