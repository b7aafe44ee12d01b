# ruff: noqa: S608 — tables, columns and expressions come from declarations in this package, values are parameters
"""Gather: the facts a question asks for, from the tables its plan names. The only reader of the rollups."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import NamedTuple

import msgspec
from django.db import connection

from metrics.cells import cells
from metrics.clauses import OfColumn, Sql, column, everything, places, sums, union, where
from metrics.facts import HISTOGRAMS, PERCENTILES, Histogram
from metrics.formulas import Columns, Totals
from metrics.plan import Piece
from metrics.selection import Cell, Key, Question


class Keep(NamedTuple):
    """The keys that stay apart. All others are together under None, or left out."""

    keys: Sequence[Key]
    others: bool


class Strip(NamedTuple):
    """The cells of one key: their starts in seconds since 1970, in no order, and what is known of each."""

    seconds: Sequence[int]
    columns: Columns

    def and_then(self, other: "Strip") -> "Strip":
        """Return the cells of both."""
        return Strip(
            [*self.seconds, *other.seconds],
            {name: [*column, *other.columns[name]] for name, column in self.columns.items()},
        )


def gather(question: Question, pieces: Sequence[Piece], keep: Keep | None = None) -> dict[Cell, Totals]:
    """Return the totals per bucket start and key; without a step the start is None, without a dimension the key 0."""
    return _read_totals(question, pieces, *_apart(keep))


def gather_strips(question: Question, pieces: Sequence[Piece], keep: Keep | None) -> dict[Key, Strip]:
    """Return the cells of a question with a step, by key.

    Facet rows that are cells already are read as they stand, with their stored percentiles: that is what makes a month
    by the hour cheap. Only what is left has to be merged.
    """
    rows = [piece for piece in pieces if _is_cell(question, piece)]
    apart = _apart(keep)
    cuts = [(piece, *apart) for piece in pieces if piece not in rows]
    if keep is not None and keep.others:
        cuts += [(piece, *_together(keep.keys)) for piece in rows]
    as_they_stand = chain.from_iterable(_read_rows(question, piece, keep) for piece in rows)
    return _by_key(chain(as_they_stand, _read_merged(question, cuts)))


def gather_rest(question: Question, pieces: Sequence[Piece], keys: Sequence[Key]) -> dict[Key, Strip]:
    """Return the cells of all other keys together, under None."""
    return _by_key(_read_merged(question, [(piece, *_together(keys)) for piece in pieces]))


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


def _is_cell(question: Question, piece: Piece) -> bool:
    """Tell whether each row of a piece is a cell of the answer, for all environments or for one."""
    return piece.table.name.startswith("facet_") and question.step == piece.table.span


def _apart(keep: Keep | None) -> tuple[OfColumn, OfColumn]:
    """Return the key of a row and the condition on it, by which the kept keys stay apart."""
    if keep is None:
        return Sql, everything
    if not keep.others:
        return Sql, _among(keep.keys)
    keys = list(keep.keys)
    return lambda column: Sql(f"CASE WHEN {column} = ANY(%s) THEN {column} END", (keys,)), everything


def _among(keys: Sequence[Key]) -> OfColumn:
    return lambda column: Sql(f"{column} = ANY(%s)", (list(keys),))


def _together(keys: Sequence[Key]) -> tuple[OfColumn, OfColumn]:
    """Return the same for all keys but some, which have none of their own."""
    return lambda column: Sql(f"CASE WHEN FALSE THEN {column} END"), lambda column: Sql(
        f"{column} <> ALL(%s)", (list(keys),)
    )


def _by_key(read: Iterable[tuple[Key, Strip]]) -> dict[Key, Strip]:
    found: dict[Key, Strip] = {}
    for key, strip in read:
        found[key] = found[key].and_then(strip) if key in found else strip
    return found


def _read_rows(question: Question, piece: Piece, keep: Keep | None) -> Iterator[tuple[Key, Strip]]:
    """Read facet rows as they stand."""
    of_key = column(question, piece)
    kept = everything if keep is None else _among(keep.keys)
    condition = where(question, piece, kept(of_key))
    source = Sql(f"{piece.table.name} {condition.text}", condition.values)
    return _read_strips(of_key, "bucket", _numbers(question, lambda histogram: histogram.calls), source)


def _read_merged(question: Question, cuts: Sequence[tuple[Piece, OfColumn, OfColumn]]) -> Iterator[tuple[Key, Strip]]:
    """Read pieces in which a cell is made of several rows: sums are added up, histograms merged, by the database."""
    if not cuts:
        return iter(())
    facts = sorted(question.facts)
    merged = cells(
        facts,
        [sums(question, piece, facts, key, also) for piece, key, also in cuts],
        {
            histogram: [places(question, piece, histogram, key, also) for piece, key, also in cuts]
            for histogram in _histograms(question)
        },
    )
    source = Sql(f"({merged.text}) AS cell", merged.values)
    return _read_strips("key", "start", _numbers(question, lambda histogram: histogram.size), source)


def _numbers(question: Question, size: Callable[[Histogram], str]) -> dict[str, str]:
    """Return what is asked of each cell, by name, as SQL that is never NULL: no percentile is 0, so 0 can stand in."""
    found = {name: name for name in sorted(question.facts)}
    for histogram in _histograms(question):
        found |= {name: f"coalesce({name}, 0)" for name in histogram.columns}
        found[histogram.size] = size(histogram)
    return found


def _read_strips(key: str, start: str, numbers: Mapping[str, str], source: Sql) -> Iterator[tuple[Key, Strip]]:
    """Read cells, all of one key as one text in JSON: thousands of numbers come faster in no other form, and exact."""
    width = 1 + len(numbers)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {key}, string_agg("
            f"concat_ws(',', date_part('epoch', {start})::bigint, {', '.join(numbers.values())}), ',')"
            f" FROM {source.text} GROUP BY 1",
            source.values,
        )
        for of, packed in cursor.fetchall():
            flat = msgspec.json.decode(f"[{packed}]")
            columns = {name: flat[place::width] for place, name in enumerate(numbers, start=1)}
            for name in PERCENTILES.intersection(columns):
                if 0 in columns[name]:
                    columns[name] = [ms or None for ms in columns[name]]
            yield of, Strip(flat[::width], columns)


def _read_totals(question: Question, pieces: Sequence[Piece], key: OfColumn, also: OfColumn) -> dict[Cell, Totals]:
    """Read sums and whole histograms, so that cells can be merged once more."""
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
