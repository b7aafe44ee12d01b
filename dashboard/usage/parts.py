"""The table of Usage & cost: one row per part, each the way to the same page about that part alone."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from dashboard.drawing import Drawn, spoken
from dashboard.grids import Cell, Grid, Head
from dashboard.look import Look, Need
from dashboard.panels import FAILING
from dashboard.query import DashboardQuery
from dashboard.tables import Column, Table
from dashboard.usage import drill
from dashboard.usage.readings import UsageReadings, every
from dashboard.usage.words import article
from metrics import units
from metrics.catalog import METRICS
from metrics.readings import Part, Value
from metrics.slices import NONE, OTHER
from metrics.units import Unit

# Metric → heading, in the order of the table. Spend and its change stand before them.
_COLUMNS: Final = {
    "requests": "Requests",
    "cost_per_request": "Per request",
    "cost_per_success": "Per answer",
    "fully_loaded_cost": "Fully loaded",
    "input_tokens": "Input",
    "output_tokens": "Output",
    "cache_write_tokens": "Cache write",
    "cache_read_tokens": "Cache read",
    "cache_hit_rate": "Cache hits",
    "latency_p95": "p95",
    "error_rate": "Errors",
}
# More rows than these nobody reads on a page, and they make it heavy. The files have all that were read.
SHOWN: Final = 50
# So much of the spend is what one looks for first.
_MOST: Final = Decimal("0.8")
# What applications can say of their calls, and how: shown where no call does.
_LABELS: Final = {
    "feature": 'llmclient.context(feature="inbox")',
    "prompt_type": 'llmclient.context(prompt_type="triage")',
    "version": 'llmclient.context(prompt_type="triage", prompt_version="7")',
    "user": 'llmclient.context(user_id="4711")',
}


@dataclass(frozen=True)
class PartsPanel:
    """The parts that cost most, in the order the address asks for."""

    key: str = "parts"
    title: str = "What it went to"
    width: str = "full"
    needs: Sequence[Need] = ()

    def draw(self, look: Look) -> Drawn:
        read = UsageReadings(look)
        columns = [metric for metric in _COLUMNS if metric in read.parts.total.readings]
        grid = Grid(
            list(_heads(look.query, read, columns)),
            [_cells(read, part, columns) for part in _shown(read)],
            [_cells(read, read.parts.total, columns)] if len(every(read.parts)) > 1 else [],
            is_wide=True,
        )
        return Drawn(_takeaway(read), _table(read, columns), grid=grid if read.parts.parts else None)


def _shown(read: UsageReadings) -> list[Part]:
    """Return the first parts in order, and the others at the end when all others are meant."""
    parts, other = _ordered(read), read.parts.other
    return parts[:SHOWN] if len(parts) > SHOWN else [*parts, *([other] if other is not None else [])]


def _ordered(read: UsageReadings) -> list[Part]:
    """Return the parts in order. What is unknown comes last."""
    sort = read.look.query.sort

    def place(part: Part) -> tuple[bool, Decimal]:
        value = _change(read, part) if sort == "change" else part.readings[sort].value
        return value is None, -Decimal(value or 0)

    found = read.parts
    is_known = sort == "change" or sort in found.total.readings
    return sorted(found.parts, key=place) if sort and is_known else list(found.parts)


def _change(read: UsageReadings, part: Part) -> Value:
    """Return how much more a part cost than in the comparison, in nano-dollars."""
    spend, before = part.readings["spend"].value, read.before(part)
    return None if spend is None or before is None or before.value is None else int(spend) - int(before.value)


def _heads(query: DashboardQuery, read: UsageReadings, columns: Sequence[str]) -> Iterator[Head]:
    order = query.sort or "spend"
    yield Head(read.noun[0].upper() + read.noun[1:], "name")
    yield Head("Share of spend", "bar")
    for key, label in {"spend": "Spend", "change": "Change", **{key: _COLUMNS[key] for key in columns}}.items():
        if key != "change" or read.earlier is not None:
            yield Head(label, href=query.string(sort="" if key == "spend" else key), is_sorted=key == order)


def _cells(read: UsageReadings, part: Part, columns: Sequence[str]) -> Sequence[Cell]:
    change = [] if read.earlier is None else [Cell(_growth(read, part))]
    return (
        _name(read, part),
        Cell(share=_percent(part.readings["spend"].value, read.parts.total.readings["spend"].value)),
        _cost(part),
        *change,
        *(_cell(part, key) for key in columns),
    )


def _name(read: UsageReadings, part: Part) -> Cell:
    if part is read.parts.total:
        return Cell("Total")
    if part is read.parts.other:
        return Cell(spoken(OTHER), tone="muted")
    return Cell(spoken(part.key), drill.href(read.look.query, part.key))


def _cost(part: Part) -> Cell:
    spend = part.readings["spend"]
    if spend.unpriced == 0:
        return Cell(units.money(spend.value))
    if spend.value == 0:
        return Cell("no price", tone="warn")
    return Cell(units.money(spend.value), hint=f"without {units.count(spend.unpriced)} of unknown cost")


def _cell(part: Part, key: str) -> Cell:
    reading = part.readings[key]
    is_failing = (
        key == "error_rate"
        and reading.value is not None
        and reading.value >= FAILING
        and reading.sample >= units.ENOUGH_EVENTS
    )
    text = units.number(reading.value, METRICS[key].unit)
    return Cell(text, tone="bad" if is_failing else "", hint="high" if is_failing else "")


def _growth(read: UsageReadings, part: Part) -> str:
    spend, before = part.readings["spend"].value, read.before(part)
    if before is None or before.value is None:
        return units.UNKNOWN
    if before.value == 0:
        return "new" if spend and before.unpriced == 0 else units.UNKNOWN
    return units.delta(spend, before.value, Unit.NANOUSD, events=max(before.sample, units.ENOUGH_EVENTS))


def _percent(spend: Value, total: Value) -> int:
    return 0 if spend is None or total is None or total == 0 else int(100 * Decimal(spend) / Decimal(total))


def _table(read: UsageReadings, columns: Sequence[str]) -> Table:
    heads = [Column(read.noun[0].upper() + read.noun[1:]), Column("Spend", Unit.NANOUSD)]
    if read.earlier is not None:
        heads.append(Column(f"Spend, {read.look.query.compared_with}", Unit.NANOUSD))
    heads += [Column("Unpriced", Unit.COUNT)]
    heads += [Column(METRICS[key].label, METRICS[key].unit) for key in columns]
    return Table(tuple(heads), tuple(_values(read, part, columns) for part in every(read.parts)))


def _values(read: UsageReadings, part: Part, columns: Sequence[str]) -> tuple[object, ...]:
    before = read.before(part)
    compared = [] if read.earlier is None else [None if before is None else before.value]
    values = part.readings
    return (
        part.key,
        values["spend"].value,
        *compared,
        values["unpriced"].value,
        *(values[key].value for key in columns),
    )


def _takeaway(read: UsageReadings) -> str:
    parts, total = read.parts.parts, read.parts.total.readings["spend"].value
    if not parts or [part.key for part in parts] == [NONE]:
        how = _LABELS.get(read.group)
        note = "" if how is None else f" Calls made inside {how} have one."
        return f"No call with {article(read.noun)} was made in this range.{note}"
    number = f"{units.count(len(parts))} {_plural(read.noun, len(parts))}"
    if read.parts.other is not None:
        number = f"The {number} that cost most, and all others together"
    note = ""
    if read.group == "version" and read.look.query.prompt_type == "":
        note = " Equal versions of several prompt types are one row here."
    largest = "" if not total else _largest(parts, Decimal(total))
    if len(parts) > SHOWN:
        note += f" Shown are the first {SHOWN}; the file has all of these."
    return f"{number}{largest}.{note}"


def _largest(parts: Sequence[Part], total: Decimal) -> str:
    """Say how few parts make up most of the spend; empty when it takes them all."""
    spent, places = Decimal(0), 0
    for part in parts:
        spent, places = spent + Decimal(part.readings["spend"].value or 0), places + 1
        if spent >= _MOST * total:
            break
    if places == len(parts):
        return ""
    share = units.ratio(spent / total)
    return f"; the first {f'{places} make' if places > 1 else 'makes'} up {share} of the spend"


def _plural(noun: str, number: int) -> str:
    return noun if number == 1 else f"{noun}s"
