"""The search over stored calls, and the only reader of `request_log` for lists.

Every query is bounded by a range of ids, which is a range of time, so that only the days asked for are touched. Pages
are cut by key, never by offset: the next page costs what the first did.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Final
from uuid import UUID

from django.db.models import Q, QuerySet

from dashboard.query import DashboardQuery
from dashboard.wasted import WASTED
from ingest import dimensions
from ingest.models import FailureGroup, RequestLog
from ingest.partitions import kept_from, lower_bound
from ingest.vocabulary import FAILED, DimensionKind, ErrorCategory, Outcome
from metrics.slices import NONE
from projects.models import Project

PAGE: Final = 50
_COLUMNS: Final = (
    "id",
    "started_at",
    "outcome",
    "error",
    "feature_id",
    "prompt_type_id",
    "model_id",
    "requested_model_id",
    "environment_id",
    "duration_ms",
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_5m_tokens",
    "cache_write_1h_tokens",
    "cost_nanousd",
    "attempts",
    "user_id",
)
# Field of the query → kind of name and column.
_NAMED: Final = (
    ("environment", DimensionKind.ENVIRONMENT, "environment_id"),
    ("feature", DimensionKind.FEATURE, "feature_id"),
    ("prompt_type", DimensionKind.PROMPT_TYPE, "prompt_type_id"),
    ("model", DimensionKind.MODEL, "model_id"),
    ("version", DimensionKind.PROMPT_VERSION, "prompt_version_id"),
    ("key", DimensionKind.KEY, "key_id"),
    ("release", DimensionKind.RELEASE, "release_id"),
)


class Names:
    """The words behind the numbers of a project's calls."""

    def __init__(self, project_id: int) -> None:
        self.project_id = project_id
        self._read: dict[DimensionKind, Mapping[int, str]] = {}

    def of(self, kind: DimensionKind, number: int) -> str:
        if kind not in self._read:
            self._read[kind] = dimensions.names(self.project_id, kind)
        return self._read[kind].get(number, "")


@dataclass(frozen=True)
class Call:
    """A stored call as pages show it."""

    row: RequestLog
    names: Names

    @property
    def id(self) -> UUID:
        return self.row.pk

    @property
    def at(self) -> datetime:
        return self.row.started_at

    @property
    def status(self) -> str:
        return Outcome(self.row.outcome).name.lower()

    @property
    def is_failed(self) -> bool:
        return self.row.outcome in FAILED

    @property
    def error(self) -> str:
        category = ErrorCategory(self.row.error)
        return "" if category is ErrorCategory.NONE else category.name.lower()

    @property
    def feature(self) -> str:
        return self.names.of(DimensionKind.FEATURE, self.row.feature_id)

    @property
    def prompt_type(self) -> str:
        return self.names.of(DimensionKind.PROMPT_TYPE, self.row.prompt_type_id)

    @property
    def model(self) -> str:
        """Return the model that answered, or the one that was asked for when none did."""
        return self.names.of(DimensionKind.MODEL, self.row.model_id or self.row.requested_model_id)

    @property
    def requested_model(self) -> str:
        return self.names.of(DimensionKind.MODEL, self.row.requested_model_id)

    @property
    def environment(self) -> str:
        return self.names.of(DimensionKind.ENVIRONMENT, self.row.environment_id)

    @property
    def app(self) -> str:
        return self._from(DimensionKind.APP, self.row.app_id, "app")

    @property
    def release(self) -> str:
        return self._from(DimensionKind.RELEASE, self.row.release_id, "release")

    @property
    def sdk(self) -> str:
        return self._from(DimensionKind.SDK, self.row.sdk_id, "sdk")

    @property
    def key(self) -> str:
        """Return the alias of the API key that was used last."""
        return self._from(DimensionKind.KEY, self.row.key_id, "key_alias")

    @property
    def total_input(self) -> int:
        row = self.row
        return row.input_tokens + row.cache_read_tokens + row.cache_write_5m_tokens + row.cache_write_1h_tokens

    def _from(self, kind: DimensionKind, number: int | None, key: str) -> str:
        """Return where the call came from: a name, or the word in its detail when it was stored before names were."""
        return str((self.row.detail or {}).get(key, "")) if number is None else self.names.of(kind, number)


