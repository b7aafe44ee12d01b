"""The panels of the Limits page beside its bars: use over time, what was refused, spend, and our own capacity."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final

from django.urls import NoReverseMatch, reverse

from budgets import spending
from budgets.models import Budget
from dashboard import charts, theme
from dashboard.charts import Figure, Line
from dashboard.drawing import Drawn, timetable
from dashboard.grids import Cell, Grid, Head
from dashboard.limits.words import REFUSALS, WARN, assumed, clock, decimal, listed, standings, tone
from dashboard.look import Look, Need
from dashboard.tables import Column, Table
from ingest.model_groups import spoken
from metrics import asks, units
from metrics.capacity import Stand
from metrics.limit_rows import Refusals
from metrics.limits import month_of
from metrics.readings import Series
from metrics.slices import Slice
from metrics.steps import Steps
from metrics.units import Unit
from metrics.windows import Window

MOST_LINES: Final = 3
MOST_BUDGETS: Final = 8
_DASHES: Final = ("solid", "dash", "dot")


@dataclass(frozen=True)
class UtilisationPanel:
    """The fullest minute of each bucket, of the limits that came nearest."""

    key: str = "utilisation"
    title: str = "Use of limits"
    width: str = "half"
    needs: Sequence[Need] = ()

    def draw(self, look: Look) -> Drawn:
        head, factor = look.headroom, Fraction(look.query.factor)
        series = []
        for one in standings(look):
            values = tuple(
                None if (share := each.larger) is None else decimal(share * factor) for each in one.limit.series
            )
            if any(value is not None for value in values):
                samples = (0,) * len(values)
                series.append(
                    Series("utilisation", one.name, head.starts, head.step, values, samples, head.complete_to)
                )
        series.sort(key=_top, reverse=True)
        table = timetable(series, [one.key for one in series], Unit.RATIO)
        if not series:
            return Drawn("No limit was told in this range, so there is no use to show.", table)
        colours = theme.slots([one.key for one in series[:MOST_LINES]])
        lines = [Line(one.key, one, colours[one.key], dash) for one, dash in zip(series, _DASHES, strict=False)]
        figure = _with_levels(charts.lines(lines, Unit.RATIO, look.open_from), _top(series[0]))
        return Drawn(_use(look, series), table, figure, lines)


def _top(series: Series) -> Decimal:
    return max((Decimal(value) for value in series.values if value is not None), default=Decimal(-1))


def _use(look: Look, series: Sequence[Series]) -> str:
    first, most = series[0], _top(series[0])
    place = next(place for place, value in enumerate(first.values) if value == most)
    when = clock(first.starts[place], look.now)
    text = f"{assumed(look)}{first.key} came nearest: {units.ratio(most)} in a minute, in the bucket of {when} UTC."
    if look.headroom.kept_from > look.window.start:
        text = f"{text} Minutes are kept from {look.headroom.kept_from:%-d %b} on."
    return f"{text} The dashed lines are {units.limit(WARN, Unit.RATIO)} and {units.limit(Fraction(1), Unit.RATIO)}."


def _with_levels(figure: Figure, most: Decimal) -> Figure:
    """Add the lines of warning and of the limit itself, and room for them."""
    layout = figure["layout"]
    levels = [
        {
            "type": "line",
            "xref": "paper",
            "x0": 0,
            "x1": 1,
            "y0": height,
            "y1": height,
            "layer": "below",
            "line": {"color": colour, "width": 1.25, "dash": "dash"},
        }
        for height, colour in ((80, "@warn"), (100, "@crit"))
    ]
    top = max(105, int(most * 105))
    return {
        **figure,
        "layout": {
            **layout,
            "shapes": [*layout.get("shapes", []), *levels],
            "yaxis": {**layout["yaxis"], "range": [0, top]},
        },
    }


@dataclass(frozen=True)
class RefusedPanel:
    """What Claude refused by kind of limit, and what our own limiter did not send."""

    key: str = "refused"
    title: str = "Refused calls"
    width: str = "half"
    needs: Sequence[Need] = ()

    def draw(self, look: Look) -> Drawn:
        head = look.headroom
        series = [
            Series("refused", REFUSALS[kind], head.starts, head.step, values, (0,) * len(values), head.complete_to)
            for kind, values in head.refused.items()
        ]
        table = timetable(series, [one.key for one in series], Unit.COUNT)
        shown = [one for one in series if any(one.values)]
        if not shown:
            calm = "Neither Claude nor our own limiter refused a call in this range."
            return Drawn(calm, table, is_good_news=True)
        colours = theme.slots([one.key for one in series])
        lines = [Line(one.key, one, colours[one.key], area=True) for one in shown]
        return Drawn(_refused(head.in_range), table, charts.layers(lines, Unit.COUNT, open_from=look.open_from), lines)


def _refused(range_: Refusals) -> str:
    kinds = listed([(range_.counts[kind], words) for kind, words in REFUSALS.items()])
    return f"Attempts that were refused, those tried again included: {kinds}."


_SPEND_HEADS: Final = (
    *(Head("Budget", "name"), Head("Spent"), Head("Of"), Head("Share", "bar"), Head("Used"), Head("Begins again")),
)
_SPEND_COLUMNS: Final = (
    *(Column("Budget"), Column("Spent", Unit.NANOUSD), Column("Of", Unit.NANOUSD), Column("Used", Unit.RATIO)),
    Column("Begins again (UTC)", is_time=True),
)


MONTH: Final = "spend of the month"


def month_so_far(look: Look) -> dict[str, Steps[Any]]:
    """Ask what was spent since the month began, whoever called: budgets and limits know no other filter."""
    slice_ = Slice(look.query.slice.project_id, look.query.environment)
    return {MONTH: asks.values(("spend",), look.month, slice_, now=look.now)}


@dataclass(frozen=True)
class SpendPanel:
    """Money since the month began: against monthly budgets, and against the provider's own limit."""

    key: str = "spend"
    title: str = "Spend this month"
    width: str = "full"
    needs: Sequence[Need] = ()

    def draw(self, look: Look) -> Drawn:
        month, query = month_of(look.now), look.query
        budgets = Budget.objects.filter(project=query.project, active=True, period=Budget.Period.MONTH)
        if query.environment != "":
            budgets = budgets.filter(environment=query.environment)
        listed_ = list(budgets.order_by("feature", "name")[:MOST_BUDGETS])
        statuses = spending.statuses(listed_, look.now)
        spent = look.answer(MONTH)["spend"].value
        rows: list[tuple[object, ...]] = [("All spend since the month began", spent, None, None, month.end)]
        cells = [[Cell("All spend since the month began"), Cell(units.money(spent)), *_NO_BUDGET, _again(month.end)]]
        for budget in listed_:
            status = statuses[budget.pk]
            share = decimal(status.share)
            rows.append((budget.name, status.spent_nanousd, status.amount_nanousd, share, status.period.end))
            level = tone(status.share)
            cells.append(
                [
                    Cell(budget.name),
                    Cell(units.money(status.spent_nanousd)),
                    Cell(units.limit(status.amount_nanousd, Unit.NANOUSD)),
                    Cell(share=min(int(status.share * 100), 100)),
                    Cell(units.ratio(status.share), tone=level, hint=_USED[level]),
                    _again(status.period.end),
                ]
            )
        table = Table(_SPEND_COLUMNS, tuple(rows))
        return Drawn(_spend(look, month, spent, bool(listed_)), table, grid=Grid(_SPEND_HEADS, cells))


