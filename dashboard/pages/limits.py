"""Limits: which is nearest, how long until it is full, and are calls turned away now?"""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any, Final, Literal

from django.urls import reverse

from dashboard.limits.bars import HeadroomPanel
from dashboard.limits.panels import CapacityPanel, RefusedPanel, SpendPanel, UtilisationPanel, month_so_far
from dashboard.limits.words import REFUSALS, Standing, age, assumed, clock, listed, standings, tone
from dashboard.look import Look
from dashboard.page import Answer, Page
from dashboard.query import LABELS
from dashboard.tiles import Tile
from metrics import units
from metrics.limit_sql import REFUSALS as BY_PROVIDER
from metrics.limits import NOW, look_up
from metrics.steps import Steps

# A limit that will be full within so many minutes is worth a warning at any height.
SOON: Final = 60
# What limits do not know: they belong to models, whoever calls.
_NOT_OF_LIMITS: Final = ("feature", "prompt_type", "version", "key", "release", "user", "err")


def answer(look: Look) -> Answer:
    found = standings(look)
    if not found:
        return Answer(
            "No limit seen yet: the first answered call tells its limits.",
            "Calls through llmclient report the provider's headers by themselves; with ANTHROPIC_ADMIN_KEY set, the "
            f"worker asks the Rate Limits API. {_throttled(look)}",
            "unknown",
        )
    text, detail, level = _nearest(look, found[0]), _throttled(look), _tone(look, found[0])
    if not look.headroom.in_range.by_provider:
        return Answer(text, detail, level)
    href = reverse("logs") + look.query.string(err="rate_limit", status="", x="")
    return Answer(text, detail, level, "Open the calls that ended so", href)


def _nearest(look: Look, nearest: Standing) -> str:
    if nearest.now is None:
        when = age(nearest.limit.told.at, look.headroom.at)
        return f"How far limits are used is not known just now; {nearest.name} were told {when}."
    name, of = f"{assumed(look)}{nearest.name}", f"{units.ratio(nearest.now)} of {nearest.amount} a minute"
    if nearest.now >= 1:
        return f"{name} are used up: {of}."
    if nearest.full_at is None:
        return f"{name} are nearest: {of}, with no rise that would fill it."
    return f"{name} are nearest: {of}, at this rate full at {clock(nearest.full_at, look.now)} UTC."


def _throttled(look: Look) -> str:
    """Whether calls are turned away now, and whether they were in the range."""
    now, range_ = look.headroom.just_now, look.headroom.in_range
    last = f"in the last {NOW} minutes" if look.query.is_live else f"in the last {NOW} minutes of this range"
    if now.by_provider:
        kinds = listed([(now.counts[kind], REFUSALS[kind]) for kind in BY_PROVIDER])
        text = f"Claude refuses calls now: {units.count(now.by_provider)} {last} ({kinds})."
    elif range_.by_provider:
        text = f"Claude refused nothing {last}, and {units.count(range_.by_provider)} in this range."
    else:
        text = "Claude refused nothing in this range."
    own = now.counts["own_refusals"]
    return f"{text} Our own limiter refused {units.count(own)} {last}." if own else text


def _tone(look: Look, nearest: Standing) -> Literal["good", "warn", "bad", "unknown"]:
    level = tone(nearest.now)
    if level == "bad" or look.headroom.just_now.counts["spend_limits"]:
        return "bad"
    soon = nearest.full_at is not None and (nearest.full_at - look.headroom.at).total_seconds() <= 60 * SOON
    if level == "warn" or soon or look.headroom.just_now.by_provider:
        return "warn"
    return "unknown" if nearest.now is None else "good"


def tiles(look: Look) -> Sequence[Tile]:
    found = standings(look)
    range_ = look.headroom.in_range
    own = range_.counts["own_refusals"]
    kinds = listed([(range_.counts[kind], REFUSALS[kind]) for kind in BY_PROVIDER])
    waiting = look.capacity.waiting if look.query.is_live else None
    average = Fraction(range_.wait_ms, range_.waits) if range_.waits else None
    return [
        _nearest_tile(found),
        _full_tile(look, found),
        Tile("Refused by Claude", units.count(range_.by_provider), note=kinds or "no 429 in this range"),
        Tile("Refused by our limiter", units.count(own), note="calls that were never sent"),
        Tile(
            "Waiting now", units.count(waiting), note="in all processes" if waiting is not None else "no process says"
        ),
        Tile(
            "Average wait",
            units.duration(average),
            note=f"of {units.count(range_.waits)} that waited; longest {units.duration(range_.longest_wait_ms)}"
            if range_.waits
            else "no call waited in this range",
        ),
    ]


def _nearest_tile(found: Sequence[Standing]) -> Tile:
    first = found[0] if found else None
    if first is None or first.now is None:
        return Tile("Nearest limit", units.UNKNOWN, note="nothing known just now")
    return Tile("Nearest limit", units.ratio(first.now), change=first.name, tone=first.tone)


def _full_tile(look: Look, found: Sequence[Standing]) -> Tile:
    times = [(one.full_at, one.name) for one in found if one.full_at is not None]
    if not times:
        return Tile("Full at this rate", units.UNKNOWN, note="no limit rises towards its end")
    at, name = min(times)
    return Tile("Full at this rate", f"{clock(at, look.now)} UTC", note=name)


def notes(look: Look) -> Sequence[str]:
    """Say which filters limits do not know, and what the traffic assumed means."""
    ignored = [LABELS.get(name, name) for name in _NOT_OF_LIMITS if getattr(look.query, name) != ""]
    said = []
    if ignored:
        said.append(f"Limits belong to groups of models, whoever calls; this page is without {' and '.join(ignored)}.")
    if look.query.factor != 1:
        said.append("What if: every number of use is multiplied alike, as if all traffic grew together.")
    return said


def questions(look: Look) -> Mapping[str, Steps[Any]]:
    """Ask what limits and spend need before minutes are read, together with all else."""
    query, at = look.query, min(look.now, look.window.end)
    return month_so_far(look) | {"limits": look_up(query.slice.project_id, query.environment, at, now=look.now)}


LIMITS: Final = Page(
    "limits",
    "Limits",
    "Which limit is nearest, and how long until it is full?",
    answer,
    (HeadroomPanel(), UtilisationPanel(), RefusedPanel(), SpendPanel(), CapacityPanel()),
    tiles,
    notes,
    questions=questions,
    form="dashboard/_what_if.html",
)
