"""Pairs: metrics of calls told apart by two of their properties at once, such as error and feature.

The facets cut by one property each, so pairs are read from the cubes, and the ends of a window from the calls.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from django.db import connection

from metrics.catalog import METRICS
from metrics.clauses import Sql, everything, sums, union
from metrics.facets import CUBE_DIMENSIONS
from metrics.formulas import ALWAYS, Totals, columns_of
from metrics.plan import plan
from metrics.readings import Reading
from metrics.selection import Question, labels, resolve
from metrics.slices import Dimension, Slice
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
) -> list[Pair]:
    """Return metrics for each pair that has calls, those with most calls first, at most `MOST`.

    The metrics are sums and rates; percentiles are not kept by pairs. With "error" as the first property it is about
    the calls that have one.
    """
    filters = resolve(slice_)
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
    complete = of_pieces(slice_.project_id, pieces, window, now=now)
    names = sorted(facts)

    def both(column: str) -> Sql:
        return Sql(f"({column}::bigint << {_BITS}) | {CUBE_DIMENSIONS[second]}")

    read = union(sums(question, piece, names, both, everything) for piece in pieces)
    added = ", ".join(f"sum({name})" for name in names)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT key, {added} FROM ({read.text}) AS cell GROUP BY key"  # noqa: S608 - names of declared facts
            " ORDER BY sum(requests) DESC, key LIMIT %s",
            [*read.values, MOST],
        )
        rows = cursor.fetchall()
    columns = columns_of([Totals(dict(zip(names, map(int, values), strict=True))) for _, *values in rows])
    values = {metric.key: metric.formula.values(columns) for metric in asked}
    samples = {metric.key: metric.formula.samples(columns) for metric in asked}
    firsts, seconds = labels(slice_.project_id, first), labels(slice_.project_id, second)
    found = []
    for place, (key, *_) in enumerate(rows):
        one, other = key >> _BITS, key & ((1 << _BITS) - 1)
        readings = {
            name: Reading(name, values[name][place], samples[name][place], complete, columns["unpriced"][place])
            for name in values
        }
        found.append(Pair(firsts.get(one, str(one)), seconds.get(other, str(other)), readings))
    return found