_NO_BUDGET: Final = (Cell(units.UNKNOWN), Cell(), Cell(units.UNKNOWN))
_USED: Final = {"": "", "warn": "nearly used up", "bad": "used up"}


def _again(at: datetime) -> Cell:
    return Cell(f"{at.astimezone(UTC):%-d %b %H:%M}")


def _spend(look: Look, month: Window, spent: object, has_budgets: bool) -> str:
    assert isinstance(spent, int)
    text = f"{units.money(spent)} since 1 {month.start:%B}"
    text = f"{text}." if has_budgets else f"{text}; there is no monthly budget yet."
    last = look.headroom.spend_limit_at
    if last is None:
        return f"{text} No call met the provider's spend limit."
    return (
        f"{text} The provider's spend limit refused calls, last about {clock(last, look.now)} UTC;"
        f" it begins again on 1 {month.end:%B}."
    )


@dataclass(frozen=True, slots=True)
class SeeAlso:
    """A way on to another page, or what to do where there is nothing to show."""

    text: str
    href: str = ""
    template: str = "dashboard/_see_also.html"


_CAPACITY_HEADS: Final = (
    *(Head("Models", "name"), Head("Processes"), Head("Breaker", "text"), Head("Under way"), Head("Waiting")),
    Head("Left in our limiter", "text"),
)
_CAPACITY_COLUMNS: Final = (
    *(Column("Models"), Column("Processes", Unit.COUNT), Column("Breaker stopped on", Unit.COUNT)),
    *(Column("Under way", Unit.COUNT), Column("Waiting", Unit.COUNT), Column("At once", Unit.COUNT)),
    *(Column(f"Left: {name}", Unit.RATIO) for name in ("requests", "input", "output")),
)


