# ruff: noqa: S608 — columns and expressions come from declarations in this package, values are parameters
"""Cells: SQL for one row per start and key, made of sums and histograms from several tables.

A start that two pieces of a plan share is one cell, so they are merged here and not piece by piece.
"""

from collections.abc import Mapping, Sequence

from metrics.clauses import union
from metrics.facts import Histogram
from metrics.ranks import cumulated, percentile
from metrics.steps import Sql


def cells(facts: Sequence[str], added: Sequence[Sql], counted: Mapping[Histogram, Sequence[Sql]]) -> Sql:
    """Select start, key, the facts, and percentiles and size of each histogram.

    `added` selects start, key and the facts of each piece, `counted` start, key, place and calls.
    """
    empty = dict.fromkeys(facts, "0")
    for histogram in counted:
        empty |= dict.fromkeys(histogram.columns, "NULL::int") | {histogram.size: "0"}
    of_sums = union(added)
    parts = [Sql(_select(empty | {fact: fact for fact in facts}, f"({of_sums.text}) AS added"), of_sums.values)]
    for histogram, pieces in counted.items():
        places = _cumulated(pieces)
        of_histogram = {name: percentile(percent) for name, percent in histogram.columns.items()}
        selected = _select(
            empty | of_histogram | {histogram.size: "max(in_all)"},
            f"({places.text}) AS cumulated GROUP BY start, key",
        )
        parts.append(Sql(selected, places.values))
    # A cell has one row of sums per piece and one per histogram. Grouping puts them together where a join would lose
    # the cells of all other keys, whose key is NULL.
    once = {name: f"max({name})" if nothing == "NULL::int" else f"sum({name})" for name, nothing in empty.items()}
    each = union(parts)
    return Sql(_select(once, f"({each.text}) AS each GROUP BY start, key"), each.values)


def _select(columns: Mapping[str, str], source: str) -> str:
    listed = "".join(f", {expression} AS {name}" for name, expression in columns.items())
    return f"SELECT start, key{listed} FROM {source}"


def _cumulated(pieces: Sequence[Sql]) -> Sql:
    counted = union(pieces)
    # In one piece each place of a cell is one row already.
    calls, grouped = ("calls::int", "") if len(pieces) == 1 else ("sum(calls)::int", " GROUP BY start, key, place")
    places = f"SELECT start, key, place, {calls} AS calls FROM ({counted.text}) AS counted{grouped}"
    return Sql(f"SELECT start, key, place, {cumulated('start, key')} FROM ({places}) AS places", counted.values)
