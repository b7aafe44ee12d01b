"""What a usage or cost report is asked to cover, read from the address."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from llmclient.testing._ledger import Line
from llmclient.testing._requests import Request

WORKSPACE: Final = "wrkspc_fake"
WIDTHS: Final = {"1m": timedelta(minutes=1), "1h": timedelta(hours=1), "1d": timedelta(days=1)}
LONGEST: Final = timedelta(days=31)
MOST_DIMENSIONS: Final = 5
COST_KINDS: Final = ("cost_type", "token_type")
DIMENSIONS: Final[Mapping[str, Callable[[Line], str | None]]] = {
    "model": lambda line: line.model,
    "api_key_id": lambda line: line.api_key_id,
    "service_tier": lambda line: line.service_tier,
    "speed": lambda line: line.speed,
    "inference_geo": lambda line: line.inference_geo,
    "context_window": lambda line: line.context_window,
    "workspace_id": lambda _: WORKSPACE,
    "actor": lambda line: line.api_key_id,
    "actor_type": lambda _: "api_actor",
}
FILTERS: Final = {f"{name}s[]": name for name in DIMENSIONS if name != "actor"}
# Known to the API and null in every row, as they are for an organisation that only calls models.
NULL: Final = (
    "agent_id",
    "claude_tag_category",
    "claude_tag_user_id",
    "deployment_id",
    "environment_id",
    "organization_id",
    "product",
    "rbac_group_id",
    "session_id",
    "slack_channel_id",
    "user_profile_id",
)


class ReportError(ValueError):
    """A report that cannot be made; the message names the parameter."""


@dataclass(frozen=True, slots=True)
class Asked:
    """The range [start, end) in UTC, the width of its buckets, what to break out and what to leave out."""

    start: datetime
    end: datetime
    width: str | None
    group_by: tuple[str, ...]
    filters: Mapping[str, frozenset[str]]

    @classmethod
    def read(cls, request: Request, now: datetime) -> "Asked":
        """Raises ReportError."""
        start, end = _instant(request, "starting_at"), _instant(request, "ending_at")
        width = request.asked("time_bucket_width")
        if start is None:
            raise ReportError("starting_at: Field required")
        if width is not None and width not in WIDTHS:
            raise ReportError(f"time_bucket_width: {width!r} is not one of {', '.join(WIDTHS)}")
        if width is not None and end is None:
            raise ReportError("ending_at: Field required with time_bucket_width")
        end = end or min(now, start + LONGEST)
        if width is None:  # without buckets a report covers whole hours
            start, end = (at.replace(minute=0, second=0, microsecond=0) for at in (start, end))
        if end - start > (WIDTHS["1d"] if width == "1m" else LONGEST):
            raise ReportError("ending_at: the range is too long")
        wanted = {name: frozenset(request.query[each]) for each, name in FILTERS.items() if each in request.query}
        return cls(start, end, width, _dimensions(request), wanted)

    def covers(self, line: Line) -> bool:
        """Whether a row of the ledger passes the filters."""
        return all((DIMENSIONS[name](line) or "not_available") in wanted for name, wanted in self.filters.items())

    def bucket(self, minute: datetime) -> tuple[datetime, datetime]:
        """Start and end of the bucket an instant falls into."""
        if self.width is None:
            return self.start, self.end
        width, midnight = WIDTHS[self.width], minute.replace(hour=0, minute=0, second=0, microsecond=0)
        begin = midnight + (minute - midnight) // width * width
        return begin, begin + width


def _dimensions(request: Request) -> tuple[str, ...]:
    named = tuple(request.query.get("group_by[]", ()))
    for name in named:
        if name not in (*DIMENSIONS, *NULL, *COST_KINDS):
            raise ReportError(f"group_by[]: {name!r} is not a dimension")
    if sum(name not in COST_KINDS for name in named) > MOST_DIMENSIONS:
        raise ReportError(f"group_by[]: more than {MOST_DIMENSIONS} dimensions")
    return named


def _instant(request: Request, name: str) -> datetime | None:
    text = request.asked(name)
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise ReportError(f"{name}: {text!r} is not an instant") from None
    if at.tzinfo is None:
        raise ReportError(f"{name}: {text!r} has no time zone")
    return at.astimezone(UTC)
