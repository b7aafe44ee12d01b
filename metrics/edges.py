# ruff: noqa: S608 — columns and expressions come from declarations in this package, values are parameters
"""Edges: the calls at the ends of a window that no rollup holds, read once for all cuts of the window."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from metrics.clauses import column, everything, where
from metrics.facts import FACTS, Histogram
from metrics.plan import CALLS, Piece
from metrics.selection import Question
from metrics.steps import Sql

# A breakdown by these is about the calls that have one.
_ONLY_WITH = frozenset({"error", "environment"})


class Placed(NamedTuple):
    """A piece of the plan of one of several questions, and which one it is."""

    place: int
    question: Question
    piece: Piece


def shared(placed: Sequence[Placed]) -> Sequence[Sequence[Placed]]:
    """Return the pieces that are read of single calls, together where their window is the same; users stay apart."""
    groups: dict[tuple[object, ...], list[Placed]] = {}
    for one in placed:
        if one.piece.table is CALLS and one.question.by != "user_id":
            groups.setdefault((one.piece.window.start, one.piece.window.end), []).append(one)
    return [group for group in groups.values() if len(group) > 1]


def sums_of(group: Sequence[Placed], facts: Sequence[str]) -> Sql:
    """Select cut, key and facts of calls, each call once for every cut. The facts need no price of the time."""
    of_calls: Mapping[str, str] = {fact.name: fact.of_calls for fact in FACTS}
    return _select(group, ", ".join(f"{of_calls[name]} AS {name}" for name in facts), "1, 2")


def places_of(group: Sequence[Placed], histogram: Histogram) -> Sql:
    """Select cut, key, place in a histogram and the calls there."""
    selected = f"{histogram.of_call} AS place, count(*) AS calls"
    return _select(group, selected, "1, 2, 3", f" AND {histogram.of_call} IS NOT NULL")


def _select(group: Sequence[Placed], selected: str, groups: str, condition: str = "") -> Sql:
    first = group[0]
    cuts = ", ".join(f"({one.place}, {column(one.question, one.piece)})" for one in group)
    only_with = ", ".join(str(one.place) for one in group if one.question.by in _ONLY_WITH)
    if only_with:
        condition += f" AND (of_cut.cut NOT IN ({only_with}) OR of_cut.key <> 0)"
    rows = where(replace(first.question, by=None), first.piece, everything(""))
    return Sql(
        f"SELECT of_cut.cut, of_cut.key, {selected} FROM {CALLS.name}, LATERAL (VALUES {cuts}) AS of_cut (cut, key)"
        f" {rows.text}{condition} GROUP BY {groups}",
        rows.values,
    )
