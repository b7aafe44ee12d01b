"""The shipped price list (prices.toml) as rows of the Price table, and what loading it would change."""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from ingest.models import NANO_PER_DOLLAR, Price

FILE: Final = Path(__file__).with_name("prices.toml")

TOKEN_COLUMNS: Final = ("input", "output", "cache_read", "cache_write_5m", "cache_write_1h")
_KEY: Final = ("provider", "model", "effective_from")


class PriceListError(ValueError):
    """A block of the price list that cannot become a row."""


@dataclass(frozen=True)
class Change:
    """What loading one row does: `before` is empty for a new row, else the columns that differ, old and new."""

    model: str
    effective_from: datetime
    before: Mapping[str, Any]
    after: Mapping[str, Any]

    def __str__(self) -> str:
        name = f"{self.model} from {self.effective_from:%Y-%m-%d}"
        if not self.before:
            return f"{name}: new"
        differences = (f"{column} {self.before[column]} → {self.after[column]}" for column in self.before)
        return f"{name}: {', '.join(differences)}"


def read(text: str | None = None) -> list[dict[str, Any]]:
    """The rows of a price list, the shipped one by default, as columns of the Price table."""
    if text is None:
        text = FILE.read_text(encoding="utf-8")
    listed = tomllib.loads(text, parse_float=Decimal)
    return [_row(block, model, listed) for block in listed["price"] for model in block["models"]]


def changes(rows: Iterable[Mapping[str, Any]]) -> list[Change]:
    """How the table differs from the rows. Rows only the table has are somebody's own and no difference."""
    stored = {tuple(getattr(price, column) for column in _KEY): price for price in Price.objects.all()}
    found = []
    for row in rows:
        price = stored.get(tuple(row[column] for column in _KEY))
        before = {} if price is None else {c: getattr(price, c) for c, new in row.items() if getattr(price, c) != new}
        if price is None or before:
            found.append(Change(row["model"], row["effective_from"], before, row))
    return found


def load(rows: Iterable[Mapping[str, Any]]) -> list[Change]:
    """Brings the table to the rows and says what changed. Safe to repeat; the caller holds the transaction."""
    made = changes(rows)
    for change in made:
        key = {column: change.after[column] for column in _KEY}
        Price.objects.update_or_create(**key, defaults=dict(change.after))
    return made


def nano_per_token(dollars_per_million: Decimal | int) -> int:
    """1 $ per million tokens is 1,000 nano-dollars per token; raises PriceListError when that is not a whole number."""
    return _whole(Decimal(dollars_per_million) * NANO_PER_DOLLAR / 1_000_000, f"{dollars_per_million} $/MTok")


def nano_per_search(dollars_per_thousand: Decimal | int) -> int:
    """$10 per 1,000 searches is 10,000,000 nano-dollars per search; raises PriceListError as above."""
    return _whole(Decimal(dollars_per_thousand) * NANO_PER_DOLLAR / 1_000, f"{dollars_per_thousand} $/1,000")


def _row(block: Mapping[str, Any], model: str, listed: Mapping[str, Any]) -> dict[str, Any]:
    until = block.get("until")
    long = block.get("long", {})
    fast = block.get("fast")
    return {
        "provider": "anthropic",
        "model": model,
        "effective_from": _midnight(block["from"]),
        "effective_until": None if until is None else _midnight(until),
        **{column: nano_per_token(block[column]) for column in TOKEN_COLUMNS},
        "long_threshold": long.get("above"),
        **{f"long_{column}": nano_per_token(long[column]) if long else None for column in TOKEN_COLUMNS},
        "batch_multiplier": Decimal(block.get("batch", Decimal("0.5"))),
        "fast_multiplier": None if fast is None else Decimal(fast),
        "us_multiplier": Decimal(block.get("us", 1)),
        "web_search": nano_per_search(listed["web_search"]),
        "source": block.get("source", listed["source"]),
        "verified_at": block.get("verified_at", listed["verified_at"]),
    }


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def _whole(nano: Decimal, what: str) -> int:
    if nano != int(nano):
        raise PriceListError(f"{what} is not a whole number of nano-dollars; prices are kept to the nano-dollar")
    return int(nano)
