"""Scores: what people and programs thought of answers, by name and by prompt version.

Scores are not rolled up: the newest ones of a window are read and joined to their calls. Both are found by ranges of
ids, which are ranges of time. Values are floats on the wire, and so their means are floats.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final, NamedTuple
from uuid import UUID

import msgspec

from ingest.partitions import lower_bound
from metrics.clauses import COLUMNS
from metrics.selection import Key, labels, resolve
from metrics.slices import Slice
from metrics.steps import Rows, Sql, Steps, beside
from metrics.windows import Window

LONGEST: Final = timedelta(days=30)
MOST: Final = 5_000
"""Scores read of one window: the newest, whatever the filters are, so that the work is bounded."""
LOWEST: Final = 3
MOST_NAMES: Final = 20

# Each score looks its call up by key: joined as sets, all calls of the window would be read for a few scores.
_TOLD: Final = """
SELECT NULL::text, json_build_array(
         told.name, told.label, call.prompt_type_id, call.prompt_version_id, count(*), sum(told.value),
         (array_agg(told.call_id ORDER BY told.value, told.call_id DESC))[:{lowest}],
         (array_agg(told.value ORDER BY told.value, told.call_id DESC))[:{lowest}])::text
  FROM (SELECT call_id, name, value, label FROM score
         WHERE project_id = %s AND call_id >= %s AND call_id < %s
         ORDER BY call_id DESC
         LIMIT %s) AS told
 CROSS JOIN LATERAL (
       SELECT prompt_type_id, prompt_version_id FROM request_log
        WHERE project_id = %s AND id = told.call_id{filters}
        LIMIT 1) AS call
 GROUP BY told.name, told.label, call.prompt_type_id, call.prompt_version_id
"""


@dataclass(slots=True)
class Told:
    """Scores of one name together: numbers by their sum, words by how often each was told."""

    numbers: int = 0
    total: float = 0.0
    words: Counter[str] = field(default_factory=Counter)
    lowest: list[tuple[float, UUID]] = field(default_factory=list)
    """The lowest numbers and their calls, at most `LOWEST`; of equal ones the newest."""

    @property
    def count(self) -> int:
        return self.numbers + self.words.total()

    @property
    def mean(self) -> float | None:
        """Return the mean of the numbers; None when all are words."""
        return self.total / self.numbers if self.numbers else None

    def add(self, label: str | None, count: int, total: float | None, lowest: Sequence[tuple[float, UUID]]) -> None:
        """Merge in scores of one word, or of numbers."""
        if label is not None:
            self.words[label] += count
            return
        self.numbers += count
        self.total += total or 0.0
        self.lowest = sorted([*self.lowest, *lowest], key=lambda low: (low[0], -low[1].int))[:LOWEST]


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
    window: Window
    """What was read: at most the last `LONGEST` of the window asked for."""
    is_cut: bool
    """There may be more scores than were read."""


def scores(window: Window, earlier: Window | None, slice_: Slice) -> Steps[Scores]:
    """Find the scores of the calls of a window, and of one to compare with."""
    project_id, passed = slice_.project_id, _last(window)
    filters, types, versions = yield from beside(
        resolve(slice_), labels(project_id, "prompt_type"), labels(project_id, "prompt_version")
    )
    if filters is None:
        return Scores({}, {}, {}, passed, is_cut=False)
    windows = [passed] if earlier is None else [passed, _last(earlier)]
    now, *before = yield [_told(project_id, filters, each) for each in windows]
    return _gathered(now, before[0] if before else (), passed, types, versions)


def _last(window: Window) -> Window:
    return Window(max(window.start, window.end - LONGEST), window.end)


def _told(project_id: int, filters: Mapping[str, int | str], window: Window) -> Sql:
    """Return the statement over the newest scores of a window."""
    conditions = "".join(f" AND {COLUMNS[dimension]} = %s" for dimension in filters)
    bounds = lower_bound(window.start), lower_bound(window.end)
    text = _TOLD.format(filters=conditions, lowest=LOWEST)
    return Sql(text, (project_id, *bounds, MOST, project_id, *filters.values()))


def _gathered(now: Rows, before: Rows, window: Window, types: Mapping[Key, str], words: Mapping[Key, str]) -> Scores:
    names: dict[str, Told] = {}
    earlier: dict[str, Told] = {}
    versions: dict[Versioned, Told] = {}
    for _, row in now:
        name, prompt_type, version, told = _row(row or "")
        key = Versioned(name, types[prompt_type] if prompt_type else "", words[version] if version else "")
        names.setdefault(name, Told()).add(*told)
        versions.setdefault(key, Told()).add(*told)
    for _, row in before:
        name, _, _, told = _row(row or "")
        earlier.setdefault(name, Told()).add(*told)
    largest = sorted(names, key=lambda name: (-names[name].count, name))[:MOST_NAMES]
    return Scores(
        names={name: names[name] for name in largest},
        earlier=earlier,
        versions={key: told for key, told in versions.items() if key.name in largest},
        window=window,
        is_cut=sum(told.count for told in names.values()) >= MOST,
    )


def _row(row: str) -> tuple[str, int, int, tuple[str | None, int, float | None, list[tuple[float, UUID]]]]:
    """Return name, prompt type, prompt version, and what `Told.add` takes."""
    name, label, prompt_type, version, count, total, calls, values = msgspec.json.decode(row)
    lowest = [(float(value), UUID(call)) for value, call in zip(values, calls, strict=True)] if label is None else []
    return name, prompt_type, version, (label, count, None if total is None else float(total), lowest)
