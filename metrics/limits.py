"""Limits: how far the provider's limits are used, per group of models, from what answers said and what was counted.

Two measures stand side by side, because each misses what the other sees: what remained by the headers of the answers
(it knows the calls of everybody in the organisation, but only while there are answers), and what the calls recorded
here used in a minute, divided by the limit. The larger one counts.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import starmap
from typing import Final, Literal, NamedTuple

from ingest.dimensions import ABSENT
from ingest.model_groups import group_of
from ingest.partitions import kept_from
from metrics import exhaustion
from metrics.limit_rows import (
    NOTHING,
    REFUSED,
    Bin,
    Headers,
    Pool,
    Refusals,
    Rows,
    Share,
    provider_limits,
    spend_limit_at,
)
from metrics.limit_sql import LIMITERS
from metrics.pools import pools
from metrics.selection import labels, resolve
from metrics.slices import Slice
from metrics.steps import Steps, alone, beside
from metrics.watermark import complete_to
from metrics.windows import Window, ceil

MINUTE: Final = timedelta(minutes=1)
NOW: Final = 5
"""Minutes that "now" looks back: a lone minute jumps about, and the newest is still filling."""
TREND: Final = 30
"""Finished minutes that the time to exhaustion rests on."""
PEAK: Final = 60
"""Minutes that the peak looks back."""


class Told(NamedTuple):
    """A limit per minute, who said so, and when."""

    limit: int
    at: datetime
    by: Literal["headers", "api"]
    remaining: int | None = None
    """Only headers say it."""


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit of one group of models, and its use up to `Headroom.at`."""

    group: str
    limiter: str
    told: Told
    """The newest word on it."""
    other: Told | None
    """The other source's, where there is one."""
    minutes: tuple[Share, ...]
    """The last `PEAK` minutes, the newest one last."""
    series: tuple[Share, ...]
    """The range, a bucket each: the fullest minute of it."""
    is_open: bool
    """The newest minute is still filling."""

    @property
    def now(self) -> Share:
        return _largest(self.minutes[-NOW:])

    @property
    def peak(self) -> Share:
        return _largest(self.minutes)

    @property
    def disagreement(self) -> Told | None:
        """Return what the other source says when it is another number."""
        return self.other if self.other is not None and self.other.limit != self.told.limit else None

    def minutes_left(self, factor: Fraction = Fraction(1)) -> float | None:
        """Return the minutes until it is full when all traffic is `factor` times what it was; None: not in sight."""
        finished = (self.minutes[:-1] if self.is_open else self.minutes)[-TREND:]
        points = [
            (float(place), float(share.larger * factor))
            for place, share in enumerate(finished)
            if share.larger is not None
        ]
        return exhaustion.minutes_left(points, at=float(len(finished)))


@dataclass(frozen=True, slots=True)
class Headroom:
    """All limits that are known, and what was turned away."""

    at: datetime
    """Now, or the end of a range that is over."""
    complete_to: datetime
    limits: tuple[Limit, ...]
    refusals: Mapping[str, Refusals]
    """In the range, by group; groups without any call in it are not here."""
    just_now: Refusals
    """In the last `NOW` minutes, of all groups."""
    starts: tuple[datetime, ...]
    step: timedelta
    """Of the buckets of the range."""
    refused: Mapping[str, tuple[int | None, ...]]
    """By kind, a bucket of the range each; None where nothing is kept by the minute, or has not happened yet."""
    kept_from: datetime
    spend_limit_at: datetime | None
    """When a call last ended at the provider's spend limit this month; None: none did."""

    @property
    def in_range(self) -> Refusals:
        return _sum(self.refusals.values())


class Beforehand(NamedTuple):
    """What is known before minutes are read."""

    environment_id: int | None
    """0: all together; None: no call has come from it."""
    models: Mapping[int, str]
    complete_to: datetime
    by_api: Mapping[tuple[str, str], tuple[int, datetime]]
    """What the Rate Limits API said of a group and limiter, and when."""
    spend_limit_at: datetime | None


