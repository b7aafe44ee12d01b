"""Grids: tables made for reading, with links, bars and marks. The plain numbers of a panel are in its `Table`."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Head:
    """A column: its heading, and whether it names the row, says something, counts, or shows a share as a bar."""

    label: str
    kind: Literal["name", "text", "number", "bar"] = "number"
    href: str = ""
    """Orders the rows by this column."""
    is_sorted: bool = False
    """The rows are ordered by this column, largest first."""


@dataclass(frozen=True, slots=True)
class Cell:
    text: str = ""
    href: str = ""
    tone: Literal["", "bad", "warn", "good", "muted"] = ""
    hint: str = ""
    """For the title and for those who listen: what the tone means, or the number with every digit."""
    share: int = 0
    """Percent, for a bar."""


@dataclass(frozen=True, slots=True)
class Grid:
    """Rows of cells, one cell per head. The first column is the heading of its row."""

    heads: Sequence[Head]
    rows: Sequence[Sequence[Cell]]
    sums: Sequence[Sequence[Cell]] = ()
    """Rows at the foot: all of the others together."""
    is_wide: bool = False
    """Many columns: smaller print, and a scroll bar of its own where the window is narrow."""

    @property
    def lines(self) -> Iterator[list[tuple[Head, Cell]]]:
        return self._lines(self.rows)

    @property
    def foot(self) -> Iterator[list[tuple[Head, Cell]]]:
        return self._lines(self.sums)

    def _lines(self, rows: Sequence[Sequence[Cell]]) -> Iterator[list[tuple[Head, Cell]]]:
        for row in rows:
            yield list(zip(self.heads, row, strict=True))
