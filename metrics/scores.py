# ruff: noqa: S608 — tables and columns come from declarations in this package, values are parameters
"""Scores: what people and programs thought of answers, by name and by prompt version.

Read as calls are: whole days and hours from the rollups, the ends of a window from the scores themselves. With a filter
that those do not know beside the prompt (user, API key, release) the newest scores are read, each with its call.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Context, Decimal
from typing import Any, Final, NamedTuple
from uuid import UUID

import msgspec

from ingest.partitions import kept_from, lower_bound
from metrics.clauses import COLUMNS, everything, rows_of, union, where
from metrics.facts import SCORE_FACT_NAMES
from metrics.plan import SCORES, Piece, is_rolled_up, plan
from metrics.score_sql import LOWEST, lowest, scored
from metrics.selection import Key, Question, labels, resolve
from metrics.slices import Slice
from metrics.steps import Rows, Sql, Steps, beside
from metrics.windows import Window

MOST: Final = 5_000
"""Scores read one by one where the rollups do not know a filter: the newest of the window, whatever the filters are."""
MOST_NAMES: Final = 20
_EXACT: Final = Context(prec=28)


@dataclass(slots=True)
class Told:
    """Scores of one name together: numbers by their sum, words by how often each was told."""

    numbers: int = 0
    total: Decimal = Decimal(0)
    words: Counter[str] = field(default_factory=Counter)
    lowest: list[tuple[float, UUID]] = field(default_factory=list)
    """The lowest numbers and their calls, at most `LOWEST`; of equal ones the newest."""

    @property
    def count(self) -> int:
        return self.numbers + self.words.total()

    @property
    def ranked(self) -> list[tuple[str, int]]:
        """Return the words with their counts, those told most often first, equal ones by the alphabet."""
        return sorted(self.words.items(), key=lambda told: (-told[1], told[0]))

    @property
    def mean(self) -> Decimal | None:
        """Return the mean of the numbers, rounded once; None when all are words."""
        return _EXACT.divide(self.total, self.numbers) if self.numbers else None

    def add(self, word: str, count: int, total: str) -> None:
        """Merge in scores of one word, or numbers: then it is empty."""
        if word:
            self.words[word] += count
        else:
            self.numbers += count
            self.total += Decimal(total)

    def add_one(self, word: str, value: str | None, call: str) -> None:
        """Merge in one score."""
        self.add(word, 1, value or "0")
        if value is not None:
            self.look_at(float(value), call)

    def look_at(self, value: float, call: str) -> None:
        """Merge in a number that may be one of the lowest."""
        if len(self.lowest) < LOWEST or value <= self.lowest[-1][0]:
            self.lowest = sorted([*self.lowest, (value, UUID(call))], key=lambda low: (low[0], -low[1].int))[:LOWEST]


class Versioned(NamedTuple):
    """A score's name and the prompt it is about, in the words people use."""

    name: str
    prompt_type: str
    prompt_version: str


@dataclass(frozen=True, slots=True)
class Scores:
    """What was told of the calls of a window, and of those of the comparison."""

    names: dict[str, Told]
    """Those told most often first, at most `MOST_NAMES`."""
    earlier: dict[str, Told]
    versions: dict[Versioned, Told]
    is_cut: bool
    """Only the newest scores were read; there were more."""
    are_versions_cut: bool
    """The same of `versions`."""


def scores(window: Window, earlier: Window | None, slice_: Slice, *, now: datetime) -> Steps[Scores]:
    """Find the scores of the calls of a window, and of one to compare with."""
    project_id = slice_.project_id
    filters, types, versions = yield from beside(
        resolve(slice_), labels(project_id, "prompt_type"), labels(project_id, "prompt_version")
    )
    if filters is None:
        return Scores({}, {}, {}, is_cut=False, are_versions_cut=False)
    question = Question(project_id, filters, window, now, SCORE_FACT_NAMES, frozenset())
    by_version = replace(question, by="prompt_type", beside="prompt_version")
    newest = None if is_rolled_up(question) else MOST
    newest_by_version = None if is_rolled_up(by_version) else MOST
    before = replace(question, window=earlier or Window(now, now))
    # Calls that are gone cannot be looked at.
    kept = Window(min(max(window.start, kept_from("request_log", now)), window.end), window.end)
    counted, singly, counted_before, singly_before, lows, ((_, most),), *apart = yield [
        *_told(by_version, newest_by_version),
        *_told(before, newest),
        _lowest(replace(question, window=kept), newest),
        _most(project_id, [] if newest_by_version is None else [window, before.window]),
        # By name alone the rollups may know more than by version, too.
        *(_told(question, newest) if newest != newest_by_version else ()),
    ]
    names = _by_name(*(apart or (counted, singly)))
    for name, values, calls in _rows(lows):
        # Hours may know a name already that their day does not.
        for value, call in zip(values, calls, strict=True) if name in names else ():
            names[name].look_at(value, call)
    largest = sorted(names, key=lambda name: (-names[name].count, name))[:MOST_NAMES]
    versions_of = _by_version(counted, singly, types, versions)
    is_cut = int(most or 0) > MOST
    return Scores(
        names={name: names[name] for name in largest},
        earlier=_by_name(counted_before, singly_before),
        versions={key: told for key, told in versions_of.items() if key.name in largest},
        is_cut=is_cut and newest is not None,
        are_versions_cut=is_cut,
    )