@dataclass(frozen=True)
class Found:
    """One page of calls, newest first."""

    calls: list[Call]
    start: datetime
    end: datetime
    older: UUID | None
    """Where the next page begins; None at the end of the range."""
    before: UUID | None

    @property
    def is_first(self) -> bool:
        return self.before is None

    @cached_property
    def failed(self) -> int:
        return sum(call.is_failed for call in self.calls)


def search(query: DashboardQuery, *, size: int = PAGE) -> Found:
    """Return the newest calls that match, before `query.before` when it is set."""
    assert query.project is not None
    window = query.exact
    # What is no longer kept cannot be found, and the page says from where on it looked.
    start = max(window.start, kept_from("request_log", query.now))
    end = max(window.end, start)
    rows = _matching(query, start, end)
    if rows is None:
        return Found([], start, end, None, query.before)
    found = list(rows.only(*_COLUMNS).order_by("-id")[: size + 1])
    names = Names(query.project.pk)
    older = found[size - 1].pk if len(found) > size else None
    return Found([Call(row, names) for row in found[:size]], start, end, older, query.before)


def find(project: Project, call_id: UUID) -> Call | None:
    """Return one call with all its columns."""
    row = RequestLog.objects.filter(project_id=project.pk, id=call_id).first()
    return None if row is None else Call(row, Names(project.pk))


def words_of_failure_group(project: Project, number: int) -> str | None:
    """Return what people call a failure group; None when the project has none of this number."""
    group = FailureGroup.objects.filter(project=project, pk=number).first()
    if group is None:
        return None
    category = ErrorCategory(group.error).name.lower().replace("_", " ")
    return f"{category}: {group.template}" if group.template else category


def newest(project: Project, now: datetime) -> datetime | None:
    """Return when the newest call began; None when nothing is stored. Walks the key backwards and stops."""
    bounds = {"id__gte": lower_bound(kept_from("request_log", now))}
    return (
        RequestLog.objects.filter(project_id=project.pk, **bounds)
        .order_by("-id")
        .values_list("started_at", flat=True)
        .first()
    )


def _matching(query: DashboardQuery, start: datetime, end: datetime) -> QuerySet[RequestLog] | None:
    """Return the calls in force of all filters; None when a name has never been used, so nothing can match."""
    assert query.project is not None
    upper = lower_bound(end) if query.before is None else min(query.before, lower_bound(end))
    rows = RequestLog.objects.filter(project_id=query.project.pk, id__gte=lower_bound(start), id__lt=upper)
    for name, kind, column in _NAMED:
        value = getattr(query, name)
        if value == "":
            continue
        number = dimensions.ABSENT if value == NONE else dimensions.find(query.project.pk, kind, value)
        if number is None:
            return None
        # Where the column came later, NULL is a call that did not say (metrics.facets).
        unsaid = Q(**{f"{column}__isnull": True}) if number == dimensions.ABSENT else Q()
        rows = rows.filter(Q(**{column: number}) | unsaid)
    if query.user != "":
        rows = rows.filter(user_id=query.user)
    if query.session != "":
        rows = rows.filter(session_id=query.session)
    if query.err != "":
        rows = rows.filter(error=ErrorCategory[query.err.upper()])
    if query.failure != "":
        rows = rows.filter(failure_group_id=int(query.failure))
    if query.waste != "":
        rows = rows.filter(WASTED[query.waste])
    if query.status != "":
        rows = rows.filter(outcome__in=_outcomes(query.status))
    return rows


def _outcomes(status: str) -> Iterable[int]:
    return [outcome.value for outcome in FAILED] if status == "failed" else [Outcome[status.upper()].value]
