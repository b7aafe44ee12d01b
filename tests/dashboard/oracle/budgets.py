"""Budgets: what is spent of each in its month, with an estimate for the calls of unknown cost."""

from collections.abc import Sequence
from datetime import UTC, datetime
from fractions import Fraction
from typing import NamedTuple
from zoneinfo import ZoneInfo

from metrics import units
from metrics.units import Unit
from metrics.windows import Window
from tests.dashboard.oracle.asked import Scene, Tile, named, total
from tests.dashboard.oracle.prices import dearest
from tests.dashboard.oracle.world import BUDGETS, NOW, at
from tests.metrics.oracle import Call

MONTH = Window(at("2026-11-01T00:00"), at("2026-12-01T00:00"))


class Spent(NamedTuple):
    name: str
    known: int
    """Nano-dollars of the calls whose cost is known."""
    amount: int
    share: Fraction
    """Estimates included."""
    period: Window


def month_of(zone: str) -> Window:
    """November there, in UTC."""
    start, end = (datetime(2026, month, 1, tzinfo=ZoneInfo(zone)).astimezone(UTC) for month in (11, 12))
    return Window(start, end)


def budgets(scene: Scene, environment: str = "") -> list[Spent]:
    """Those of a project, or of one of its environments, by feature and name."""
    listed = [one for one in BUDGETS if environment in ("", one[1])] if scene.is_library else []
    return [_spent(scene, *one) for one in sorted(listed, key=lambda one: (one[2], one[0]))]


def _spent(scene: Scene, name: str, environment: str, feature: str, zone: str, amount: int) -> Spent:
    period = month_of(zone)
    calls = [
        call
        for call in scene.world.calls
        if call.project_id == scene.project.pk
        and period.contains(call.at)
        and environment in ("", call.environment)
        and feature in ("", call.feature)
    ]
    known = total("spend", calls)
    return Spent(name, known, amount, Fraction(known + estimate(calls), amount), period)


def estimate(calls: Sequence[Call]) -> int:
    """Their share of a model's tokens, rounded up, at the dearest price there is of its family."""
    found = 0
    for model, own in named(calls, "model").items():
        unpriced = [call for call in own if call.cost is None]
        if unpriced:
            sums = (sum(call.tokens[kind] for call in own) for kind in range(5))
            given, taken, read, short, long = sums
            shares = [-(-count * len(unpriced) // len(own)) for count in (given, taken, read, short + long)]
            found += dearest(model, *shares)
    return found


def month_tile(scene: Scene) -> Tile:
    """What the month has cost so far, against the first monthly budget of all features when there is no filter."""
    environment = scene.asked.filters.get("environment", "")
    filters = {name: text for name, text in scene.asked.filters.items() if name != "environment"}
    whole = [one for one in BUDGETS if one[2] == "" and one[1] == environment] if scene.is_library else []
    if whole and not filters:
        spent = _spent(scene, *whole[0])
        gone = Fraction(int((NOW - spent.period.start).total_seconds()), int(spent.period.seconds))
        note = f"{units.ratio(gone)} of the month is over" if spent.share <= 1 else "the budget is used up"
        of = f"of {units.limit(spent.amount, Unit.NANOUSD)}"
        return Tile("Month to date", units.money(spent.known), "", units.ratio(spent.share), of, note)
    note = "" if whole or filters else "no monthly budget yet"
    known = total("spend", scene.pick(Window(MONTH.start, NOW)))
    return Tile("Month to date", units.money(known), "", "", "since 1 November", note)
