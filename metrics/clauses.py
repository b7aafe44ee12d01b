# ruff: noqa: S608 — tables, columns and expressions come from declarations in this package, values are parameters
"""Clauses: a question put into SQL for one piece of its plan."""

from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from typing import Final
from uuid import UUID

from ingest.partitions import lower_bound
from metrics.facets import CUBE_DIMENSIONS, FACETS, facet_of
from metrics.facts import CALLS_AND_PRICES, FACTS, SCORE_FACTS, Histogram
from metrics.plan import CALLS, ONE_BY_ONE, SCORES, Piece
from metrics.score_sql import scored
from metrics.selection import Question
from metrics.steps import Sql

COLUMNS: Final = {
    **CUBE_DIMENSIONS,
    **{facet.dimension: facet.of_call for facet in FACETS if facet.dimension},
    "user_id": "user_id",
    "score": "name",
}
_AT_LIST_PRICE: Final = frozenset(fact.name for fact in FACTS if fact.at_list_price)
_DATED: Final = frozenset({"user_day", "user_month"})
_ALMOST_A_MILLISECOND: Final = timedelta(microseconds=999)
# A breakdown by these is about the calls that have one.
_ONLY_WITH: Final = {"error": "error <> 0", "user_id": "user_id IS NOT NULL", "environment": "environment_id <> 0"}


# From the column that holds the key to an expression over it.
OfColumn = Callable[[str], Sql]


def everything(_: str) -> Sql:
    """Put no condition on the key."""
    return Sql("TRUE")


def sums(question: Question, piece: Piece, facts: Sequence[str], key: OfColumn, also: OfColumn) -> Sql:
    """Select start, key and the sums of some facts of one piece."""
    of_calls = {fact.name: fact.of_calls for fact in (*FACTS, *SCORE_FACTS)}
    selected = ", ".join(
        f"{of_calls[name]} AS {name}" if piece.table in ONE_BY_ONE else f"sum({name}) AS {name}" for name in facts
    )
    at_list_price = piece.table is CALLS and _AT_LIST_PRICE.intersection(facts)
    table = Sql(CALLS_AND_PRICES) if at_list_price else rows_of(question, piece)
    return _grouped(question, piece, selected, key, also, table=table)


def places(question: Question, piece: Piece, histogram: Histogram, key: OfColumn, also: OfColumn) -> Sql:
    """Select start, key, place in a histogram and the calls there, of one piece."""
    if piece.table is CALLS:
        place, calls, table = histogram.of_call, "count(*)", Sql(CALLS.name)
        also = _and(also, f"{histogram.of_call} IS NOT NULL")
    else:
        place, calls = "place", "sum(calls)"
        counted = f"unnest({histogram.name}_buckets, {histogram.name}_counts) AS counted (place, calls)"
        table = Sql(f"{piece.table.name}, {counted}")
    return _grouped(question, piece, f"{calls} AS calls", key, also, place=f", {place} AS place", table=table)


def _and(also: OfColumn, condition: str) -> OfColumn:
    def both(column: str) -> Sql:
        text, values = also(column)
        return Sql(f"{text} AND {condition}", values)

    return both


def _grouped(
    question: Question, piece: Piece, values: str, key: OfColumn, also: OfColumn, *, table: Sql, place: str = ""
) -> Sql:
    of_key = column(question, piece)
    start, of, rows = _start(question, piece), key(of_key), where(question, piece, also(of_key))
    groups = "1, 2, 3" if place else "1, 2"
    return Sql(
        f"SELECT {start.text} AS start, {of.text} AS key{place}, {values} FROM {table.text} {rows.text}"
        f" GROUP BY {groups}",
        (*start.values, *of.values, *table.values, *rows.values),
    )


def rows_of(question: Question, piece: Piece) -> Sql:
    """Return the rows a piece is read from, as what follows FROM."""
    return scored(question.project_id, *_bounds(piece)) if piece.table is SCORES else Sql(piece.table.name)


def _bounds(piece: Piece) -> tuple[UUID, UUID]:
    return lower_bound(piece.window.start), lower_bound(piece.window.end + _ALMOST_A_MILLISECOND)


def union(selects: Iterable[Sql]) -> Sql:
    """Put selects of the same columns one after the other."""
    listed = list(selects)
    return Sql(
        " UNION ALL ".join(select.text for select in listed), tuple(value for each in listed for value in each.values)
    )


def _start(question: Question, piece: Piece) -> Sql:
    if question.step is None:
        return Sql("NULL::timestamptz")
    return Sql(f"date_bin(%s, {_time(piece)}, 'epoch')", (question.step,))


def _time(piece: Piece) -> str:
    if piece.table in ONE_BY_ONE:
        return "started_at"
    return "bucket::timestamp AT TIME ZONE 'UTC'" if piece.table.name in _DATED else "bucket"


def column(question: Question, piece: Piece) -> str:
    """Return the column that holds the key the question cuts by."""
    if question.by is None:
        return "0"
    if piece.table.is_facets and question.by != "score":
        return "environment_id" if question.by == "environment" else "key"
    return COLUMNS[question.by]


def where(question: Question, piece: Piece, also: Sql, *, facets: Sequence[int] = ()) -> Sql:
    """Return the condition on the rows of a piece: the project, the time, the filters, and one more.

    `facets`: the numbers of several facets, of which the rows may be, instead of that of the question.
    """
    window = piece.window
    conditions = [Sql("project_id = %s", (question.project_id,))]
    if piece.table in ONE_BY_ONE:
        # The ids bound the scan, the times cut it exactly: ids know whole milliseconds only.
        conditions += [Sql("id >= %s AND id < %s", _bounds(piece))]
        conditions += [Sql("started_at >= %s AND started_at < %s", (window.start, window.end))]
    elif piece.table.name in _DATED:
        conditions += [Sql("bucket >= %s AND bucket < %s", (window.start.date(), window.end.date()))]
    else:
        conditions += [Sql("bucket >= %s AND bucket < %s", (window.start, window.end))]
    if facets:
        environment = question.filters.get("environment", 0)
        conditions.append(Sql("facet = ANY(%s) AND environment_id = %s", (list(facets), environment)))
    else:
        conditions += _of_facet(question) if piece.table.is_facets else _of_columns(question)
    conditions.append(also)
    return Sql(
        "WHERE " + " AND ".join(condition.text for condition in conditions),
        tuple(value for condition in conditions for value in condition.values),
    )


def _of_facet(question: Question) -> list[Sql]:
    (dimension,) = (question.dimensions - {"environment", "score"}) or {""}
    facet = facet_of(dimension)
    assert facet is not None, dimension  # the plan chose facets because there is one
    environment = question.filters.get("environment", 0)
    conditions = [Sql("facet = %s", (facet.number,))]
    if question.by == "environment" and environment == 0:
        conditions.append(Sql("environment_id <> 0"))
    else:
        conditions.append(Sql("environment_id = %s", (environment,)))
    if dimension in question.filters:
        conditions.append(Sql("key = %s", (question.filters[dimension],)))
    if question.by == "error":
        conditions.append(Sql("key <> 0"))
    if "score" in question.filters:
        conditions.append(Sql(f"{COLUMNS['score']} = %s", (question.filters["score"],)))
    return conditions


def _of_columns(question: Question) -> list[Sql]:
    conditions = [Sql(f"{COLUMNS[dimension]} = %s", (key,)) for dimension, key in question.filters.items()]
    if question.by in _ONLY_WITH:
        conditions.append(Sql(_ONLY_WITH[question.by]))
    return conditions
