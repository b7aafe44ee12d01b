"""Failures: calls that failed, by the groups they were put into when they were stored (`ingest.failure_groups`).

Counts and times are exact, from the rollups; with filters that those do not know, they are of the newest `MOST_CALLS`
failures. The largest groups are told in full: over time, and how many users they met among their newest calls.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal, NamedTuple
from uuid import UUID

import msgspec

from ingest.partitions import time_of
from ingest.vocabulary import ErrorCategory, Grain
from metrics.failure_rows import MOST_CALLS, FailureRows, ids_of
from metrics.selection import Key, labels, resolve
from metrics.slices import Slice
from metrics.steps import Sql, Steps, beside
from metrics.windows import SPANS, Window, ceil, floor, seconds_of

BEFORE: Final = timedelta(days=7)
MOST_GROUPS: Final = 2_000
"""The largest groups of a range; others are left out."""
TOLD: Final = 12
"""The largest groups, which are told in full."""
MOST_USED: Final = 1_000
"""The newest calls of a group among which its users are counted."""

_ERRORS: Final = {category.value: category.name.lower() for category in ErrorCategory}

# From rows (group_id, at, calls, user_id, first_at, last_call) to the largest groups.
_LARGEST: Final = """
SELECT group_id::text, json_build_array(group_id, error, template, prompt_type_id, prompt_version_id, calls, users,
                                        first_at, last_call)::text
  FROM (SELECT group_id, sum(calls)::bigint AS calls, {users} AS users,
               min(first_at) AS first_at, max(last_call) AS last_call
          FROM ({rows}) AS row
         GROUP BY group_id
         ORDER BY calls DESC, last_call DESC
         LIMIT %s) AS counted
  JOIN failure_group ON failure_group.id = group_id
"""
_FIRST: Final = """
SELECT group_id::text, to_json(min(first_at))::text FROM ({rows}) AS row GROUP BY group_id
"""
_LATEST: Final = """
SELECT last_call, error::text
  FROM ({rows}) AS row JOIN failure_group ON failure_group.id = group_id
 ORDER BY last_call DESC
 LIMIT 1
"""
_OVER_TIME: Final = """
SELECT group_id::text, json_object_agg(start, calls)::text
  FROM (SELECT group_id, extract(epoch FROM date_bin(%s, at, 'epoch'))::bigint AS start, sum(calls) AS calls
          FROM ({rows}) AS row
         WHERE group_id = ANY(%s)
         GROUP BY group_id, start) AS cell
 GROUP BY group_id
"""
_USERS: Final = """
SELECT shown.group_id::text, concat_ws(',', used.users, used.calls)
  FROM unnest(%s::int[]) AS shown (group_id)
 CROSS JOIN LATERAL (
       SELECT count(DISTINCT user_id) FILTER (WHERE {environment}) AS users, count(*) AS calls
         FROM (SELECT user_id, environment_id
                 FROM request_log
                WHERE project_id = %s AND failure_group_id = shown.group_id AND id >= %s AND id < %s
                ORDER BY id DESC
                LIMIT %s) AS newest) AS used
"""


@dataclass(frozen=True, slots=True)
class Group:
    """Failures that look alike, in the words people use; empty strings where the calls did not say."""

    number: int
    """By which the log finds them."""
    error: str
    template: str
    prompt_type: str
    prompt_version: str
    state: Literal["new", "ongoing", "quiet"]
    """New: not among the failures before the range. Quiet: none in the last quarter of what has passed of it."""
    count: int
    users: int | None
    """Different users of its newest `MOST_USED` calls; None beyond the `TOLD` largest groups."""
    has_more_users: bool
    """It has calls whose users are not counted: there may be more."""
    first: datetime
    """Those of the week before the range included."""
    last: datetime
    newest: UUID
    counts: tuple[int, ...]
    """In each bucket of the range; empty beyond the `TOLD` largest groups."""


@dataclass(frozen=True, slots=True)
class Failures:
    """The groups of a range, largest first."""

    groups: tuple[Group, ...]
    """At most `MOST_GROUPS`."""
    is_cut: bool
    """Filters needed the calls, and only the newest `MOST_CALLS` of them are in the groups."""
    latest_before: tuple[UUID, str] | None
    """When there are no groups: the last failure before the range, at most a week before: its id and its error."""


class _Found(NamedTuple):
    """One group as read."""

    number: int
    error: int
    template: str
    prompt_type: int
    prompt_version: int
    calls: int
    users: int
    """0 from the rollups, which do not know them."""
    first_at: datetime
    last_call: UUID


_decode: Final = msgspec.json.Decoder(_Found).decode
_decode_time: Final = msgspec.json.Decoder(datetime).decode
_decode_counts: Final = msgspec.json.Decoder(dict[int, int]).decode


class _Used(NamedTuple):
    """Different users of a group's newest calls, and how many calls those are."""

    users: int
    calls: int