@dataclass(frozen=True)
class CapacityPanel:
    """Our own limiters, queues and breakers, as the processes tell them now."""

    key: str = "capacity"
    title: str = "Our own capacity"
    width: str = "full"
    needs: Sequence[Need] = ()

    def draw(self, look: Look) -> Drawn:
        stands = look.capacity.stands if look.query.is_live else ()
        rows = tuple(
            (
                *(spoken(one.group), one.processes, one.stopped, one.in_flight, one.waiting, one.concurrency),
                *(decimal(one.left.get(name)) for name in ("requests", "input", "output")),
            )
            for one in stands
        )
        grid = Grid(_CAPACITY_HEADS, [_stand(one) for one in stands])
        table = Table(_CAPACITY_COLUMNS, rows)
        return Drawn(_capacity(look), table, grid=grid if stands else None, extra=_see_also(look, bool(stands)))


def _stand(one: Stand) -> list[Cell]:
    stopped = Cell(f"stopped on {units.count(one.stopped)}", tone="bad") if one.stopped else Cell("lets all through")
    left = ", ".join(f"{name} {units.ratio(share)}" for name, share in one.left.items())
    return [
        Cell(spoken(one.group)),
        Cell(units.count(one.processes)),
        stopped,
        Cell(units.count(one.in_flight)),
        Cell(units.count(one.waiting), tone="warn" if one.waiting else ""),
        Cell(left or units.UNKNOWN),
    ]


def _capacity(look: Look) -> str:
    range_, found = look.headroom.in_range, look.capacity
    waits = "No call waited for its turn in this range."
    if range_.waits:
        average = units.duration(Fraction(range_.wait_ms, range_.waits))
        longest = units.duration(range_.longest_wait_ms)
        number = "1 call waited" if range_.waits == 1 else f"{units.count(range_.waits)} calls waited"
        waits = f"In this range {number} for a turn, {average} on average, {longest} at most."
    if not look.query.is_live:
        return f"{waits} How processes stand is known only of now."
    if found.processes == 0:
        return f"No process has spoken in the last two minutes. {waits}"
    spoke = "1 process" if found.processes == 1 else f"{units.count(found.processes)} processes"
    now = "nothing is known of queues" if found.waiting is None else f"{units.count(found.waiting)} calls wait now"
    more = (
        f", {found.groups - len(found.stands)} groups of models are not listed"
        if found.groups > len(found.stands)
        else ""
    )
    return f"{spoke} spoke in the last two minutes; {now}{more}. {waits}"


def _see_also(look: Look, has_stands: bool) -> SeeAlso | None:
    if not has_stands:
        return SeeAlso(
            "Processes whose client has limits or a breaker tell here how many calls are under way and wait."
        )
    try:
        return SeeAlso("Work queues and backlog of this dashboard", reverse("system") + look.query.elsewhere)
    except NoReverseMatch:
        return None
