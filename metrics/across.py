# ruff: noqa: S608 — tables, columns and expressions come from declarations in this package, values are parameters
"""Across: the totals of several windows and cuts from one look at the data.

A page that compares asks the same of many windows. Put one by one that is dozens of statements; here they are one,
whatever their number.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from ingest.dimensions import ABSENT, names_of
from ingest.vocabulary import ErrorCategory
from metrics.clauses import OfColumn, everything, places, sums, union
from metrics.facts import HISTOGRAMS
from metrics.formulas import ALWAYS, Totals
from metrics.gather import largest
from metrics.marks import first_day_lacking
from metrics.one_scan import Placed, places_of, shared, sums_of
from metrics.plan import CALLS, MOST_CALLS, Piece, WindowTooWideError, plan
from metrics.selection import INTERNED, Key, Question
from metrics.slices import NONE, Dimension, Slice
from metrics.steps import Rows, Sql, Steps, alone
from metrics.windows import FOREVER, Window


@dataclass(frozen=True, slots=True)
class Cut:
    """One window, and what its calls are cut by; None: all of them together."""

    window: Window
    by: Dimension | None = None


# The totals of one cut by the name of the part; the whole has the name "".
Parts = Mapping[str, Totals]
_EVERYTHING: Final = ""
# Users are too many to fetch them all: so many of the largest of each window.
_MOST_USERS: Final = 50


def across(
    cuts: Sequence[Cut],
    slice_: Slice,
    filters: Mapping[str, int | str] | None,
    *,
    facts: Iterable[str],
    histograms: Iterable[str] = (),
    order: str = "requests",
    most_calls: timedelta = MOST_CALLS,
    now: datetime,
) -> list[Parts | None]:
    """Return the totals of every cut, in their order; None for one that would read more than `most_calls` call by call.

    `filters` are those of the slice, resolved; None matches no call. Cuts by user stand alone, without others, and hold
    the users with the largest fact `order` in any of the windows.
    """
    if filters is None:
        return [{} for _ in cuts]
    by_user = "user_id" in filters or any(cut.by == "user_id" for cut in cuts)
    lacking = (
        [alone(first_day_lacking(slice_.project_id, cut.window)) for cut in cuts] if by_user else [None] * len(cuts)
    )
    questions = [
        Question(
            slice_.project_id,
            filters,
            cut.window,
            now,
            facts=ALWAYS.union(facts),
            histograms=frozenset(histograms),
            by=cut.by,
            months_until=until or FOREVER,
        )
        for cut, until in zip(cuts, lacking, strict=True)
    ]
    asked = [(question, _plan(question, most_calls)) for question in questions]
    found = _read(asked, _users(asked, order) if by_user and cuts[0].by == "user_id" else everything)
    names = _names(slice_.project_id, cuts, found)
    return [
        None if pieces is None else _named(cut, of_cut, names)
        for cut, of_cut, (_, pieces) in zip(cuts, found, asked, strict=True)
    ]


def _plan(question: Question, most_calls: timedelta) -> Sequence[Piece] | None:
    try:
        pieces = plan(question)
    except WindowTooWideError:
        return None
    by_call = sum((piece.window.duration for piece in pieces if piece.table is CALLS), timedelta())
    return pieces if by_call <= most_calls else None


def _named(cut: Cut, of_cut: Mapping[Key, Totals], names: Mapping[tuple[Dimension, Key], str]) -> Parts:
    """Put names for keys. Two keys may have the same name: somebody calls a feature what we call those without one."""
    parts: dict[str, Totals] = {}
    for key, totals in of_cut.items():
        name = names[cut.by, key] if cut.by is not None else _EVERYTHING
        parts.setdefault(name, Totals()).add(totals)
    return parts


def _users(asked: Sequence[tuple[Question, Sequence[Piece] | None]], order: str) -> OfColumn:
    keys: set[Key] = set()
    for question, pieces in asked:
        by_order = replace(question, facts=ALWAYS | {order}, histograms=frozenset())
        keys.update(alone(largest(by_order, pieces or (), facts=[order], most=_MOST_USERS)))
    return lambda column: Sql(f"{column} = ANY(%s)", (sorted(map(str, keys)),))


def _read(asked: Sequence[tuple[Question, Sequence[Piece] | None]], also: OfColumn) -> list[dict[Key, Totals]]:
    found: list[dict[Key, Totals]] = [{} for _ in asked]
    placed = [
        Placed(place, question, piece) for place, (question, pieces) in enumerate(asked) for piece in pieces or ()
    ]
    if not placed:
        return found
    together = shared(placed)
    apart = [one for one in placed if not any(one in group for group in together)]
    facts = sorted(placed[0].question.facts)
    histograms = [each for each in HISTOGRAMS if each.name in placed[0].question.histograms]
    added = union(
        [
            *(_of(place, sums(question, piece, facts, Sql, also), facts) for place, question, piece in apart),
            *(sums_of(group, facts) for group in together),
        ]
    )
    counted = [
        union(
            [
                *(
                    _of(place, places(question, piece, histogram, Sql, also), ["place", "calls"])
                    for place, question, piece in apart
                ),
                *(places_of(group, histogram) for group in together),
            ]
        )
        for histogram in histograms
    ]
    reads = [_as_text(added, facts), *(_as_text(each, ["place", "calls"]) for each in counted)]
    of_sums, *of_histograms = alone(_read_at_once(reads))
    for place, key, values in _rows(of_sums, asked):
        totals = Totals(dict(zip(facts, values, strict=True)))
        found[place].setdefault(key, Totals()).add(totals)
    for histogram, rows in zip(histograms, of_histograms, strict=True):
        for place, key, (bucket, calls) in _rows(rows, asked):
            totals = Totals({}, {histogram.name: {bucket: calls}})
            found[place].setdefault(key, Totals()).add(totals)
    return found


def _read_at_once(reads: Sequence[Sql]) -> Steps[Sequence[Rows]]:
    return (yield reads)


def _as_text(select: Sql, columns: Sequence[str]) -> Sql:
    """Put cut and key into one text, and the numbers into another."""
    numbers = ", ".join(columns)
    return Sql(
        f"SELECT concat_ws(' ', cut, key), concat_ws(',', {numbers}) FROM ({select.text}) AS of_cuts", select.values
    )


def _rows(
    rows: Rows, asked: Sequence[tuple[Question, Sequence[Piece] | None]]
) -> Iterator[tuple[int, Key, Sequence[int]]]:
    for named, numbers in rows:
        place, _, key = (named or "").partition(" ")
        by_user = asked[int(place)][0].by == "user_id"
        yield int(place), key if by_user else int(key), [int(number) for number in (numbers or "").split(",")]


def _of(place: int, select: Sql, columns: Sequence[str]) -> Sql:
    """Say of each row which cut it belongs to."""
    listed = ", ".join(columns)
    return Sql(f"SELECT {place} AS cut, key, {listed} FROM ({select.text}) AS of_cut", select.values)


def _names(
    project_id: int, cuts: Sequence[Cut], found: Sequence[Mapping[Key, Totals]]
) -> Mapping[tuple[Dimension, Key], str]:
    """Return the name of every key there is, all dimensions at once."""
    keys = {(cut.by, key) for cut, of_cut in zip(cuts, found, strict=True) if cut.by is not None for key in of_cut}
    interned = [key for by, key in keys if by in INTERNED and isinstance(key, int)]
    known = names_of(project_id, interned) if interned else {}

    def name(by: Dimension, key: Key) -> str:
        if key == ABSENT:
            return NONE
        if by == "error":
            return ErrorCategory(int(key or 0)).name.lower()
        return known.get(key, str(key)) if isinstance(key, int) else str(key)

    return {(by, key): name(by, key) for by, key in keys}