def failures(window: Window, slice_: Slice, *, bucket: timedelta, now: datetime) -> Steps[Failures]:
    """Find the failures of a range in groups."""
    project_id, passed = slice_.project_id, window.until(now)
    filters, types, versions = yield from beside(
        resolve(slice_), labels(project_id, "prompt_type"), labels(project_id, "prompt_version")
    )
    # The minute that is running is in the rollups as far as it is known.
    begun = window.until(ceil(now, SPANS[Grain.MINUTE]))
    if filters is None or begun.is_empty:
        return Failures((), False, None)
    rows = FailureRows(project_id, filters, now)
    # From a whole hour on: what is older than the minutes that are kept need not be read call by call.
    before = Window(floor(window.start - BEFORE, SPANS[Grain.HOUR]), window.start)
    found, first = yield from beside(_largest(rows, begun), _first(rows, before))
    if not found:
        return Failures((), False, (yield from _latest(rows, before)) if first else None)
    told = [group.number for group in found[:TOLD]]
    over_time, used = yield from beside(
        _over_time(rows, begun, bucket, told), _used(rows, begun, told) if rows.are_all else _used_of(found)
    )
    is_cut = not rows.are_all and sum(group.calls for group in found) >= MOST_CALLS
    known = _Known(types, versions, first, over_time, used, is_cut, passed.end - passed.duration / 4)
    seconds = [seconds_of(start) for start in window.buckets(bucket)]
    return Failures(tuple(known.group(group, seconds) for group in found), is_cut, None)


def _largest(rows: FailureRows, window: Window) -> Steps[Sequence[_Found]]:
    """Find the largest groups, in order."""
    of_range = rows.of(window)
    # Where nobody's user is known, looking for different ones would sort all rows for nothing.
    users = "0" if rows.are_all else "count(DISTINCT user_id)"
    (read,) = yield [Sql(_LARGEST.format(rows=of_range.text, users=users), (*of_range.values, MOST_GROUPS))]
    return sorted((_decode(told or "") for _, told in read), key=lambda one: (-one.calls, -one.last_call.int))


def _latest(rows: FailureRows, before: Window) -> Steps[tuple[UUID, str] | None]:
    """Find the last failure before the range, and its error."""
    earlier = rows.of(before)
    (read,) = yield [Sql(_LATEST.format(rows=earlier.text), earlier.values)]
    return next(((UUID(call), _ERRORS[int(error or 0)]) for call, error in read), None)


def _first(rows: FailureRows, before: Window) -> Steps[Mapping[int, datetime]]:
    """Find when each group that was there before the range began."""
    earlier = rows.of(before)
    (read,) = yield [Sql(_FIRST.format(rows=earlier.text), earlier.values)]
    return {int(number or 0): _decode_time(at or "") for number, at in read}


def _over_time(
    rows: FailureRows, window: Window, bucket: timedelta, groups: Sequence[int]
) -> Steps[Mapping[int, Mapping[int, int]]]:
    """Count the calls of groups by the second in which a bucket starts."""
    fine = rows.of(window, step=bucket)
    (read,) = yield [Sql(_OVER_TIME.format(rows=fine.text), (bucket, *fine.values, groups))]
    return {int(number or 0): _decode_counts(counts or "") for number, counts in read}


def _used(rows: FailureRows, window: Window, groups: Sequence[int]) -> Steps[Mapping[int, _Used]]:
    """Count the users of groups among their newest calls."""
    environment = rows.filters.get("environment")
    condition, values = ("TRUE", ()) if environment is None else ("environment_id = %s", (environment,))
    asked = _USERS.format(environment=condition)
    (read,) = yield [Sql(asked, (groups, *values, rows.project_id, *ids_of(window), MOST_USED))]
    return {int(number or 0): _Used(*map(int, (told or "").split(","))) for number, told in read}


def _used_of(found: Sequence[_Found]) -> Steps[Mapping[int, _Used]]:
    """Where groups were made of single calls, their users are counted already."""
    yield from ()
    return {group.number: _Used(group.users, 0) for group in found}


@dataclass(frozen=True, slots=True)
class _Known:
    """What all groups of a range are told with."""

    types: Mapping[Key, str]
    versions: Mapping[Key, str]
    first: Mapping[int, datetime]
    over_time: Mapping[int, Mapping[int, int]]
    used: Mapping[int, _Used]
    is_cut: bool
    loud_from: datetime

    def group(self, found: _Found, seconds: Sequence[int]) -> Group:
        first, last = self.first.get(found.number), time_of(found.last_call)
        used, counts = self.used.get(found.number), self.over_time.get(found.number)
        return Group(
            number=found.number,
            error=_ERRORS[found.error],
            template=found.template,
            prompt_type=_name(self.types, found.prompt_type),
            prompt_version=_name(self.versions, found.prompt_version),
            state="new" if first is None else "ongoing" if last >= self.loud_from else "quiet",
            count=found.calls,
            # The newest calls may not be rolled up yet: of those that are counted there are no more users than calls.
            users=None if used is None else min(used.users, found.calls),
            has_more_users=self.is_cut or used is None or used.calls == MOST_USED,
            first=found.first_at if first is None else first,
            last=last,
            newest=found.last_call,
            counts=() if counts is None else tuple(counts.get(second, 0) for second in seconds),
        )


def _name(names: Mapping[Key, str], number: int) -> str:
    return names.get(number, "") if number else ""
