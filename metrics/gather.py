# ruff: noqa: S608 — tables, columns and expressions come from declarations in this package, values are parameters
"""Gather: the facts a question asks for, from the tables its plan names. The only reader of the rollups."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

from django.db import connection

from ingest.partitions import lower_bound
from metrics.facets import CUBE_DIMENSIONS, facet_of
from metrics.facts import FACTS, HISTOGRAMS, Histogram
from metrics.formulas import Columns, Totals, columns_of
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


class Strip(NamedTuple):
    """The cells of one key: the starts of their buckets, in no order, and what is known of each."""

    starts: list[datetime]
    columns: Columns


def gather(question: Question, pieces: Sequence[Piece], keep: Keep | None = None) -> dict[Cell, Totals]:
    """Return the totals per bucket start and key; without a step the start is None, without a dimension the key 0."""
    if keep is None:
        return _read_merged(question, pieces, Sql, _everything)
    keys = list(keep.keys)
    if not keep.others:
        return _read_merged(question, pieces, Sql, lambda column: Sql(f"{column} = ANY(%s)", (keys,)))
    return _read_merged(
        question,
        pieces,
        lambda column: Sql(f"CASE WHEN {column} = ANY(%s) THEN {column} END", (keys,)),
        _everything,
    )


def gather_strips(question: Question, pieces: Sequence[Piece], keep: Keep | None) -> dict[Key, list[Strip]]:
    """Return the cells of a question with a step, by key.

    Facet rows that are cells already are read as they stand, with their stored percentiles: that is what makes a month
    by the hour cheap. Only what is left has to be merged.
    """
    rows = [piece for piece in pieces if piece.table.name.startswith("facet_") and question.step == piece.table.span]
    found: dict[Key, list[Strip]] = defaultdict(list)
    for piece in rows:
        for key, strip in _read_rows(question, piece, keep):
            found[key].append(strip)
    cells = gather(question, [piece for piece in pieces if piece not in rows], keep)
    if keep is not None and keep.others:
        keys = list(keep.keys)
        cells |= _read_merged(
            question, rows, lambda _: Sql("NULL"), lambda column: Sql(f"{column} <> ALL(%s)", (keys,))
        )
    apart: dict[Key, dict[datetime, Totals]] = defaultdict(dict)
    for (start, key), totals in cells.items():
        assert start is not None  # there is a step
        apart[key][start] = totals
    for key, merged in apart.items():
        found[key].append(Strip(list(merged), columns_of(list(merged.values()))))
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


def _read_rows(question: Question, piece: Piece, keep: Keep | None) -> Iterator[tuple[Key, Strip]]:
    """Read facet rows as they stand, one array per column and key."""
    histograms = _histograms(question)
    named = {name: name for name in question.facts}
    named |= {column: column for histogram in histograms for column in histogram.columns}
    named |= {histogram.size: histogram.calls for histogram in histograms}
    column = _column(question, piece)
    where = _where(question, piece, Sql("TRUE") if keep is None else Sql(f"{column} = ANY(%s)", (list(keep.keys),)))
    # Without an order of their own, all arrays of a group have the order the rows were read in.
    arrays = ", ".join(f"array_agg({expression})" for expression in named.values())
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {column}, array_agg(extract(epoch FROM bucket)::bigint), {arrays}"
            f" FROM {piece.table.name} {where.text} GROUP BY 1",
            where.values,
        )
        for key, seconds, *columns in cursor.fetchall():
            starts = [datetime.fromtimestamp(second, UTC) for second in seconds]
            yield key, Strip(starts, dict(zip(named, columns, strict=True)))


def _read_merged(question: Question, pieces: Sequence[Piece], key: OfColumn, also: OfColumn) -> dict[Cell, Totals]:
    """Read pieces in which a cell is made of several rows: sums are added up, histograms merged."""
    found: dict[Cell, Totals] = defaultdict(Totals)
    if not pieces:
        return found
    facts = sorted(question.facts)
    sums = _union(_sums(question, piece, facts, key, also) for piece in pieces)
    with connection.cursor() as cursor:
        cursor.execute(sums.text, sums.values)
        for start, of, *values in cursor.fetchall():
            found[start, of].add(Totals(dict(zip(facts, map(int, values), strict=True))))
        for histogram in _histograms(question):
            places = _union(_places(question, piece, histogram, key, also) for piece in pieces)
            cursor.execute(places.text, places.values)
            for start, of, place, calls in cursor.fetchall():
                found[start, of].add(Totals({}, {histogram.name: {place: int(calls)}}))
    return found


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
