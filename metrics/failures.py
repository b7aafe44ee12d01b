"""Failures: single calls that failed, grouped by what they have in common.

The newest of the range are read, and the newest of the week before it to tell what is new. Each read is bounded and
goes through the partial index on failures.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal, NamedTuple
from uuid import UUID

import msgspec

from ingest.partitions import kept_from, lower_bound, time_of
from ingest.vocabulary import FAILED, ErrorCategory
from metrics.clauses import COLUMNS
from metrics.message_template import template_of
from metrics.selection import Key, labels, resolve
from metrics.slices import Slice
from metrics.steps import Rows, Sql, Steps, beside
from metrics.windows import Window

# The words for prompt types and for prompt versions, by number.
Names = tuple[Mapping[Key, str], Mapping[Key, str]]

MOST: Final = 5_000
BEFORE: Final = timedelta(days=7)

_NEWEST: Final = """
SELECT id::text, json_build_array(error, error_message, prompt_type_id, prompt_version_id, user_id)::text
  FROM request_log
 WHERE project_id = %s AND id >= %s AND id < %s AND outcome IN {outcomes}{filters}
 ORDER BY id DESC
 LIMIT %s
"""


class Failure(NamedTuple):
    """One call that failed; its time is in its id."""

    id: UUID
    error: int
    message: str | None
    prompt_type: int
    prompt_version: int
    user_id: str | None

    @property
    def fingerprint(self) -> "Fingerprint":
        return Fingerprint(self.error, template_of(self.message or ""), self.prompt_type, self.prompt_version)


class Fingerprint(NamedTuple):
    """What failures have in common that probably have one cause; numbers of `ingest.vocabulary` and `dim`."""

    error: int
    template: str
    prompt_type: int
    prompt_version: int


@dataclass(frozen=True, slots=True)
class Group:
    """Failures with one fingerprint, in the words people use; empty strings where the calls did not say."""

    error: str
    template: str
    prompt_type: str
    prompt_version: str
    state: Literal["new", "ongoing", "quiet"]
    """New: not among the failures before the range. Quiet: none in the last quarter of what has passed of it."""
    count: int
    users: int
    first: datetime
    """Of the failures read, those before the range included."""
    last: datetime
    newest: UUID
    counts: tuple[int, ...]
    """In each bucket of the range."""


@dataclass(frozen=True, slots=True)
class Failures:
    """The groups of a range, largest first, and what was read for them."""

    groups: tuple[Group, ...]
    read: int
    """The failures that are in the groups: all of the range, or the newest `MOST`."""
    is_cut: bool
    latest_before: tuple[UUID, str] | None
    """The last failure before the range, at most a week before: its id and its error."""


def failures(window: Window, slice_: Slice, *, bucket: timedelta, now: datetime) -> Steps[Failures]:
    """Find the failures of a range in groups."""
    project_id, passed = slice_.project_id, window.until(now)
    filters, types, versions = yield from beside(
        resolve(slice_), labels(project_id, "prompt_type"), labels(project_id, "prompt_version")
    )
    if filters is None:
        return Failures((), 0, False, None)
    kept = kept_from("request_log", now)
    start = max(passed.start, kept)
    before = Window(min(max(start - BEFORE, kept), start), start)
    read, read_before = yield [
        newest_first(project_id, filters, Window(start, max(passed.end, start)), MOST + 1),
        newest_first(project_id, filters, before, MOST),
    ]
    within, earlier = _in_order(read), _in_order(read_before)
    return Failures(
        _groups(within[:MOST], earlier, (types, versions), passed, window.buckets(bucket)),
        min(len(within), MOST),
        is_cut=len(within) > MOST,
        latest_before=(earlier[0].id, ErrorCategory(earlier[0].error).name.lower()) if earlier else None,
    )


def newest_first(project_id: int, filters: Mapping[str, int | str], window: Window, most: int) -> Sql:
    """Return the SQL of the newest failures of a window."""
    outcomes = f"({', '.join(str(outcome.value) for outcome in FAILED)})"
    conditions = "".join(f" AND {COLUMNS[dimension]} = %s" for dimension in filters)
    bounds = lower_bound(window.start), lower_bound(window.end)
    text = _NEWEST.format(outcomes=outcomes, filters=conditions)
    return Sql(text, (project_id, *bounds, *filters.values(), most))


def _in_order(rows: Rows) -> list[Failure]:
    """Return what was read, newest first."""
    found = [Failure(UUID(key), *msgspec.json.decode(told or "")) for key, told in rows]
    return sorted(found, key=lambda failure: failure.id, reverse=True)


def _groups(
    within: Sequence[Failure], before: Sequence[Failure], names: Names, passed: Window, buckets: Sequence[datetime]
) -> tuple[Group, ...]:
    members: dict[Fingerprint, list[Failure]] = defaultdict(list)
    for failure in within:
        members[failure.fingerprint].append(failure)
    # Newest first, so the oldest is what stays.
    first_before = {failure.fingerprint: failure.id for failure in before}
    loud_from = passed.end - passed.duration / 4
    found = [_group(key, listed, first_before.get(key), names, loud_from, buckets) for key, listed in members.items()]
    return tuple(sorted(found, key=lambda group: (-group.count, -group.newest.int)))


def _group(
    key: Fingerprint,
    listed: Sequence[Failure],
    first_before: UUID | None,
    names: Names,
    loud_from: datetime,
    buckets: Sequence[datetime],
) -> Group:
    newest = listed[0].id
    last = time_of(newest)
    counts = [0] * len(buckets)
    for failure in listed:
        counts[bisect_right(buckets, time_of(failure.id)) - 1] += 1
    return Group(
        error=ErrorCategory(key.error).name.lower(),
        template=key.template,
        prompt_type=_name(names[0], key.prompt_type),
        prompt_version=_name(names[1], key.prompt_version),
        state="new" if first_before is None else "ongoing" if last >= loud_from else "quiet",
        count=len(listed),
        users=len({failure.user_id for failure in listed} - {None}),
        first=time_of(listed[-1].id if first_before is None else first_before),
        last=last,
        newest=newest,
        counts=tuple(counts),
    )


def _name(names: Mapping[Key, str], number: int) -> str:
    return names.get(number, "") if number else ""
