# ruff: noqa: S608 — tables, columns and expressions come from declarations in this package, values are parameters
"""Gather: the facts a question asks for, from the tables its plan names. The only reader of the rollups."""

from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from typing import Any, Final, NamedTuple

from django.db import connection

from ingest.partitions import lower_bound
from metrics.facets import CUBE_DIMENSIONS, facet_of
from metrics.facts import FACTS, HISTOGRAMS, Histogram
from metrics.formulas import Totals
from metrics.plan import CALLS, Piece
from metrics.selection import Cell, Key, Question

_COLUMNS: Final = {**CUBE_DIMENSIONS, "user_id": "user_id"}
_DATED: Final = frozenset({"user_day", "user_month"})
_ALMOST_A_MILLISECOND: Final = timedelta(microseconds=999)
# A breakdown by these is about the calls that have one.
_ONLY_WITH: Final = {"error": "error <> 0", "user_id": "user_id IS NOT NULL", "environment": "environment_id <> 0"}


class Keep(NamedTuple):
    """The keys that stay apart. All others are together under None, or left out."""

    keys: Sequence[Key]
    others: bool


class Sql(NamedTuple):
    """A part of a statement, with its values in the order of its placeholders."""

    text: str
    values: tuple[Any, ...] = ()


# From the column that holds the key to an expression over it.
OfColumn = Callable[[str], Sql]


def gather(question: Question, pieces: Sequence[Piece], keep: Keep | None = None) -> dict[Cell, Totals]:
    """Return the totals per bucket start and key; without a step the start is None, without a dimension the key 0."""
    found: dict[Cell, Totals] = {}
    rows = [piece for piece in pieces if _is_row_per_cell(question, piece)]
    mixed = [piece for piece in pieces if piece not in rows]
    if keep is None:
        _read_rows(found, question, rows, _everything)
        _read_merged(found, question, mixed, Sql, _everything)
        return found

    def kept(column: str) -> Sql:
        return Sql(f"{column} = ANY(%s)", (list(keep.keys),))

    _read_rows(found, question, rows, kept)
    if keep.others:
        keys = list(keep.keys)
        _read_merged(found, question, rows, lambda _: Sql("NULL"), lambda column: Sql(f"{column} <> ALL(%s)", (keys,)))
        apart = lambda column: Sql(f"CASE WHEN {column} = ANY(%s) THEN {column} END", (keys,))  # noqa: E731
        _read_merged(found, question, mixed, apart, _everything)
    else:
        _read_merged(found, question, mixed, Sql, kept)
    return found


def largest(question: Question, pieces: Sequence[Piece], *, facts: Iterable[str], most: int) -> list[Key]:
    """Return the keys with the largest sum of some facts. For dimensions with too many keys to fetch them all."""
    names = sorted(facts)
    if not pieces:
        return []
    sums = _union(_sums(question, piece, names, Sql, _everything) for piece in pieces)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT key FROM ({sums.text}) AS cell GROUP BY key ORDER BY sum({' + '.join(names)}) DESC, key LIMIT %s",
            [*sums.values, most],
        )
        return [key for (key,) in cursor.fetchall()]


def _everything(_: str) -> Sql:
    return Sql("TRUE")


def _is_row_per_cell(question: Question, piece: Piece) -> bool:
    return piece.table.name.startswith("facet_") and question.step is not None and question.step == piece.table.span


def _read_rows(found: dict[Cell, Totals], question: Question, pieces: Sequence[Piece], also: OfColumn) -> None:
    """Read facet rows that are cells already: their stored percentiles stand, and nothing has to be merged."""
    facts = sorted(question.facts)
    histograms = _histograms(question)
    percentiles = [column for histogram in histograms for column in histogram.columns]
    names = [histogram.name for histogram in histograms]
    columns = ", ".join([*facts, *percentiles, *(histogram.calls for histogram in histograms)])
    first, second = len(facts), len(facts) + len(percentiles)
    for piece in pieces:
        column = _column(question, piece)
        where = _where(question, piece, also(column))
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT bucket, {column}, {columns} FROM {piece.table.name} {where.text}", where.values)
            for start, key, *values in cursor.fetchall():
                found[start, key] = Totals(
                    dict(zip(facts, values[:first], strict=True)),
                    {},
                    dict(zip(percentiles, values[first:second], strict=True)),
                    dict(zip(names, values[second:], strict=True)),
                )


