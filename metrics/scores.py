"""Scores: what people and programs thought of answers, by name and by prompt version.

Scores are not rolled up: the newest ones of a window are read and joined to their calls. Both are found by ranges of
ids, which are ranges of time. Values are floats on the wire, and so their means are floats.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

from django.db import connection

from ingest.models import Dimension as Name
from ingest.partitions import lower_bound
from metrics.clauses import COLUMNS
from metrics.selection import resolve
from metrics.slices import Slice
from metrics.windows import Window

LONGEST: Final = timedelta(days=30)
MOST: Final = 5_000
"""Scores read of one window: the newest, whatever the filters are, so that the work is bounded."""
LOWEST: Final = 3
MOST_NAMES: Final = 20

# Each score looks its call up by key: joined as sets, all calls of the window would be read for a few scores.
_TOLD: Final = """
(SELECT told.name, told.label, call.prompt_type_id, call.prompt_version_id, count(*), sum(told.value), {is_earlier},
        (array_agg(told.call_id ORDER BY told.value, told.call_id DESC))[:{lowest}],
        (array_agg(told.value ORDER BY told.value, told.call_id DESC))[:{lowest}]
   FROM (SELECT call_id, name, value, label FROM score
          WHERE project_id = %s AND call_id >= %s AND call_id < %s
          ORDER BY call_id DESC
          LIMIT %s) AS told
  CROSS JOIN LATERAL (
        SELECT prompt_type_id, prompt_version_id FROM request_log
         WHERE project_id = %s AND id = told.call_id{filters}
         LIMIT 1) AS call
  GROUP BY 1, 2, 3, 4)
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


def scores(window: Window, earlier: Window | None, slice_: Slice) -> Scores:
    """Return the scores of the calls of a window, and of one to compare with, from two queries."""
    passed = _last(window)
    filters = resolve(slice_)
    if filters is None:
        return Scores({}, {}, {}, passed, is_cut=False)
    parts = [_told(slice_.project_id, filters, passed, is_earlier=False)]
    if earlier is not None:
        parts.append(_told(slice_.project_id, filters, _last(earlier), is_earlier=True))
    with connection.cursor() as cursor:
        cursor.execute(
            " UNION ALL ".join(text for text, _ in parts), [value for _, values in parts for value in values]
        )
        rows = cursor.fetchall()
    return _gathered(slice_.project_id, rows, passed)


def _last(window: Window) -> Window:
    return Window(max(window.start, window.end - LONGEST), window.end)


def _told(
    project_id: int, filters: Mapping[str, int | str], window: Window, *, is_earlier: bool
) -> tuple[str, list[Any]]:
    """Return the statement over the newest scores of a window, and its values."""
    conditions = "".join(f" AND {COLUMNS[dimension]} = %s" for dimension in filters)
    text = _TOLD.format(filters=conditions, lowest=LOWEST, is_earlier="true" if is_earlier else "false")
    bounds = lower_bound(window.start), lower_bound(window.end)
    return text, [project_id, *bounds, MOST, project_id, *filters.values()]


def _gathered(project_id: int, rows: Iterable[tuple[Any, ...]], window: Window) -> Scores:
    names: dict[str, Told] = {}
    earlier: dict[str, Told] = {}
    versions: dict[tuple[str, int, int], Told] = {}
    for name, label, prompt_type, prompt_version, count, total, is_earlier, calls, values in rows:
        told = label, count, total, list(zip(values, calls, strict=True)) if label is None else []
        (earlier if is_earlier else names).setdefault(name, Told()).add(*told)
        if not is_earlier:
            versions.setdefault((name, prompt_type, prompt_version), Told()).add(*told)
    read = sum(told.count for told in names.values())
    largest = sorted(names, key=lambda name: (-names[name].count, name))[:MOST_NAMES]
    words = _names(project_id, versions)
    return Scores(
        names={name: names[name] for name in largest},
        earlier=earlier,
        versions={
            Versioned(name, words.get(prompt_type, ""), words.get(version, "")): told
            for (name, prompt_type, version), told in sorted(versions.items(), key=lambda one: -one[1].count)
            if name in largest
        },
        window=window,
        is_cut=read >= MOST,
    )


def _names(project_id: int, keys: Iterable[tuple[str, int, int]]) -> dict[int, str]:
    wanted = {number for _, *numbers in keys for number in numbers}
    return dict(Name.objects.filter(project_id=project_id, id__in=wanted - {0}).values_list("id", "name"))
