"""Panels of the Errors page: what fails over time, what helps, where it fails, and which calls fail alike."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final, Literal

from django.urls import reverse

from dashboard import charts, theme
from dashboard.charts import Line
from dashboard.drawing import Drawn, spoken, timetable
from dashboard.errors import numbers
from dashboard.errors.remedies import remedy
from dashboard.grids import Cell, Grid, Head
from dashboard.look import Look, Need
from dashboard.sparkline import sparkline
from dashboard.tables import Column, Table
from ingest.partitions import kept_from
from metrics import units
from metrics.failure_rows import MOST_CALLS
from metrics.failures import MOST_GROUPS, TOLD, Group
from metrics.slices import OTHER
from metrics.units import Unit

NO_FAILURE: Final = "No call failed in this range."
SHOWN_GROUPS: Final = TOLD
SHOWN_FEATURES: Final = 6
SHOWN_TYPES: Final = 8
HEATS: Final = 5


@dataclass(frozen=True)
class TypesOverTime:
    """Failed calls by type, stacked."""

    key: str = "errors"
    title: str = "Errors by type"
    width: str = "half"
    needs: Sequence[Need] = ()

    def draw(self, look: Look) -> Drawn:
        parts = numbers.layers(look)
        colours = theme.slots([one.key for one in parts])
        lines = [Line(spoken(one.key), one, colours[one.key], area=True) for one in parts]
        table = timetable(parts, [line.name for line in lines], Unit.COUNT)
        if not parts:
            return Drawn(NO_FAILURE, table, is_good_news=True)
        counted = numbers.types(look)
        total, first = sum(count for _, count in counted), counted[0]
        text = f"{units.count(total)} in total"
        if len(counted) == 1:
            text = f"{text}, all of it {spoken(first[0].key)}."
        else:
            share = units.ratio(Decimal(first[1]) / total)
            text = f"{text} of {len(counted)} types; {spoken(first[0].key)} has the largest share, {share}."
        return Drawn(text, table, charts.layers(lines, Unit.COUNT, open_from=look.open_from), lines)


_REMEDY_HEADS: Final = (
    *(Head("Type", "name"), Head("Calls"), Head("Share"), Head("Of all", "bar")),
    *(Head("Does a retry help?", "text"), Head("What to do", "text")),
)


@dataclass(frozen=True)
class Remedies:
    """What failed, whether trying again helps, and what else does."""

    key: str = "types"
    title: str = "What failed, and what helps"
    width: str = "full"
    needs: Sequence[Need] = ()

    def draw(self, look: Look) -> Drawn:
        counted = numbers.types(look)
        total = sum(count for _, count in counted)
        rows, values = [], []
        for series, count in counted:
            found, share = remedy(series.key), Decimal(count) / total
            values.append((series.key, count, share, found.retry, found.action))
            rows.append(
                (
                    Cell(spoken(series.key), look.query.string(err=series.key)),
                    Cell(units.count(count)),
                    Cell(units.ratio(share)),
                    Cell(share=int(share * 100)),
                    Cell(found.retry),
                    Cell(found.action),
                )
            )
        columns = (
            *(Column("Type"), Column("Calls", Unit.COUNT), Column("Share", Unit.RATIO)),
            *(Column("Does a retry help?"), Column("What to do")),
        )
        table = Table(columns, tuple(values))
        if not counted:
            return Drawn(NO_FAILURE, table, is_good_news=True)
        cured = sum(count for series, count in counted if remedy(series.key).retry in _CURABLE)
        text = f"Of {units.count(total)} failed calls, {units.ratio(Decimal(cured) / total)} are of types"
        return Drawn(
            f"{text} that pass when tried again, at once or after a wait.", table, grid=Grid(_REMEDY_HEADS, rows)
        )


_CURABLE: Final = frozenset({"yes", "once", "after the wait", "one repair", "before the first words"})


@dataclass(frozen=True)
class TypesByFeature:
    """How many calls of each feature failed, by type, with more colour where there are more."""

    key: str = "matrix"
    title: str = "Where they fail"
    width: str = "full"
    needs: Sequence[Need] = ()

    def draw(self, look: Look) -> Drawn:
        found = numbers.by_feature(look)
        counts = {
            (pair.first, pair.second): count for pair in found if (count := int(pair.readings["errors"].value or 0)) > 0
        }
        table = Table(
            (Column("Type"), Column("Feature"), Column("Calls", Unit.COUNT)),
            tuple((*names, count) for names, count in sorted(counts.items(), key=lambda one: (-one[1], one[0]))),
        )
        if not counts:
            return Drawn(NO_FAILURE, table, is_good_news=True)
        types = _largest(counts, 0)
        features = _largest(counts, 1)
        grid = _matrix(look, counts, types[:SHOWN_TYPES], features[:SHOWN_FEATURES])
        (error, feature), most = max(counts.items(), key=lambda one: (one[1], one[0]))
        text = f"Most often {spoken(error)} in {spoken(feature)}: {units.count(most)}"
        rest = len(types) - SHOWN_TYPES, len(features) - SHOWN_FEATURES
        also = [f"{rest[0]} more types"] * (rest[0] > 0) + [f"{rest[1]} more features"] * (rest[1] > 0)
        text += f" of {units.count(sum(counts.values()))}"
        return Drawn(f"{text}{'; the file has ' + ' and '.join(also) if also else ''}.", table, grid=grid)


def _largest(counts: dict[tuple[str, str], int], place: int) -> list[str]:
    sums: dict[str, int] = {}
    for names, count in counts.items():
        sums[names[place]] = sums.get(names[place], 0) + count
    return sorted(sums, key=lambda name: (-sums[name], name))


def _matrix(look: Look, counts: dict[tuple[str, str], int], types: Sequence[str], features: Sequence[str]) -> Grid:
    most = max(counts.get((error, feature), 0) for error in types for feature in features)
    rows = []
    for error in types:
        cells = [Cell(spoken(error), look.query.string(err=error))]
        for feature in features:
            count = counts.get((error, feature), 0)
            # The first step is for the first fifth of the largest, a single call included.
            heat = -(-HEATS * count // most) if most else 0
            href = "" if count == 0 or feature == OTHER else look.query.string(err=error, feature=feature)
            cells.append(Cell(units.count(count), href, heat=heat, tone="" if count else "muted"))
        rows.append(cells)
    return Grid([Head("Type", "name"), *(Head(spoken(feature)) for feature in features)], rows)


_GROUP_HEADS: Final = (
    *(Head("Message", "name"), Head("Type", "text"), Head("Prompt", "text"), Head("State", "text"), Head("Calls")),
    *(Head("Users"), Head("Over time", "spark"), Head("First seen"), Head("Last seen")),
)
_TONES: Final[dict[str, Literal["bad", "warn", "muted"]]] = {"new": "bad", "ongoing": "warn", "quiet": "muted"}


@dataclass(frozen=True)
class Groups:
    """Failures that look alike: one type, one message but for numbers and names, one prompt version."""

    key: str = "groups"
    title: str = "Failures that look alike"
    width: str = "full"
    needs: Sequence[Need] = ()

    def draw(self, look: Look) -> Drawn:
        found = numbers.groups(look)
        columns = (
            *(Column("Message"), Column("Type"), Column("Prompt type"), Column("Prompt version"), Column("State")),
            *(Column("Calls", Unit.COUNT), Column("Users", Unit.COUNT)),
            *(Column("First seen (UTC)", is_time=True), Column("Last seen (UTC)", is_time=True), Column("Last call")),
        )
        table = Table(columns, tuple(_values(group) for group in found.groups))
        if not found.groups:
            return Drawn(NO_FAILURE, table, is_good_news=True)
        grid = Grid(_GROUP_HEADS, [self._row(look, group) for group in found.groups[:SHOWN_GROUPS]])
        return Drawn(self._takeaway(look), table, grid=grid)

    def _takeaway(self, look: Look) -> str:
        found = numbers.groups(look)
        new = sum(group.state == "new" for group in found.groups)
        kinds = f"{units.count(len(found.groups))} {'group' if len(found.groups) == 1 else 'groups'}"
        told = "none" if new == 0 else "all" if new == len(found.groups) else units.count(new)
        text = f"{kinds}, {told} of them new: not among the failures of the week before."
        if len(found.groups) > SHOWN_GROUPS:
            most = "all" if len(found.groups) < MOST_GROUPS else f"the {units.count(MOST_GROUPS)} largest"
            text += f" Shown are the {SHOWN_GROUPS} largest; the file has {most}."
        if found.is_cut:
            text += f" With these filters only the newest {units.count(MOST_CALLS)} failures of the range are counted."
        return text

    def _row(self, look: Look, group: Group) -> Sequence[Cell]:
        version = f" {group.prompt_version}" if group.prompt_version else ""
        return (
            Cell(group.template or "(no message)", _calls(look, group)),
            Cell(spoken(group.error), look.query.string(err=group.error)),
            Cell(f"{group.prompt_type}{version}".strip() or "–"),
            Cell(group.state, tone=_TONES[group.state]),
            Cell(units.count(group.count)),
            Cell(_users(group)),
            Cell(spark=sparkline(group.counts, f"{group.count} calls over the range")),
            Cell(_moment(group.first, look.now)),
            Cell(_moment(group.last, look.now), _newest(look, group)),
        )


def _values(group: Group) -> tuple[object, ...]:
    return (
        *(group.template, group.error, group.prompt_type, group.prompt_version, group.state),
        # What is in a file is exact, or it is not there.
        *(group.count, None if group.has_more_users else group.users),
        *(group.first, group.last, str(group.newest)),
    )


def _users(group: Group) -> str:
    if group.users is None:
        return units.UNKNOWN
    return f"{units.count(group.users)}{'+' if group.has_more_users else ''}"


def _calls(look: Look, group: Group) -> str:
    """Return where the log lists these calls."""
    return reverse("logs") + look.query.string(failure=str(group.number))


def _newest(look: Look, group: Group) -> str:
    """Return where the newest of these calls is shown; nothing when it is not kept any more, only counted."""
    is_kept = group.last >= kept_from("request_log", look.now)
    return reverse("request", args=[group.newest]) + look.query.here if is_kept else ""


def _moment(at: datetime, now: datetime) -> str:
    utc = at.astimezone(UTC)
    return f"{utc:%H:%M:%S}" if utc.date() == now.astimezone(UTC).date() else f"{utc:%-d %b, %H:%M}"
