# ruff: noqa: S608 — columns and facts come from declarations in this package, values are parameters
"""Pairs: metrics of calls told apart by two of their properties at once, such as error and feature.

The facets cut by one property each, so pairs are read from the cubes, and the ends of a window from the calls.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from metrics.catalog import METRICS
from metrics.clauses import everything, sums, union
from metrics.facets import CUBE_DIMENSIONS
from metrics.formulas import ALWAYS, Totals, columns_of
from metrics.plan import Piece, plan
from metrics.readings import Reading
from metrics.selection import Question, labels, resolve
from metrics.slices import Dimension, Slice
from metrics.steps import Rows, Sql, Steps, beside
from metrics.watermark import of_pieces
from metrics.windows import Window

MOST: Final = 2_000
_BITS: Final = 32


@dataclass(frozen=True, slots=True)
class Pair:
    """The calls with these two properties, in the words people use."""

    first: str
    second: str
    readings: dict[str, Reading] = field(default_factory=dict)


def pairs(
    first: Dimension, second: Dimension, metrics: Sequence[str], window: Window, slice_: Slice, *, now: datetime
) -> Steps[list[Pair]]:
    """Find metrics for each pair that has calls, those with most calls first, at most `MOST`.

    The metrics are sums and rates; percentiles are not kept by pairs. With "error" as the first property it is about
    the calls that have one.
    """
    filters, firsts, seconds = yield from beside(
        resolve(slice_), labels(slice_.project_id, first), labels(slice_.project_id, second)
    )
    if filters is None:
        return []
    asked = [METRICS[key] for key in metrics]
    facts = ALWAYS.union(*(metric.facts for metric in asked))
    question = Question(
        slice_.project_id, filters, window, now, facts=facts, histograms=frozenset(), by=first, beside=second
    )
    pieces = plan(question)
    if not pieces:
        return []
    complete, (rows,) = yield from beside(
        of_pieces(slice_.project_id, pieces, now=now), _read(question, pieces, second)
    )
    counted = sorted(
        ((int(key), list(map(int, numbers.split(",")))) for key, numbers in rows),
        key=lambda row: (-row[1][sorted(facts).index("requests")], row[0]),
    )
    columns = columns_of([Totals(dict(zip(sorted(facts), values, strict=True))) for _, values in counted])
    values = {metric.key: metric.formula.values(columns) for metric in asked}
    samples = {metric.key: metric.formula.samples(columns) for metric in asked}
    found = []
    for place, (key, _) in enumerate(counted):
        one, other = key >> _BITS, key & ((1 << _BITS) - 1)
        readings = {
            name: Reading(name, values[name][place], samples[name][place], complete, columns["unpriced"][place])
            for name in values
        }
        found.append(Pair(firsts.get(one, str(one)), seconds.get(other, str(other)), readings))
    return found


def _read(question: Question, pieces: Sequence[Piece], second: Dimension) -> Steps[Sequence[Rows]]:
    """Read the facts of each pair, in the order of their names; the key is both keys in one number."""

    def both(column: str) -> Sql:
        return Sql(f"({column}::bigint << {_BITS}) | {CUBE_DIMENSIONS[second]}")

    names = sorted(question.facts)
    cells = union(sums(question, piece, names, both, everything) for piece in pieces)
    added = ", ".join(f"sum({name})" for name in names)
    found: Sequence[Rows] = yield [
        Sql(
            f"SELECT key::text, concat_ws(',', {added}) FROM ({cells.text}) AS cell"
            " GROUP BY key ORDER BY sum(requests) DESC, key LIMIT %s",
            (*cells.values, MOST),
        )
    ]
    return found
