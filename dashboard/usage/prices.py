"""What prices say beside the bill: calls of unknown cost, and the same tokens at other models."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final
from urllib.parse import urlencode

from django.urls import reverse

from dashboard.drawing import Drawn, spoken
from dashboard.grids import Cell, Grid, Head
from dashboard.look import Look, Need
from dashboard.tables import Column, Table
from dashboard.usage import drill
from dashboard.usage.readings import UsageReadings, every
from dashboard.usage.words import calls
from ingest import pricebook
from ingest.pricing import undated
from metrics import units
from metrics.list_prices import Alternative, Estimate, estimate
from metrics.readings import Part
from metrics.slices import NONE, OTHER
from metrics.units import Unit


@dataclass(frozen=True)
class UnpricedPanel:
    """Calls whose cost nobody knows, by model, and what can be done about it."""

    key: str = "unpriced"
    title: str = "Calls of unknown cost"
    width: str = "half"
    needs: Sequence[Need] = ()

    def draw(self, look: Look) -> Drawn:
        read = UsageReadings(look)
        number = int(read.total["unpriced"].value or 0)
        if number == 0:
            is_quiet = read.total["requests"].value == 0
            said = "No call was made in this range." if is_quiet else "The cost of every call in this range is known."
            return Drawn(said, _unpriced_table(read, []), is_good_news=not is_quiet)
        book = pricebook.current(look.now)
        parts = [part for part in every(read.models) if part.readings["unpriced"].value]
        lacking = {part.key for part in parts if book.rate_at(part.key, look.now) is None} - {NONE, OTHER}
        heads = (Head("Model", "name"), Head("Calls"), Head("Tokens"), Head("Why", "text"))
        grid = Grid(heads, [_unpriced_row(look, read, part, part.key in lacking) for part in parts])
        return Drawn(_unknown(parts, lacking, number), _unpriced_table(read, parts), grid=grid)


def _unpriced_row(look: Look, read: UsageReadings, part: Part, lacks_price: bool) -> Sequence[Cell]:
    why = Cell("broke off, or came before the price")
    if lacks_price:
        address = reverse("admin:ingest_price_add") + "?" + urlencode({"model": undated(part.key)})
        why = Cell("no price: add one", address)
    elif part.key == NONE:
        why = Cell("no model was named")
    name = spoken(part.key)
    return (
        Cell(name, drill.logs(look.query, model=part.key)) if part.key != OTHER else Cell(name, tone="muted"),
        Cell(units.count(part.readings["unpriced"].value)),
        Cell(units.tokens(_tokens(read, part))),
        why,
    )


def _tokens(read: UsageReadings, part: Part) -> int | None:
    """Return the tokens of a model's unpriced calls; None when others have a price, or nobody told what was used."""
    is_all = part.readings["unpriced"].value == part.readings["requests"].value
    return (read.tokens_by_model[part.key].total or None) if is_all else None


def _unknown(parts: Sequence[Part], lacking: set[str], number: int) -> str:
    without = sum(int(part.readings["unpriced"].value or 0) for part in parts if part.key in lacking)
    said = "They are in no sum of money here, and not counted as $0."
    if without == 0:
        return f"Of {calls(number)} nobody knows the cost. {said}"
    models = "1 model" if len(lacking) == 1 else f"{units.count(len(lacking))} models"
    rest = "" if without == number else f"; of {calls(number - without)} the cost is unknown for other reasons"
    return f"{calls(without)} of {models} without a price{rest}. {said} Staff can add a price."


def _unpriced_table(read: UsageReadings, parts: Sequence[Part]) -> Table:
    return Table(
        (Column("Model"), Column("Calls", Unit.COUNT), Column("Tokens", Unit.TOKENS)),
        tuple((part.key, part.readings["unpriced"].value, _tokens(read, part)) for part in parts),
    )


_COLUMNS: Final = (
    *(Column("Model"), Column("Cost", Unit.NANOUSD), Column("Difference", Unit.NANOUSD)),
    *(Column("Difference, share", Unit.RATIO), Column("Used in this range")),
)


@dataclass(frozen=True)
class AlternativesPanel:
    """The tokens of the range, priced at every model of the price book."""

    key: str = "models"
    title: str = "The same tokens at other models"
    width: str = "half"
    needs: Sequence[Need] = ()

    def draw(self, look: Look) -> Drawn:
        read = UsageReadings(look)
        found = estimate(read.tokens_by_model, pricebook.current(look.now), look.now)
        table = Table(_COLUMNS, tuple(_values(found, one) for one in found.alternatives))
        if found.nanousd == 0:
            return Drawn("No token of a model with a price was used in this range.", table)
        heads = (Head("All at", "name"), Head("Cost"), Head("Difference"), Head("Change"))
        used = (Cell("The models used"), Cell(units.money(found.nanousd)), Cell(), Cell())
        shown = [one for one in found.alternatives if one.is_used or one.nanousd < found.nanousd]
        grid = Grid(heads, [_row(found, one) for one in shown], [used])
        return Drawn(" ".join(_sentences(read, found)), table, grid=grid)


def _values(found: Estimate, one: Alternative) -> tuple[object, ...]:
    difference = one.nanousd - found.nanousd
    share = None if found.nanousd == 0 else Decimal(difference) / found.nanousd
    return (one.model, one.nanousd, difference, share, "yes" if one.is_used else "no")


def _row(found: Estimate, one: Alternative) -> Sequence[Cell]:
    difference = one.nanousd - found.nanousd
    return (
        Cell(f"{one.model} (used)" if one.is_used else one.model),
        Cell(units.money(one.nanousd)),
        Cell(f"{'+' if difference > 0 else ''}{units.money(difference)}", tone="good" if difference < 0 else ""),
        Cell(units.delta(one.nanousd, found.nanousd, Unit.NANOUSD, events=units.ENOUGH_EVENTS)),
    )


def _sentences(read: UsageReadings, found: Estimate) -> Iterator[str]:
    yield "An estimate: the same tokens, quality not assessed."
    paid, listed = units.money(read.total["spend"].value), units.money(found.nanousd)
    charged = "" if paid == listed else f" ({paid} was charged)"
    best = found.alternatives[0]
    text = f"At today's list prices of the models used they cost {listed}{charged}"
    if best.nanousd < found.nanousd:
        less = units.ratio(1 - Decimal(best.nanousd) / found.nanousd)
        text = f"{text}, all at {best.model} {units.money(best.nanousd)}, {less} less"
    yield f"{text}."
    if found.left_out:
        tokens = units.tokens(sum(found.left_out.values()))
        yield f"{tokens} tokens of models without a price are left out."
    yield "Rates for long prompts, batches, fast mode and regions are not in it; dearer models are in the files."
