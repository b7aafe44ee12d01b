"""Bars of limits: how far each is used, by group of models, drawn on the server and said in words."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from dashboard.drawing import Drawn
from dashboard.limits.words import (
    APART,
    LIMITERS,
    REFUSALS,
    SOURCES,
    WARN,
    Standing,
    age,
    amount,
    assumed,
    clock,
    decimal,
    listed,
    standings,
)
from dashboard.look import Look, Need
from dashboard.tables import Column, Table
from ingest.model_groups import spoken
from metrics import units
from metrics.limit_rows import NOTHING
from metrics.limits import NOW, PEAK
from metrics.units import Unit

# Groups of models listed on the page; a hostile client may name any number. The file has all.
MOST_GROUPS: Final = 8
_MARKS: Final = {"": "", "warn": "near its limit", "bad": "at its limit"}


@dataclass(frozen=True, slots=True)
class Bar:
    """One row: a limit, drawn."""

    limiter: str
    now: str
    peak: str
    amount: str
    left: str
    full: str
    tone: str
    hint: str
    """What the tone means, for those who do not see it."""
    width: int
    """Percent; also where the mark of the peak stands."""
    mark: int
    beside: str
    """What else is to be said: two measures that differ."""


@dataclass(frozen=True, slots=True)
class Group:
    """The limits of one group of models."""

    name: str
    told: str
    bars: Sequence[Bar]


@dataclass(frozen=True, slots=True)
class Bars:
    """All groups, and in amber where two sources do not agree."""

    groups: Sequence[Group]
    warnings: Sequence[str]
    template: str = "dashboard/_limits.html"


@dataclass(frozen=True)
class HeadroomPanel:
    """How far each limit is used, by group of models."""

    key: str = "headroom"
    title: str = "Headroom"
    width: str = "full"
    needs: Sequence[Need] = ()

    def draw(self, look: Look) -> Drawn:
        found = standings(look)
        table = Table(_HEADROOM, tuple(_row(look, one) for one in found))
        if not found:
            return Drawn("No limit is known: the first answered call tells its limits.", table)
        names = list(dict.fromkeys(one.limit.group for one in found))
        groups = [_group(look, name, found) for name in names[:MOST_GROUPS]]
        return Drawn(_headroom(look, found, len(names)), table, extra=Bars(groups, _warnings(look, found)))


_HEADROOM: Final = (
    *(Column("Models"), Column("Limit of"), Column("Now", Unit.RATIO), Column("Now by headers", Unit.RATIO)),
    *(Column("Now counted", Unit.RATIO), Column("Peak of the hour", Unit.RATIO), Column("Limit a minute", Unit.COUNT)),
    *(Column("Left when told", Unit.COUNT), Column("Told at (UTC)", is_time=True), Column("Told by")),
    *(Column("Full about (UTC)", is_time=True), Column("Refused by Claude", Unit.COUNT)),
    Column("Refused by our limiter", Unit.COUNT),
)


def _row(look: Look, one: Standing) -> tuple[object, ...]:
    told, now = one.limit.told, one.share
    refused = look.headroom.refusals.get(one.limit.group, NOTHING)
    return (
        *(one.group, one.limiter, decimal(one.now), decimal(now.told), decimal(now.counted), decimal(one.peak)),
        *(told.limit, told.remaining, told.at, SOURCES[told.by], one.full_at),
        *(refused.by_provider, refused.counts["own_refusals"]),
    )


def _headroom(look: Look, found: Sequence[Standing], groups: int) -> str:
    near = [one.name for one in found if one.tone != ""]
    text = f"{len(near)} of {len(found)} limits above {units.limit(WARN, Unit.RATIO)}" if near else ""
    text = f"{assumed(look)}{text or f'no limit above {units.limit(WARN, Unit.RATIO)}'}"
    more = f" {groups - MOST_GROUPS} more groups of models are in the file." if groups > MOST_GROUPS else ""
    return (
        f"{text[:1].upper()}{text[1:]}. The bar is the fullest of the last {NOW} minutes, its mark the peak of "
        f"{PEAK}; reading the cache does not count as input.{more}"
    )


def _group(look: Look, name: str, found: Sequence[Standing]) -> Group:
    own = [one for one in found if one.limit.group == name]
    order = list(LIMITERS)
    own.sort(key=lambda one: order.index(one.limit.limiter))
    newest = max(own, key=lambda one: one.limit.told.at).limit.told
    refused = look.headroom.refusals.get(name, NOTHING)
    kinds = listed([(number, REFUSALS[kind]) for kind, number in refused.counts.items()])
    source = f"told by the {SOURCES[newest.by]} {age(newest.at, look.headroom.at)}"
    return Group(spoken(name), f"{source}; refused: {kinds}" if kinds else source, [_bar(look, one) for one in own])


def _bar(look: Look, one: Standing) -> Bar:
    told, now = one.limit.told, one.share
    beside = ""
    if now.told is not None and now.counted is not None and abs(now.told - now.counted) > APART:
        beside = f"headers {units.ratio(now.told)}, counted {units.ratio(now.counted)}"
    return Bar(
        one.limiter,
        units.ratio(one.now),
        units.ratio(one.peak),
        one.amount,
        units.UNKNOWN if told.remaining is None else amount(told.remaining, one.limit.limiter),
        units.UNKNOWN if one.full_at is None else f"{clock(one.full_at, look.now)} UTC",
        one.tone,
        _MARKS[one.tone],
        min(int((one.now or 0) * 100), 100),
        # One less than all, so that the mark is not cut in half at the end.
        min(int((one.peak or 0) * 100), 99),
        beside,
    )


def _warnings(look: Look, found: Sequence[Standing]) -> list[str]:
    return [_disagreement(look, one) for one in found if one.limit.disagreement is not None][:MOST_GROUPS]


def _disagreement(look: Look, one: Standing) -> str:
    told, other = one.limit.told, one.limit.disagreement
    assert other is not None
    said = [
        f"the {SOURCES[each.by]} said {amount(each.limit, one.limit.limiter)} {age(each.at, look.headroom.at)}"
        for each in (told, other)
    ]
    return f"{one.name}: {said[0]}, {said[1]}. The newest counts."
