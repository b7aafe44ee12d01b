"""What was paid for nothing, and what the prompt cache saved or cost."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from dashboard.drawing import Drawn, spoken
from dashboard.grids import Cell, Grid, Head
from dashboard.look import Look, Need
from dashboard.tables import Column, Table
from dashboard.usage import drill
from dashboard.usage.readings import UsageReadings, every
from ingest import pricebook
from metrics import units
from metrics.list_prices import cache_effect
from metrics.readings import Part
from metrics.units import Unit

# Metric → word in the address of the log, and what it is called.
_REASONS: Final = {
    "failed_spend": ("failed", "Failed or given up"),
    "truncated_spend": ("truncated", "Cut off at the token limit"),
    "invalid_spend": ("invalid", "In the wrong form"),
}


@dataclass(frozen=True)
class WastePanel:
    """Spend that brought no usable answer, by why, each with the way to those calls."""

    key: str = "waste"
    title: str = "Cost of waste"
    width: str = "half"
    needs: Sequence[Need] = ()

    def draw(self, look: Look) -> Drawn:
        total = UsageReadings(look).total
        spend = Decimal(total["spend"].value or 0)
        costs = {metric: int(total[metric].value or 0) for metric in _REASONS}
        wasted = sum(costs.values())
        shares = {metric: None if spend == 0 else Decimal(cost) / spend for metric, cost in costs.items()}
        table = Table(
            (Column("Why"), Column("Spend", Unit.NANOUSD), Column("Share of spend", Unit.RATIO)),
            tuple((_REASONS[metric][1], cost, shares[metric]) for metric, cost in costs.items()),
        )
        if wasted == 0:
            return Drawn(
                "Nothing is known to have been paid for calls without a usable answer.",
                table,
                is_good_news=total["requests"].value != 0,
            )
        grid = Grid(
            (Head("Why", "name"), Head("Spend"), Head("Share of spend")),
            [
                (
                    Cell(label, drill.logs(look.query, waste=word) if costs[metric] else ""),
                    Cell(units.money(costs[metric])),
                    Cell(units.ratio(shares[metric])),
                )
                for metric, (word, label) in _REASONS.items()
            ],
        )
        return Drawn(_wasted(costs, spend), table, grid=grid)


def _wasted(costs: dict[str, int], spend: Decimal) -> str:
    wasted, first = sum(costs.values()), max(costs, key=lambda metric: costs[metric])
    text = f"{units.money(wasted)} brought no usable answer, {units.ratio(wasted / spend)} of the spend"
    if costs[first] == wasted:
        return f"{text}, all of it {_REASONS[first][1].lower()}."
    return f"{text}; the largest part {_REASONS[first][1].lower()}."


@dataclass(frozen=True)
class CachePanel:
    """What reading from the provider's prompt cache saved, less what writing to it cost more, by model."""

    key: str = "cache"
    title: str = "Prompt cache"
    width: str = "half"
    needs: Sequence[Need] = ()

    def draw(self, look: Look) -> Drawn:
        read = UsageReadings(look)
        saved = int(read.total["cache_savings"].value or 0)
        if not read.total["cache_read_tokens"].value and not read.total["cache_write_tokens"].value:
            return Drawn("No prompt went through the provider's cache in this range.", _cache_table([]))
        parts = [part for part in every(read.models) if _cached(part)]
        heads = (Head("Model", "name"), Head("Read"), Head("Written"), Head("Cache hits"), Head("Saved"))
        grid = Grid(heads, [_cache_row(part) for part in parts])
        return Drawn(f"{_saved(saved)}{_how(read, look, saved)}.", _cache_table(parts), grid=grid)


def _saved(saved: int) -> str:
    if saved < 0:
        return f"The prompt cache cost {units.money(-saved)} more than it saved"
    return f"The prompt cache saved {units.money(saved)} at list prices"


def _how(read: UsageReadings, look: Look, saved: int) -> str:
    """Tell both sides of the sum, if they can be told: that is, if today's prices are those the calls were charged."""
    effect = cache_effect(read.tokens_by_model, pricebook.current(look.now), look.now)
    if effect.premium == 0 or effect.discount - effect.premium != saved:
        return ""
    return f": {units.money(effect.discount)} less for reading, {units.money(effect.premium)} more for writing"


def _cached(part: Part) -> bool:
    return any(part.readings[key].value for key in ("cache_read_tokens", "cache_write_tokens"))


def _cache_row(part: Part) -> Sequence[Cell]:
    saved = int(part.readings["cache_savings"].value or 0)
    return (
        Cell(spoken(part.key)),
        Cell(units.tokens(part.readings["cache_read_tokens"].value)),
        Cell(units.tokens(part.readings["cache_write_tokens"].value)),
        Cell(units.ratio(part.readings["cache_hit_rate"].value)),
        Cell(
            units.money(saved), tone="bad" if saved < 0 else "", hint="it cost more than it saved" if saved < 0 else ""
        ),
    )


def _cache_table(parts: Sequence[Part]) -> Table:
    return Table(
        (
            *(Column("Model"), Column("Cache read tokens", Unit.TOKENS), Column("Cache write tokens", Unit.TOKENS)),
            *(Column("Cache hit rate", Unit.RATIO), Column("Cache savings", Unit.NANOUSD)),
        ),
        tuple(
            (
                part.key,
                *(part.readings[key].value for key in ("cache_read_tokens", "cache_write_tokens")),
                *(part.readings[key].value for key in ("cache_hit_rate", "cache_savings")),
            )
            for part in parts
        ),
    )
