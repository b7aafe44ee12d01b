"""Sparklines, tables, files and colours."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from dashboard import theme
from dashboard.exports import cell, csv_response
from dashboard.sparkline import sparkline
from dashboard.tables import Column, Table
from metrics.slices import OTHER
from metrics.units import Unit


def test_a_sparkline_runs_from_its_least_to_its_greatest_value_and_keeps_gaps() -> None:
    drawn = sparkline([0, 10, None, 5, 5], "Requests")
    assert drawn.count("<polyline") == 2
    assert 'points="0.0,31.0 40.0,3.0"' in drawn
    assert 'points="120.0,17.0 160.0,17.0"' in drawn
    assert 'aria-label="Requests"' in drawn


def test_a_sparkline_without_values_is_empty_and_silent() -> None:
    assert "polyline" not in sparkline([None, None], "x")
    assert 'aria-hidden="true"' in sparkline([], "x")


@pytest.mark.parametrize(
    "text",
    [
        "=1+1",
        "+1",
        "-1",
        "@SUM(A1)",
        "\tx",
        "\rx",
        "\nx",
        " =1",
        '"=1',
        "'=1",
        "\xa0=1",
        "\ufeff=1",
        "\uff1d1",
        "\x1f@A1",
    ],
)
def test_a_name_that_a_spreadsheet_would_run_is_neutralised(text: str) -> None:
    assert cell(text) == f"'{text}"


@pytest.mark.parametrize(
    ("text", "safe"),
    [("a;=1+1", "a;'=1+1"), ("a, @A1", "a, '@A1"), ('x\t"-1', "x\t\"'-1"), ("a\n=1", "a\n'=1"), ("a;b", "a;b")],
)
def test_nor_does_it_become_a_formula_where_a_semicolon_parts_the_cells(text: str, safe: str) -> None:
    assert cell(text) == safe


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, ""), (-5, "-5"), (Decimal("-0.5"), "-0.5"), (Decimal("1E-9"), "0.000000001"), ("a-b", "a-b")],
)
def test_numbers_and_plain_names_stay_as_they_are(value: object, text: str) -> None:
    assert cell(value) == text


def test_a_file_holds_exact_numbers_with_their_units_in_the_heading() -> None:
    columns = (
        Column("Time", is_time=True),
        Column("Cost", Unit.NANOUSD),
        Column("p95", Unit.MILLISECONDS),
        Column("Errors", Unit.RATIO),
        Column("Feature"),
    )
    at = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
    table = Table(columns, ((at, 1_234_567_891, 840, Decimal("0.0125"), "=cmd"), (at, -1, None, None, None)))
    response = csv_response("x", table.headings, table.exact)
    assert response.content.decode().splitlines() == [
        "Time,Cost (USD),p95 (ms),Errors (0..1),Feature",
        "2026-11-22T10:00:00+00:00,1.234567891,840,0.0125,'=cmd",
        "2026-11-22T10:00:00+00:00,-0.000000001,,,",
    ]
    assert [text for _, text in next(table.written)] == ["22 Nov 10:00", "$1.23", "840\u202fms", "1.25\u202f%", "=cmd"]


def test_a_name_keeps_its_colour_whatever_its_rank_and_two_never_share_one() -> None:
    assert theme.slots(["b", "a"]) == theme.slots(["a", "b"])
    five = theme.slots(["inbox", "search", "chat", "review", "extract"])
    assert sorted(five.values()) == sorted(theme.SLOTS)
    assert theme.slots(["inbox", OTHER])[OTHER] == "muted"