def _told(question: Question, newest: int | None) -> tuple[Sql, Sql]:
    """Read what was told under each name, by what the question is cut by: from the rollups, and score by score.

    With `newest` no rollup can answer, and at most so many scores are read.
    """
    keys = "".join(f", {COLUMNS[dimension]}" for dimension in (question.by, question.beside) if dimension)
    counted, singly = [], []
    for piece in plan(question) if newest is None else [Piece(SCORES, question.window)]:
        condition = where(question, piece, everything(""))
        if piece.table is SCORES:
            rows = rows_of(question, piece) if newest is None else _newest(question, newest)
            text = f"SELECT name, coalesce(label, '') AS word, value::text, id{keys} FROM {rows.text} {condition.text}"
            singly.append(Sql(text, (*rows.values, *condition.values)))
        else:
            text = (
                f"SELECT name, label, sum(scores) AS told, sum(score_total)::text AS total{keys}"
                f" FROM {piece.table.name} {condition.text} GROUP BY name, label{keys}"
            )
            counted.append(Sql(text, condition.values))
    return _listed(counted, f"name, label, told, total{keys}"), _listed(singly, f"name, word, value, id{keys}")


def _newest(question: Question, newest: int) -> Sql:
    bounds = lower_bound(question.window.start), lower_bound(question.window.end)
    return scored(question.project_id, *bounds, newest=newest)


def _lowest(question: Question, newest: int | None) -> Sql:
    """Read the lowest numbers under each name, and their calls, of what is rolled up."""
    selects = []
    for piece in plan(question) if newest is None else []:
        if piece.table is not SCORES:
            text, values = where(question, piece, Sql("label = ''"))
            rows = f"{piece.table.name} CROSS JOIN LATERAL unnest(lowest_values, lowest_calls) AS each (low, call)"
            selects.append(Sql(f"SELECT name, {lowest('low', 'call')} FROM {rows} {text} GROUP BY name", values))
    return _listed(selects, "name, lowest_values, lowest_calls")


def _listed(selects: Sequence[Sql], columns: str) -> Sql:
    if not selects:
        return Sql("SELECT NULL::text, NULL::text WHERE FALSE")
    found = union(selects)
    return Sql(f"SELECT NULL::text, json_build_array({columns})::text FROM ({found.text}) AS found", found.values)


def _most(project_id: int, windows: Sequence[Window]) -> Sql:
    """Read how many scores there are in the fullest of some windows, as far as it matters; 0 for no windows."""
    counts = [
        Sql(
            ", (SELECT count(*) FROM (SELECT FROM score WHERE project_id = %s AND call_id >= %s AND call_id < %s"
            " LIMIT %s) AS found)",
            (project_id, lower_bound(window.start), lower_bound(window.end), MOST + 1),
        )
        for window in windows
    ]
    values = tuple(value for count in counts for value in count.values)
    return Sql(f"SELECT NULL::text, greatest(0{''.join(count.text for count in counts)})::text", values)


def _by_name(counted: Rows, singly: Rows) -> dict[str, Told]:
    names: dict[str, Told] = {}
    for name, word, count, total, *_ in _rows(counted):
        names.setdefault(name, Told()).add(word, count, total)
    for name, word, value, call, *_ in _rows(singly):
        names.setdefault(name, Told()).add_one(word, value, call)
    return names


def _by_version(
    counted: Rows, singly: Rows, types: Mapping[Key, str], versions: Mapping[Key, str]
) -> dict[Versioned, Told]:
    found: dict[Versioned, Told] = {}
    for name, word, count, total, of_type, version in _rows(counted):
        key = Versioned(name, _word(types, of_type), _word(versions, version))
        found.setdefault(key, Told()).add(word, count, total)
    for name, word, value, call, of_type, version in _rows(singly):
        key = Versioned(name, _word(types, of_type), _word(versions, version))
        found.setdefault(key, Told()).add_one(word, value, call)
    return found


def _word(words: Mapping[Key, str], number: int) -> str:
    return words.get(number, str(number)) if number else ""


def _rows(rows: Rows) -> Iterator[list[Any]]:
    for _, row in rows:
        yield msgspec.json.decode(row or "")
