"""Figures: what is drawn, checked against Plotly's own idea of a figure."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import plotly.graph_objects as go
import pytest

from dashboard import charts
from dashboard.charts import Line
from dashboard.drawing import Drawn
from dashboard.tables import Table
from metrics.readings import Series, Value
from metrics.units import Unit

START = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
MS = 1_795_341_600_000


def series(*values: Value, step: int = 5, start: datetime = START, key: str = "") -> Series:
    width = timedelta(minutes=step)
    starts = tuple(start + place * width for place in range(len(values)))
    return Series("m", key, starts, width, values, (1,) * len(values), None)


def resolved(value: Any) -> Any:
    """As the page does, with one colour for all names."""
    if isinstance(value, dict):
        return {key: resolved(item) for key, item in value.items()}
    if isinstance(value, list):
        return [resolved(item) for item in value]
    return "#123456" if isinstance(value, str) and value.startswith("@") else value


def test_a_line_is_a_grid_in_time_and_unknown_is_a_gap() -> None:
    figure = charts.lines([Line("p95", series(1200, None, Decimal("900.5")), "c2", "dash")], Unit.MILLISECONDS)
    (trace,) = figure["data"]
    assert (trace["x0"], trace["dx"]) == (MS, 300_000)
    assert trace["y"] == [1.2, None, 0.9005]
    assert trace["line"] == {"color": "@c2", "dash": "dash", "width": 2}
    assert figure["layout"]["xaxis"]["range"] == [MS, MS + 3 * 300_000]
    assert figure["layout"]["yaxis"]["ticksuffix"] == " s"


def test_a_value_without_neighbours_is_a_dot() -> None:
    figure = charts.lines([Line("p95", series(5, None, 7, 8), "c2"), Line("p50", series(1, 2, 3, 4), "c1")], Unit.COUNT)
    lonely, joined = figure["data"]
    assert (lonely["mode"], lonely["marker"]) == ("lines+markers", {"color": "@c2", "size": [5, 0, 0, 0]})
    assert joined["mode"] == "lines"
    assert "marker" not in joined


def test_times_below_a_second_are_drawn_in_milliseconds() -> None:
    figure = charts.lines([Line("p50", series(120, 999), "c1")], Unit.MILLISECONDS)
    assert figure["data"][0]["y"] == [120, 999]
    assert figure["layout"]["yaxis"]["ticksuffix"] == " ms"


def test_money_is_drawn_in_dollars() -> None:
    figure = charts.lines([Line("spend", series(1_500_000_000, 0), "c1")], Unit.NANOUSD)
    assert figure["data"][0]["y"] == [1.5, 0]
    assert figure["layout"]["yaxis"]["tickprefix"] == "$"


def test_layers_are_steps_that_reach_the_end_of_their_last_bucket() -> None:
    figure = charts.layers([Line("a", series(1, 2), "c1"), Line("b", series(None, 3), "c2")], Unit.COUNT)
    assert [trace["y"] for trace in figure["data"]] == [[1, 2, 2], [0, 3, 3]]
    assert {trace["stackgroup"] for trace in figure["data"]} == {"all"}
    assert figure["data"][0]["line"]["shape"] == "hv"


def test_a_coarser_comparison_lies_under_the_present_and_is_scaled_to_its_buckets() -> None:
    week = timedelta(days=7)
    before = series(60, 120, step=60, start=START - week)
    figure = charts.layers(
        [Line("now", series(5, 6, 7), "c1")], Unit.COUNT, Line("before", before, "ink", quiet=True, shift=week, per=12)
    )
    behind = figure["data"][1]
    assert (behind["x0"], behind["dx"], behind["y"]) == (MS, 3_600_000, [5, 10, 10])
    assert figure["layout"]["xaxis"]["range"] == [MS, MS + 3 * 300_000]


def test_the_bucket_that_is_still_filling_is_shaded() -> None:
    figure = charts.lines([Line("a", series(1, 2), "c1")], Unit.COUNT, START + timedelta(minutes=5))
    (shape,) = figure["layout"]["shapes"]
    assert (shape["x0"], shape["x1"]) == (MS + 300_000, MS + 600_000)


@pytest.mark.parametrize("unit", Unit)
def test_plotly_accepts_every_figure(unit: Unit) -> None:
    drawn = [Line("a", series(1, None, 30_000), "c1", "dot"), Line("b", series(2, 2, 2), "c2")]
    for figure in (charts.lines(drawn, unit, START), charts.layers(drawn, unit, drawn[0], START)):
        go.Figure(resolved(figure))


def test_nothing_in_a_name_can_end_the_element_the_figure_lies_in() -> None:
    figure = charts.lines([Line("</script><b>", series(1), "c1")], Unit.COUNT)
    drawn = Drawn("", Table((), ()), figure)
    assert "<" not in drawn.json
    assert '"name":"‹/script>‹b>"' in drawn.json
    assert Drawn("", Table((), ()), {"data": ["</script>"]}).json == '{"data":["\\u003c/script>"]}'