def headroom(
    project_id: int,
    window: Window,
    bucket: timedelta,
    *,
    environment: str = "",
    model: str = "",
    beforehand: Beforehand | None = None,
    now: datetime,
) -> Headroom:
    """Return the limits as they stand at the end of the window, or now when it is still running.

    `model` keeps the group that this model belongs to; `beforehand` is what was read of `look_up` with other questions.
    A limit is listed when a call drew on its group in the range or in the last hour, and somebody has said what it is.
    """
    at, kept = min(now, window.end), kept_from("limit_minute", now)
    first = beforehand or alone(look_up(project_id, environment, at, now=now))
    complete = first.complete_to
    drawn_on = [] if first.environment_id is None else _pools(first.models, model)
    rows = Rows(project_id, drawn_on, first.environment_id or 0)
    told = _told(drawn_on, rows.newest(Window(min(kept, at), at)), first.by_api)
    limits = {key: newest.limit for key, (newest, _) in told.items()}
    hour = Window(ceil(at, MINUTE) - PEAK * MINUTE, ceil(at, MINUTE))
    range_ = Window(min(max(window.start, kept), at), at)
    of_hour, of_range = rows.bins(hour, range_, bucket, limits)
    known = Window(min(kept, at), min(at, max(complete, kept)))
    starts = tuple(window.buckets(bucket))
    seen = {place for place, _ in (*of_hour, *of_range)}
    return Headroom(
        at,
        complete,
        tuple(
            Limit(
                drawn_on[place].group,
                limiter,
                newest,
                other,
                minutes=_shares(of_hour, (place, limiter), hour.buckets(MINUTE), MINUTE, known),
                series=_shares(of_range, (place, limiter), starts, bucket, known),
                is_open=hour.end > at,
            )
            for (place, limiter), (newest, other) in told.items()
            if place in seen
        ),
        _by_group(drawn_on, of_range),
        _sum(one.refusals for (_, start), one in of_hour.items() if start >= hour.end - NOW * MINUTE),
        starts,
        bucket,
        _refused(of_range, starts, bucket, Window(kept, max(at, kept))),
        kept,
        first.spend_limit_at,
    )


def look_up(project_id: int, environment: str, at: datetime, *, now: datetime) -> Steps[Beforehand]:
    """Find what `headroom` needs and what can be read together with other questions."""
    filters, models, complete, by_api = yield from beside(
        resolve(Slice(project_id, environment)),
        labels(project_id, "model"),
        complete_to(project_id, now=now),
        provider_limits(),
    )
    if filters is None:
        return Beforehand(None, {}, complete, {}, None)
    environment_id = int(filters.get("environment", 0))
    seen = yield from spend_limit_at(project_id, environment_id, month_of(at).start)
    named = {key: name for key, name in models.items() if isinstance(key, int) and key != ABSENT}
    return Beforehand(environment_id, named, complete, by_api, seen)


def month_of(at: datetime) -> Window:
    """Return the month as the provider counts it: in UTC."""
    start = at.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return Window(start, start.replace(year=start.year + start.month // 12, month=start.month % 12 + 1))


def _pools(models: Mapping[int, str], model: str) -> list[Pool]:
    """Return all pools the project's models can draw on, two for each group: fast calls have one of their own."""
    return [
        Pool(f"{group} fast" if is_fast else group, of_group[0], is_fast)
        for group, of_group in sorted(pools(models).items())
        if model == "" or group == group_of(model)
        for is_fast in (False, True)
    ]


def _told(
    drawn_on: Sequence[Pool],
    headers: Mapping[tuple[int, str], Headers],
    by_api: Mapping[tuple[str, str], tuple[int, datetime]],
) -> dict[tuple[int, str], tuple[Told, Told | None]]:
    """Return the newest word on each limit and the other one, in the order of the pools."""
    found = {}
    for place, pool in enumerate(drawn_on):
        for limiter in LIMITERS:
            said: list[Told] = []
            if (told := headers.get((place, limiter))) is not None:
                said.append(Told(told.limit, told.at, "headers", told.remaining))
            if (api := by_api.get((pool.group, limiter))) is not None:
                said.append(Told(*api, "api"))
            said.sort(key=lambda one: one.at, reverse=True)
            if said:
                found[place, limiter] = said[0], said[1] if len(said) > 1 else None
    return found


def _shares(
    bins: Mapping[tuple[int, datetime], Bin],
    key: tuple[int, str],
    starts: Iterable[datetime],
    step: timedelta,
    known: Window,
) -> tuple[Share, ...]:
    """Return one share per bucket. Where no call was, nothing was used; where calls may be missing, it is unknown."""
    place, limiter = key

    def share(start: datetime) -> Share:
        found = bins.get((place, start))
        if found is not None:
            return found.shares[limiter]
        return Share(counted=Fraction(0)) if known.start < start + step and start < known.end else Share()

    return tuple(map(share, starts))


def _refused(
    bins: Mapping[tuple[int, datetime], Bin], starts: Sequence[datetime], step: timedelta, known: Window
) -> dict[str, tuple[int | None, ...]]:
    sums: dict[datetime, Refusals] = defaultdict(lambda: NOTHING)
    for (_, start), one in bins.items():
        sums[start] += one.refusals
    return {
        kind: tuple(
            sums[start].counts[kind] if known.start < start + step and start < known.end else None for start in starts
        )
        for kind in REFUSED
    }


def _by_group(pools: Sequence[Pool], bins: Mapping[tuple[int, datetime], Bin]) -> dict[str, Refusals]:
    found: dict[str, Refusals] = {}
    for (place, _), one in sorted(bins.items(), key=lambda item: item[0]):
        group = pools[place].group
        found[group] = found.get(group, NOTHING) + one.refusals
    return found


def _sum(refusals: Iterable[Refusals]) -> Refusals:
    return sum(refusals, start=NOTHING)


def _largest(shares: Iterable[Share]) -> Share:
    return Share(*starmap(_known_most, zip(*shares, strict=True)))


def _known_most(*values: Fraction | None) -> Fraction | None:
    return max((value for value in values if value is not None), default=None)