def _read_merged(
    found: dict[Cell, Totals], question: Question, pieces: Sequence[Piece], key: OfColumn, also: OfColumn
) -> None:
    """Read pieces in which a cell is made of several rows: sums are added up, histograms merged."""
    if not pieces:
        return
    facts = sorted(question.facts)
    sums = _union(_sums(question, piece, facts, key, also) for piece in pieces)
    with connection.cursor() as cursor:
        cursor.execute(sums.text, sums.values)
        for start, of, *values in cursor.fetchall():
            found.setdefault((start, of), Totals()).add(Totals(dict(zip(facts, map(int, values), strict=True))))
        for histogram in _histograms(question):
            places = _union(_places(question, piece, histogram, key, also) for piece in pieces)
            cursor.execute(places.text, places.values)
            for start, of, place, calls in cursor.fetchall():
                found.setdefault((start, of), Totals()).add(Totals({}, {histogram.name: {place: calls}}))


def _sums(question: Question, piece: Piece, facts: Sequence[str], key: OfColumn, also: OfColumn) -> Sql:
    of_calls = {fact.name: fact.of_calls for fact in FACTS}
    sums = ", ".join(
        f"{of_calls[name]} AS {name}" if piece.table is CALLS else f"sum({name}) AS {name}" for name in facts
    )
    return _grouped(question, piece, sums, key, also)


def _places(question: Question, piece: Piece, histogram: Histogram, key: OfColumn, also: OfColumn) -> Sql:
    if piece.table is CALLS:
        place, calls, source = histogram.of_call, "count(*)", ""
        also = _and(also, f"{histogram.of_call} IS NOT NULL")
    else:
        place, calls = "place", "sum(calls)"
        source = f", unnest({histogram.name}_buckets, {histogram.name}_counts) AS counted (place, calls)"
    return _grouped(question, piece, f"{calls} AS calls", key, also, place=f", {place} AS place", source=source)


def _and(also: OfColumn, condition: str) -> OfColumn:
    def both(column: str) -> Sql:
        text, values = also(column)
        return Sql(f"{text} AND {condition}", values)

    return both


def _grouped(
    question: Question, piece: Piece, values: str, key: OfColumn, also: OfColumn, *, place: str = "", source: str = ""
) -> Sql:
    column = _column(question, piece)
    start, of, where = _start(question, piece), key(column), _where(question, piece, also(column))
    groups = "1, 2, 3" if place else "1, 2"
    return Sql(
        f"SELECT {start.text} AS start, {of.text} AS key{place}, {values}"
        f" FROM {piece.table.name}{source} {where.text} GROUP BY {groups}",
        (*start.values, *of.values, *where.values),
    )


def _union(selects: Iterable[Sql]) -> Sql:
    listed = list(selects)
    return Sql(
        " UNION ALL ".join(select.text for select in listed), tuple(value for each in listed for value in each.values)
    )


def _start(question: Question, piece: Piece) -> Sql:
    if question.step is None:
        return Sql("NULL::timestamptz")
    return Sql(f"date_bin(%s, {_time(piece)}, 'epoch')", (question.step,))


def _time(piece: Piece) -> str:
    if piece.table is CALLS:
        return "started_at"
    return "bucket::timestamp AT TIME ZONE 'UTC'" if piece.table.name in _DATED else "bucket"


def _column(question: Question, piece: Piece) -> str:
    """Return the column that holds the key the question cuts by."""
    if question.by is None:
        return "0"
    if piece.table.name.startswith("facet_"):
        return "environment_id" if question.by == "environment" else "key"
    return _COLUMNS[question.by]


def _where(question: Question, piece: Piece, also: Sql) -> Sql:
    window = piece.window
    conditions = [Sql("project_id = %s", (question.project_id,))]
    if piece.table is CALLS:
        # The ids bound the scan, the times cut it exactly: ids know whole milliseconds only.
        bounds = lower_bound(window.start), lower_bound(window.end + _ALMOST_A_MILLISECOND)
        conditions += [Sql("id >= %s AND id < %s", bounds)]
        conditions += [Sql("started_at >= %s AND started_at < %s", (window.start, window.end))]
    elif piece.table.name in _DATED:
        conditions += [Sql("bucket >= %s AND bucket < %s", (window.start.date(), window.end.date()))]
    else:
        conditions += [Sql("bucket >= %s AND bucket < %s", (window.start, window.end))]
    conditions += _of_facet(question) if piece.table.name.startswith("facet_") else _of_columns(question)
    conditions.append(also)
    return Sql(
        "WHERE " + " AND ".join(condition.text for condition in conditions),
        tuple(value for condition in conditions for value in condition.values),
    )


def _of_facet(question: Question) -> list[Sql]:
    (dimension,) = (question.dimensions - {"environment"}) or {""}
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
    return conditions


def _of_columns(question: Question) -> list[Sql]:
    conditions = [Sql(f"{_COLUMNS[dimension]} = %s", (key,)) for dimension, key in question.filters.items()]
    if question.by in _ONLY_WITH:
        conditions.append(Sql(_ONLY_WITH[question.by]))
    return conditions


def _histograms(question: Question) -> list[Histogram]:
    return [histogram for histogram in HISTOGRAMS if histogram.name in question.histograms]
