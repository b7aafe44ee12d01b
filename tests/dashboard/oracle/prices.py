"""Prices of one moment, from the price list itself: nano-dollars per token of input, output and the cache."""

import tomllib
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from tests.dashboard.oracle.world import NOW

COLUMNS: Final = ("input", "output", "cache_read", "cache_write_5m", "cache_write_1h")
# Output decides, then input, and between models alike in both the cache.
_DEAREST_FIRST: Final = ("output", "input", "cache_write_1h", "cache_write_5m", "cache_read")
_LIST: Final = Path(__file__).resolve().parents[3] / "ingest" / "prices.toml"


def blocks() -> Mapping[str, Mapping[str, Any]]:
    """The newest block of each model that has begun, and has not ended."""
    found: dict[str, Mapping[str, Any]] = {}
    for block in tomllib.loads(_LIST.read_text(encoding="utf-8"), parse_float=Decimal)["price"]:
        for model in block["models"]:
            begun = block["from"] <= NOW.date()
            if begun and (model not in found or found[model]["from"] < block["from"]):
                found[model] = block
    return {model: block for model, block in found.items() if block.get("until", date.max) > NOW.date()}


def plain() -> Mapping[str, tuple[int, ...]]:
    """What each model costs without long prompts."""
    return {model: _nano(block) for model, block in blocks().items()}


def dearest(model: str, given: int, taken: int, read: int, written: int) -> int:
    """Tokens at the dearest model of a family, or of all for one nobody knows, all of them in one prompt."""
    family = next((word for word in model.split("-")[1:] if word.isalpha()), "")
    known = blocks()
    kin = [block for name, block in known.items() if f"-{family}-" in name] or list(known.values())
    block = max(kin, key=lambda one: [_most(one, column) for column in _DEAREST_FIRST])
    is_long = "long" in block and given + read + written > block["long"]["above"]
    prices = _nano(block["long"] if is_long else block)
    return given * prices[0] + taken * prices[1] + read * prices[2] + written * prices[4]


def _most(block: Mapping[str, Any], column: str) -> Decimal:
    return max(Decimal(block[column]), Decimal(block.get("long", block)[column]))


def _nano(block: Mapping[str, Any]) -> tuple[int, ...]:
    return tuple(int(Decimal(block[column]) * 1_000) for column in COLUMNS)
