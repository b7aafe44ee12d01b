"""The organisation's usage and cost reports (`/v1/organizations/analytics/…`), made from what the fake served."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from llmclient.testing._ledger import Ledger, Sums
from llmclient.testing._pricelist import INPUT, OUTPUT, READ, TOKEN_TYPES, WRITE_1H, WRITE_5M
from llmclient.testing._report_query import DIMENSIONS, NULL, Asked, ReportError
from llmclient.testing._requests import Request

BETA: Final = "analytics-usage-cost-2026-08-24"
ROWS_A_PAGE: Final = 20
MOST_ROWS: Final = 1_000
NANO_PER_CENT: Final = 10_000_000
ORDERS: Final[Mapping[str, Callable[[Sums], int | Decimal]]] = {
    "time": lambda sums: sums.total_tokens,
    "total_tokens": lambda sums: sums.total_tokens,
    "output_tokens": lambda sums: sums.tokens[OUTPUT],
    "uncached_input_tokens": lambda sums: sums.tokens[INPUT],
    "requests": lambda sums: sums.requests,
    "amount": lambda sums: sums.nanousd_total,
}

Group = Mapping[str, str | None]
Row = tuple[datetime, datetime, Group, Sums]


def report(request: Request, ledger: Ledger, now: datetime) -> dict[str, Any]:
    """The answer of `analytics/usage` or `analytics/cost`. Raises ReportError."""
    if BETA not in request.headers.get("anthropic-beta", ""):
        raise ReportError(f"anthropic-beta: {BETA} is required")
    asked = Asked.read(request, now)
    rows = _ordered(request, asked, _rows(asked, ledger))
    page, following = _page(request, rows)
    costs = request.path.endswith("/cost")
    return {
        "data": [made for row in page for made in (_cost_rows(row, asked) if costs else [_usage_row(row)])],
        "has_more": following is not None,
        "next_page": following,
        "data_refreshed_at": now.isoformat(),
    }


def _rows(asked: Asked, ledger: Ledger) -> list[Row]:
    dimensions = [name for name in asked.group_by if name in DIMENSIONS]
    found: dict[tuple[datetime, datetime, tuple[str | None, ...]], Sums] = {}
    for line, sums in ledger.between(asked.start.replace(second=0, microsecond=0), asked.end):
        if asked.covers(line):
            values = tuple(DIMENSIONS[name](line) for name in dimensions)
            found.setdefault((*asked.bucket(line.minute), values), Sums()).add(sums)
    return [
        (begin, end, dict(zip(dimensions, values, strict=True)), sums) for (begin, end, values), sums in found.items()
    ]


def _ordered(request: Request, asked: Asked, rows: list[Row]) -> list[Row]:
    order_by, falling = request.asked("order_by") or "total_tokens", request.asked("order") != "asc"
    if order_by not in ORDERS:
        raise ReportError(f"order_by: {order_by!r} is not one of {', '.join(ORDERS)}")
    by_time = order_by == "time" and asked.width is not None
    ranked = sorted(rows, key=lambda row: ORDERS[order_by](row[3]), reverse=falling or by_time)
    return sorted(ranked, key=lambda row: row[0], reverse=falling) if by_time else ranked


def _page(request: Request, rows: list[Row]) -> tuple[Sequence[Row], str | None]:
    limit = int(request.asked("limit") or ROWS_A_PAGE)
    if not 1 <= limit <= MOST_ROWS:
        raise ReportError(f"limit: {limit} is not between 1 and {MOST_ROWS}")
    first = int((request.asked("page") or "page_0").removeprefix("page_"))
    last = first + limit
    return rows[first:last], f"page_{last}" if last < len(rows) else None


def _usage_row(row: Row) -> dict[str, Any]:
    _, _, _, sums = row
    usage = {
        "uncached_input_tokens": sums.tokens[INPUT],
        "cache_creation": {
            "ephemeral_5m_input_tokens": sums.tokens[WRITE_5M],
            "ephemeral_1h_input_tokens": sums.tokens[WRITE_1H],
        },
        "cache_read_input_tokens": sums.tokens[READ],
        "output_tokens": sums.tokens[OUTPUT],
        "server_tool_use": {"web_search_requests": sums.searches},
        "requests": sums.requests,
        "total_tokens": sums.total_tokens,
    }
    return _row(row, {}) | {"usage": usage}


def _cost_rows(row: Row, asked: Asked) -> Iterator[dict[str, Any]]:
    _, _, _, sums = row
    if sums.unpriced:
        raise ReportError("the fake has no price for a model it served")
    requests = None if {"cost_type", "token_type"} & set(asked.group_by) else sums.requests
    for kinds, nanousd in _components(sums, asked.group_by):
        cents = f"{(nanousd / NANO_PER_CENT).normalize():f}"
        cost = {"amount": cents, "list_amount": cents, "currency": "USD", "requests": requests}
        yield _row(row, {"cost_type": None, "token_type": None, **kinds}) | {"cost": cost}


def _components(sums: Sums, group_by: Sequence[str]) -> Iterator[tuple[Mapping[str, str], Decimal]]:
    searches = [({"cost_type": "web_search"}, sums.search_nanousd)] if sums.searches else []
    if "token_type" in group_by:
        for kind in TOKEN_TYPES:
            if sums.tokens[kind]:
                yield {"cost_type": "tokens", "token_type": kind}, sums.nanousd[kind]
        yield from searches if "cost_type" in group_by else ()
    elif "cost_type" in group_by:
        yield {"cost_type": "tokens"}, Decimal(sum(sums.nanousd.values()))
        yield from searches
    else:
        yield {}, sums.nanousd_total


def _row(row: Row, kinds: Mapping[str, str | None]) -> dict[str, Any]:
    begin, end, group, _ = row
    named: dict[str, Any] = {**dict.fromkeys((*DIMENSIONS, *NULL)), **group, **kinds}
    if named["actor"] is not None:
        named["actor"] = {"type": "api_actor", "api_key_id": named["actor"]}
    return {"starting_at": begin.isoformat(), "ending_at": end.isoformat(), "group": named}
