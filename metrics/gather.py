# ruff: noqa: S608 — tables, columns and expressions come from declarations in this package, values are parameters
"""Gather: the facts a question asks for, from the tables its plan names. The only reader of the rollups."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, NamedTuple

import msgspec

from metrics.cells import cells
from metrics.clauses import OfColumn, column, everything, places, sums, union, where
from metrics.facts import HISTOGRAMS, PERCENTILES, Histogram
from metrics.formulas import Columns, Totals
from metrics.plan import Piece
from metrics.selection import UNNUMBERED, Key, Question
from metrics.steps import Sql, Steps

_NUMBERS: Final = msgspec.json.Decoder(list[Any], float_hook=Decimal)


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


def gather(question: Question, pieces: Sequence[Piece], keep: Keep | None = None) -> Steps[dict[Key, Totals]]:
    """Find the totals per key, with whole histograms, so that they can be merged once more; without a cut the key is 0.

    The question has no step.
    """
    found: dict[Key, Totals] = defaultdict(Totals)
    if not pieces:
        return found
    key, also = _apart(keep)
    facts, histograms = sorted(question.facts), _histograms(question)
    added = union(sums(question, piece, facts, key, also) for piece in pieces)
    counted = [union(places(question, piece, each, key, also) for piece in pieces) for each in histograms]
    of_facts, *of_histograms = yield [
        Sql(f"SELECT key::text, concat_ws(',', {', '.join(facts)}) FROM ({added.text}) AS added", added.values),
        *(
            Sql(
                "SELECT key::text, string_agg(concat_ws(',', place, calls), ',')"
                f" FROM ({each.text}) AS counted GROUP BY key",
                each.values,
            )
            for each in counted
        ),
    ]
    for of, packed in of_facts:
        found[_key(question, of)].add(Totals(dict(zip(facts, _numbers_in(packed), strict=True))))
    for histogram, rows in zip(histograms, of_histograms, strict=True):
        for of, packed in rows:
            flat = _numbers_in(packed)
            for place, calls in zip(flat[::2], flat[1::2], strict=True):
                found[_key(question, of)].add(Totals({}, {histogram.name: {place: calls}}))
    return found


def gather_strips(question: Question, pieces: Sequence[Piece], keep: Keep | None) -> Steps[dict[Key, Strip]]:
    """Find the cells of a question with a step, by key.

    Facet rows that are cells already are read as they stand, with their stored percentiles: that is what makes a month
    by the hour cheap. Only what is left has to be merged.
    """
    rows = [piece for piece in pieces if _is_cell(question, piece)]
    apart = _apart(keep)
    cuts = [(piece, *apart) for piece in pieces if piece not in rows]
    if keep is not None and keep.others:
        cuts += [(piece, *_together(keep.keys)) for piece in rows]
    return (
        yield from _read_strips(question, [*(_rows(question, piece, keep) for piece in rows), *_merged(question, cuts)])
    )


def gather_rest(question: Question, pieces: Sequence[Piece], keys: Sequence[Key]) -> Steps[dict[Key, Strip]]:
    """Find the cells of all other keys together, under None."""
    return (yield from _read_strips(question, _merged(question, [(piece, *_together(keys)) for piece in pieces])))


def largest(question: Question, pieces: Sequence[Piece], *, facts: Iterable[str], most: int) -> Steps[list[Key]]:
    """Find the keys with the largest sum of some facts. For dimensions with too many keys to fetch them all."""
    names = sorted(facts)
    if not pieces:
        return []
    cells = union(sums(question, piece, names, Sql, everything) for piece in pieces)
    total = f"sum({' + '.join(names)})"
    (rows,) = yield [
        Sql(
            f"SELECT key::text, (row_number() OVER (ORDER BY {total} DESC, key))::text"
            f" FROM ({cells.text}) AS cell GROUP BY key ORDER BY {total} DESC, key LIMIT %s",
            (*cells.values, most),
        )
    ]
    return [_key(question, of) for of, _ in sorted(rows, key=lambda row: int(row[1] or 0))]


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


def _rows(question: Question, piece: Piece, keep: Keep | None) -> Sql:
    """Select facet rows as they stand."""
    of_key = column(question, piece)
    kept = everything if keep is None else _among(keep.keys)
    condition = where(question, piece, kept(of_key))
    source = Sql(f"{piece.table.name} {condition.text}", condition.values)
    return _packed(of_key, "bucket", _numbers(question, lambda histogram: histogram.calls), source)


def _merged(question: Question, cuts: Sequence[tuple[Piece, OfColumn, OfColumn]]) -> list[Sql]:
    """Select pieces in which a cell is made of several rows: sums are added up, histograms merged, by the database."""
    if not cuts:
        return []
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
    return [_packed("key", "start", _numbers(question, lambda histogram: histogram.size), source)]


def _numbers(question: Question, size: Callable[[Histogram], str]) -> dict[str, str]:
    """Return what is asked of each cell, by name, as SQL that is never NULL: no percentile is 0, so 0 can stand in."""
    found = {name: name for name in sorted(question.facts)}
    for histogram in _histograms(question):
        found |= {name: f"coalesce({name}, 0)" for name in histogram.columns}
        found[histogram.size] = size(histogram)
    return found


def _packed(key: str, start: str, numbers: Mapping[str, str], source: Sql) -> Sql:
    """Select cells, all of one key as one text: thousands of numbers come faster in no other form, and exact."""
    return Sql(
        f"SELECT ({key})::text, string_agg("
        f"concat_ws(',', date_part('epoch', {start})::bigint, {', '.join(numbers.values())}), ',')"
        f" FROM {source.text} GROUP BY 1",
        source.values,
    )


def _read_strips(question: Question, selects: Sequence[Sql]) -> Steps[dict[Key, Strip]]:
    found: dict[Key, Strip] = {}
    if not selects:
        return found
    names = list(_numbers(question, lambda histogram: histogram.size))
    width = 1 + len(names)
    for rows in (yield selects):
        for of, packed in rows:
            flat = _numbers_in(packed)
            columns = {name: flat[place::width] for place, name in enumerate(names, start=1)}
            for name in PERCENTILES.intersection(columns):
                if 0 in columns[name]:
                    columns[name] = [ms or None for ms in columns[name]]
            key, strip = _key(question, of), Strip(flat[::width], columns)
            found[key] = found[key].and_then(strip) if key in found else strip
    return found


def _numbers_in(packed: str | None) -> list[Any]:
    """Return whole numbers, and what is none (sums of scores) as exact decimals."""
    return _NUMBERS.decode(f"[{packed}]")


def _key(question: Question, of: str | None) -> Key:
    return of if of is None or question.by in UNNUMBERED else int(of)


def _histograms(question: Question) -> list[Histogram]:
    return [histogram for histogram in HISTOGRAMS if histogram.name in question.histograms]
