"""What the fake served and will bill: tokens by minute and by whatever a report may ask for."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, NamedTuple

from llmclient.testing._pricelist import (
    INPUT,
    OUTPUT,
    READ,
    TOKEN_TYPES,
    WEB_SEARCH,
    WRITE_1H,
    WRITE_5M,
    costs,
    undated,
)

LONG_CONTEXT: Final = 200_000  # tokens of input above which a call is in the upper tier of a report


class Line(NamedTuple):
    """What the calls of one row of the ledger have in common. `minute` is aware UTC."""

    minute: datetime
    model: str
    api_key_id: str
    service_tier: str
    speed: str
    inference_geo: str | None
    context_window: str


@dataclass(slots=True)
class Sums:
    """What they add up to. Nano-dollars; `unpriced` counts the calls the fake has no price for."""

    requests: int = 0
    tokens: dict[str, int] = field(default_factory=lambda: dict.fromkeys(TOKEN_TYPES, 0))
    searches: int = 0
    nanousd: dict[str, Decimal] = field(default_factory=lambda: dict.fromkeys(TOKEN_TYPES, Decimal(0)))
    unpriced: int = 0

    def add(self, other: "Sums") -> None:
        self.requests += other.requests
        self.searches += other.searches
        self.unpriced += other.unpriced
        for kind in TOKEN_TYPES:
            self.tokens[kind] += other.tokens[kind]
            self.nanousd[kind] += other.nanousd[kind]

    @property
    def total_tokens(self) -> int:
        return sum(self.tokens.values())

    @property
    def search_nanousd(self) -> Decimal:
        return Decimal(self.searches * WEB_SEARCH)

    @property
    def nanousd_total(self) -> Decimal:
        return sum(self.nanousd.values(), self.search_nanousd)


class Ledger:
    """Books what was served. Not thread-safe: it belongs to the event loop of one server."""

    def __init__(self) -> None:
        self._rows: dict[Line, Sums] = {}

    def book(self, at: datetime, model: str, key: str, usage: Mapping[str, Any]) -> None:
        """One answer, with the usage it reported."""
        tokens = tokens_of(usage)
        tier, speed = str(usage.get("service_tier") or "standard"), str(usage.get("speed") or "standard")
        geo = usage.get("inference_geo")
        window = "200k-1M" if sum(tokens.values()) - tokens[OUTPUT] > LONG_CONTEXT else "0-200k"
        minute = at.replace(second=0, microsecond=0)
        line = Line(minute, undated(model), api_key_id(key), tier, speed, geo, window)
        nanousd = costs(model, tokens, batch=tier == "batch", fast=speed == "fast", us=geo == "us")
        served = Sums(1, tokens, _searches(usage), unpriced=int(nanousd is None))
        if nanousd is not None:
            served.nanousd = nanousd
        self._rows.setdefault(line, Sums()).add(served)

    def between(self, start: datetime, end: datetime) -> Iterator[tuple[Line, Sums]]:
        """The rows whose minute lies in [start, end)."""
        return ((line, sums) for line, sums in self._rows.items() if start <= line.minute < end)


def tokens_of(usage: Mapping[str, Any]) -> dict[str, int]:
    """A usage object as the five kinds of tokens; a cache write of unknown length is one of five minutes."""
    split = usage.get("cache_creation") or {}
    hour = int(split.get("ephemeral_1h_input_tokens") or 0)
    written = max(int(usage.get("cache_creation_input_tokens") or 0), hour)
    return {
        INPUT: int(usage.get("input_tokens") or 0),
        WRITE_5M: max(written - hour, int(split.get("ephemeral_5m_input_tokens") or 0)),
        WRITE_1H: hour,
        READ: int(usage.get("cache_read_input_tokens") or 0),
        OUTPUT: int(usage.get("output_tokens") or 0),
    }


def api_key_id(key: str) -> str:
    """How reports name a key: a function of the key that does not give it away."""
    return f"apikey_{hashlib.blake2s(key.encode(), digest_size=12).hexdigest()}"


def _searches(usage: Mapping[str, Any]) -> int:
    return int((usage.get("server_tool_use") or {}).get("web_search_requests") or 0)
