"""Drawings: what a panel becomes once its numbers are in, and the contract of panels."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import orjson

from dashboard.charts import Figure, Line
from dashboard.grids import Grid
from dashboard.look import Look, Need
from dashboard.tables import Column, Table
from metrics.readings import Series
from metrics.slices import NONE, OTHER
from metrics.units import Unit


class Extra(Protocol):
    """A drawing of another kind (bars of limits, strips of states): its template finds it as `extra`."""

    @property
    def template(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Drawn:
    """A panel with its numbers in: a sentence, the numbers as a table, and what it shows of them."""

    takeaway: str
    table: Table
    figure: Figure | None = None
    legend: Sequence[Line] = ()
    grid: Grid | None = None
    extra: Extra | None = None
    is_good_news: bool = False
    """There is nothing to show, and that is well."""

    @property
    def is_empty(self) -> bool:
        return self.figure is None and self.extra is None and (self.grid is None or not self.grid.rows)

    @property
    def json(self) -> str:
        """The figure for the page; `<` is escaped, so nothing in a name can end the script element."""
        return orjson.dumps(self.figure).decode().replace("<", "\\u003c")


class Panel(Protocol):
    """What a page lists: a key for its address, words, and one function from a look at the data to a drawing."""

    @property
    def key(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def width(self) -> str: ...
    @property
    def needs(self) -> Sequence[Need]:
        """Return what it looks at, so that a page can read it together with what others need."""
        ...

    def draw(self, look: Look) -> Drawn: ...


def timetable(series: Sequence[Series], names: Sequence[str], unit: Unit) -> Table:
    """Lay several series side by side, one row per bucket, oldest first."""
    columns = (Column("Time (UTC)", is_time=True), *(Column(name, unit) for name in names))
    starts = series[0].starts if series else ()
    rows = tuple((start, *(one.values[place] for one in series)) for place, start in enumerate(starts))
    return Table(columns, rows)


def spoken(name: str) -> str:
    """Return how a part is called in a sentence or a legend."""
    return {NONE: "not named", OTHER: "others"}.get(name, name.replace("_", " ") if name.islower() else name)
