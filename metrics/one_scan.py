# ruff: noqa: S608 — columns and expressions come from declarations in this package, values are parameters
"""One scan: pieces of several questions that lie in the same rows of the same table, read once for all of them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from metrics.clauses import column, everything, where
from metrics.facets import facet_of
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

    @property
    def is_of_facets(self) -> bool:
        return self.piece.table.name.startswith("facet_")

    @property
    def is_sharable(self) -> bool:
        """Rows by user stay apart, and so do facets that need more than a condition on environment and number."""
        by = self.question.by
        if self.is_of_facets:
            return by != "environment" and self.question.filters.keys() <= {"environment"}
        return by != "user_id" and not self.piece.table.name.startswith("user_")


def shared(placed: Sequence[Placed]) -> Sequence[Sequence[Placed]]:
    """Return the pieces that lie in the same rows, together; those that lie alone are left out."""
    groups: dict[tuple[object, ...], list[Placed]] = {}
    for one in placed:
        if one.is_sharable:
            window = one.piece.window
            groups.setdefault((one.piece.table.name, window.start, window.end), []).append(one)
    return [group for group in groups.values() if len(group) > 1]


def sums_of(group: Sequence[Placed], facts: Sequence[str]) -> Sql:
    """Select cut, key and facts, each row once for every cut. The facts of calls need no price of the time."""
    if group[0].is_of_facets:
        return _of_facets(group, ", ".join(f"sum({name}) AS {name}" for name in facts))
    of_calls: Mapping[str, str] = {fact.name: fact.of_calls for fact in FACTS}
    is_calls = group[0].piece.table is CALLS
    return _of_rows(group, {name: of_calls[name] if is_calls else f"sum({name})" for name in facts})


def places_of(group: Sequence[Placed], histogram: Histogram) -> Sql:
    """Select cut, key, place in a histogram and the calls there."""
    if group[0].piece.table is CALLS:
        return _of_rows(group, {"calls": "count(*)"}, place=histogram.of_call)
    unnested = f", unnest({histogram.name}_buckets, {histogram.name}_counts) AS counted (place, calls)"
    if group[0].is_of_facets:
        return _of_facets(group, "sum(calls) AS calls", place=", place", also=unnested)
    return _of_rows(group, {"calls": "sum(calls)"}, place="counted.place", also=unnested)


def _of_facets(group: Sequence[Placed], counted: str, *, place: str = "", also: str = "") -> Sql:
    first, numbers = group[0], [_facet(one) for one in group]
    table = first.piece.table.name
    cuts = ", ".join(f"({number}, {one.place})" for number, one in zip(numbers, group, strict=True))
    only_with = [str(_facet(one)) for one in group if one.question.by in _ONLY_WITH]
    condition = f" AND ({table}.facet NOT IN ({', '.join(only_with)}) OR key <> 0)" if only_with else ""
    during = where(first.question, first.piece, everything(""), facets=numbers)
    return Sql(
        f"SELECT of_cut.cut, key{place}, {counted}"
        f" FROM (VALUES {cuts}) AS of_cut (facet, cut) JOIN {table} USING (facet){also}"
        f" {during.text}{condition} GROUP BY 1, 2{', 3' if place else ''}",
        during.values,
    )


def _facet(one: Placed) -> int:
    facet = facet_of(one.question.by or "")
    assert facet is not None, one.question.by  # the plan chose facets because there is one
    return facet.number


def _of_rows(group: Sequence[Placed], counted: Mapping[str, str], *, place: str = "", also: str = "") -> Sql:
    """Add up the rows that are alike in all cuts together first: there are far fewer kinds of calls than calls."""
    first = group[0]
    columns = {one.place: column(one.question, one.piece) for one in group}
    kinds = {text: f"kind_{number}" for number, text in enumerate(dict.fromkeys(columns.values()))}
    if place:
        kinds[place] = "place"
    kind = ", ".join(f"{text} AS {name}" for text, name in kinds.items())
    counts = ", ".join(f"{text} AS {name}" for name, text in counted.items())
    rows = where(replace(first.question, by=None), first.piece, everything(""))
    condition = f" AND {place} IS NOT NULL" if place else ""
    cuts = ", ".join(f"({number}, {kinds[text]})" for number, text in columns.items())
    only_with = ", ".join(str(one.place) for one in group if one.question.by in _ONLY_WITH)
    having = f" WHERE of_cut.cut NOT IN ({only_with}) OR of_cut.key <> 0" if only_with else ""
    keys = f"of_cut.cut, of_cut.key{', place' if place else ''}"
    return Sql(
        f"SELECT {keys}, {', '.join(f'sum({name}) AS {name}' for name in counted)}"
        f" FROM (SELECT {kind}, {counts} FROM {first.piece.table.name}{also} {rows.text}{condition}"
        f" GROUP BY {', '.join(str(number) for number in range(1, len(kinds) + 1))}) AS alike,"
        f" LATERAL (VALUES {cuts}) AS of_cut (cut, key){having} GROUP BY {keys}",
        rows.values,
    )
