# ruff: noqa: S608 — tables, columns and expressions come from declarations in this package, values are parameters
"""Gather: the facts a question asks for, from the tables its plan names. The only reader of the rollups."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from django.db import connection

from metrics.clauses import OfColumn, Sql, column, everything, places, sums, union, where
from metrics.facts import HISTOGRAMS, Histogram
from metrics.formulas import Columns, Totals, columns_of
from metrics.plan import Piece
from metrics.selection import Cell, Key, Question
from metrics.windows import EPOCH

_SECOND: Final = timedelta(seconds=1)


class Keep(NamedTuple):
    """The keys that stay apart. All others are together under None, or left out."""

    keys: Sequence[Key]
    others: bool


class Strip(NamedTuple):
    """The cells of one key: their starts in seconds since 1970, in no order, and what is known of each."""

    seconds: list[int]
    columns: Columns


def gather(question: Question, pieces: Sequence[Piece], keep: Keep | None = None) -> dict[Cell, Totals]:
    """Return the totals per bucket start and key; without a step the start is None, without a dimension the key 0."""
    if keep is None:
        return _read_merged(question, pieces, Sql, everything)
    keys = list(keep.keys)
    if not keep.others:
        return _read_merged(question, pieces, Sql, lambda column: Sql(f"{column} = ANY(%s)", (keys,)))
    return _read_merged(
        question,
        pieces,
        lambda column: Sql(f"CASE WHEN {column} = ANY(%s) THEN {column} END", (keys,)),
        everything,
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
    apart: dict[Key, dict[int, Totals]] = defaultdict(dict)
    for (start, key), totals in cells.items():
        assert start is not None  # there is a step
        apart[key][seconds_of(start)] = totals
    for key, merged in apart.items():
        found[key].append(Strip(list(merged), columns_of(list(merged.values()))))
    return found


def seconds_of(start: datetime) -> int:
    """Return the seconds since 1970; numbers are looked up several times faster than aware times."""
    return (start - EPOCH) // _SECOND


def largest(question: Question, pieces: Sequence[Piece], *, facts: Iterable[str], most: int) -> list[Key]:
    """Return the keys with the largest sum of some facts. For dimensions with too many keys to fetch them all."""
    names = sorted(facts)
    if not pieces:
        return []
    cells = union(sums(question, piece, names, Sql, everything) for piece in pieces)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT key FROM ({cells.text}) AS cell GROUP BY key ORDER BY sum({' + '.join(names)}) DESC, key LIMIT %s",
            [*cells.values, most],
        )
        return [key for (key,) in cursor.fetchall()]


def _read_rows(question: Question, piece: Piece, keep: Keep | None) -> Iterator[tuple[Key, Strip]]:
    """Read facet rows as they stand, one array per column and key."""
    histograms = _histograms(question)
    named = {name: name for name in question.facts}
    named |= {name: name for histogram in histograms for name in histogram.columns}
    named |= {histogram.size: histogram.calls for histogram in histograms}
    of_key = column(question, piece)
    kept = Sql("TRUE") if keep is None else Sql(f"{of_key} = ANY(%s)", (list(keep.keys),))
    condition = where(question, piece, kept)
    # Without an order of their own, all arrays of a group have the order the rows were read in.
    arrays = ", ".join(f"array_agg({expression})" for expression in named.values())
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {of_key}, array_agg(date_part('epoch', bucket)::bigint), {arrays}"
            f" FROM {piece.table.name} {condition.text} GROUP BY 1",
            condition.values,
        )
        for key, seconds, *columns in cursor.fetchall():
            yield key, Strip(seconds, dict(zip(named, columns, strict=True)))


def _read_merged(question: Question, pieces: Sequence[Piece], key: OfColumn, also: OfColumn) -> dict[Cell, Totals]:
    """Read pieces in which a cell is made of several rows: sums are added up, histograms merged."""
    found: dict[Cell, Totals] = defaultdict(Totals)
    if not pieces:
        return found
    facts = sorted(question.facts)
    added = union(sums(question, piece, facts, key, also) for piece in pieces)
    with connection.cursor() as cursor:
        cursor.execute(added.text, added.values)
        for start, of, *values in cursor.fetchall():
            found[start, of].add(Totals(dict(zip(facts, map(int, values), strict=True))))
        for histogram in _histograms(question):
            counted = union(places(question, piece, histogram, key, also) for piece in pieces)
            cursor.execute(counted.text, counted.values)
            for start, of, place, calls in cursor.fetchall():
                found[start, of].add(Totals({}, {histogram.name: {place: int(calls)}}))
    return found


def _histograms(question: Question) -> list[Histogram]:
    return [histogram for histogram in HISTOGRAMS if histogram.name in question.histograms]
