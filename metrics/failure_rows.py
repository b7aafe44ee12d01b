# ruff: noqa: S608 — tables and conditions come from declarations in this package, values are parameters
"""Failure rows: failed calls by failure group, selected from the coarsest tables that can answer.

The rollups tell environments and groups apart, and with the group its type and prompt. So filters by these cost the
same however many calls there were; under others the newest calls are read one by one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from ingest.partitions import kept_from, lower_bound
from ingest.vocabulary import Grain
from metrics.clauses import COLUMNS, union
from metrics.failure_sql import IS_FAILED
from metrics.plan import CALLS, Piece, Table, cut, day_horizon, hour_horizon
from metrics.steps import Sql
from metrics.windows import FOREVER, SPANS, Window

MOST_CALLS: Final = 5_000
"""Failures read one by one of a window, the newest."""

# What of a group calls can be filtered by, and its column.
_OF_GROUP: Final = {"error": "error", "prompt_type": "prompt_type_id", "prompt_version": "prompt_version_id"}


@dataclass(frozen=True, slots=True)
class FailureRows:
    """The failures of a project under some filters, resolved (`metrics.selection`)."""

    project_id: int
    filters: Mapping[str, int | str]
    now: datetime

    @property
    def are_all(self) -> bool:
        """Whether no failure of a window is left out: the rollups know these filters."""
        return self.filters.keys() <= {"environment", *_OF_GROUP}

    def of(self, window: Window, *, step: timedelta | None = None) -> Sql:
        """Select group_id, at, calls, user_id, first_at and last_call; that is text which sorts as ids do.

        Each row lies within one `step`. A row of a rollup is of several calls, and says nothing of users.
        """
        if self.are_all:
            return union(self._of_piece(piece) for piece in cut(window, self._ladder(step)))
        calls = self._of_calls(window)
        return Sql(f"{calls.text} ORDER BY id DESC LIMIT %s", (*calls.values, MOST_CALLS))

    def _ladder(self, step: timedelta | None) -> Sequence[Table]:
        now = self.now
        rollups = (
            ("failure_day", Grain.DAY, day_horizon(now)),
            ("failure_hour", Grain.HOUR, hour_horizon(now)),
            ("failure_minute", Grain.MINUTE, FOREVER),
        )
        tables = [Table(name, grain, SPANS[grain], kept_from(name, now), end) for name, grain, end in rollups]
        return [*(each for each in tables if step is None or (each.span and step % each.span == timedelta())), CALLS]

    def _of_piece(self, piece: Piece) -> Sql:
        if piece.table is CALLS:
            return self._of_calls(piece.window)
        conditions, values = self._of_rollup()
        return Sql(
            "SELECT group_id, bucket AS at, calls::bigint, NULL::text AS user_id,"
            ' first_at, last_call::text COLLATE "C" AS last_call'
            f" FROM {piece.table.name} WHERE project_id = %s AND bucket >= %s AND bucket < %s{conditions}",
            (self.project_id, piece.window.start, piece.window.end, *values),
        )

    def _of_rollup(self) -> Sql:
        of_group = {_OF_GROUP[name]: key for name, key in self.filters.items() if name in _OF_GROUP}
        text = ""
        values: tuple[int | str, ...] = ()
        if "environment" in self.filters:
            text, values = " AND environment_id = %s", (self.filters["environment"],)
        if of_group:
            conditions = " AND ".join(f"{column} = %s" for column in ("project_id", *of_group))
            text += f" AND group_id IN (SELECT id FROM failure_group WHERE {conditions})"
            values = (*values, self.project_id, *of_group.values())
        return Sql(text, values)

    def _of_calls(self, window: Window) -> Sql:
        conditions = "".join(f" AND {COLUMNS[dimension]} = %s" for dimension in self.filters)
        return Sql(
            "SELECT failure_group_id AS group_id, started_at AS at, 1::bigint AS calls, user_id,"
            ' started_at AS first_at, id::text COLLATE "C" AS last_call'
            f" FROM request_log WHERE project_id = %s AND id >= %s AND id < %s AND {IS_FAILED}"
            f" AND failure_group_id IS NOT NULL{conditions}",
            (self.project_id, *ids_of(window), *self.filters.values()),
        )


def ids_of(window: Window) -> tuple[UUID, UUID]:
    """Return the ids between which the calls of a window lie."""
    return lower_bound(window.start), lower_bound(window.end)
