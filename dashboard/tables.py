"""Tables: raw values with the unit of each column, written for people on a page and exactly in a CSV file."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from metrics import units
from metrics.units import NANO_PER_DOLLAR, Number, Unit


@dataclass(frozen=True, slots=True)
class Column:
    label: str
    unit: Unit | None = None
    is_time: bool = False

    @property
    def is_number(self) -> bool:
        return self.unit is not None

    def written(self, value: object) -> str:
        """Return the value as a page shows it."""
        if value is None:
            return units.UNKNOWN
        if isinstance(value, datetime):
            return f"{value:%-d %b %H:%M}"
        if self.unit is not None and isinstance(value, int | Decimal):
            return units.number(value, self.unit)
        return str(value)

    @property
    def csv_label(self) -> str:
        """Return the heading of a file, with the unit its numbers are in."""
        unit = {Unit.NANOUSD: "USD", Unit.MILLISECONDS: "ms", Unit.RATIO: "0..1"}.get(self.unit or Unit.COUNT)
        return f"{self.label} ({unit})" if unit is not None else self.label

    def exact(self, value: object) -> object:
        """Return the value for a file: money in dollars with all its digits, times in UTC, unknown empty."""
        if isinstance(value, datetime):
            return value.isoformat()
        if self.unit is Unit.NANOUSD and value is not None:
            assert isinstance(value, int | Decimal)
            return Decimal(value) / NANO_PER_DOLLAR
        return value


@dataclass(frozen=True, slots=True)
class Table:
    columns: tuple[Column, ...]
    rows: tuple[tuple[object, ...], ...]

    @property
    def written(self) -> Iterator[list[tuple[Column, str]]]:
        for row in self.rows:
            yield [(column, column.written(value)) for column, value in zip(self.columns, row, strict=True)]

    @property
    def headings(self) -> Sequence[str]:
        return [column.csv_label for column in self.columns]

    @property
    def exact(self) -> Iterator[list[object]]:
        for row in self.rows:
            yield [column.exact(value) for column, value in zip(self.columns, row, strict=True)]


def number_or_none(value: object) -> Number | None:
    """Return a cell's number; None for anything else."""
    return value if isinstance(value, int | Decimal) else None
