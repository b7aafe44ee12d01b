"""Pricing stored calls again, after a price was corrected. Explicit, and looked at before it is done.

A call is priced from what its row kept: token columns, flags, searches, and the iterations in its detail. Calls whose
usage nobody knows, that were never bought, or whose model was one too many to keep its name, stay as they are.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

import msgspec
from django.db import connection, transaction

from ingest import dimensions
from ingest.partitions import lower_bound, time_of
from ingest.pricing import PriceBook
from ingest.usage import Usage, recall
from ingest.vocabulary import DimensionKind, Flag, Grain

BATCH: Final = 5_000
"""Rows per statement and, when applied, per transaction."""

# Priced, or unpriced though the usage is known. A known cost without a price is that of a call nobody charged for.
_PAGE: Final = """
SELECT id, started_at, model_id, flags, input_tokens, output_tokens, cache_read_tokens, cache_write_5m_tokens,
       cache_write_1h_tokens, web_searches, cost_nanousd, price_id, detail -> 'usage' ->> 'iterations'
  FROM request_log
 WHERE project_id = %(project)s
   AND id >= %(first)s AND id < %(end)s
   AND (price_id IS NOT NULL OR (cost_nanousd IS NULL AND flags & %(usage_unknown)s = 0))
 ORDER BY id
 LIMIT %(limit)s
"""
_UPDATE: Final = """
UPDATE request_log
   SET cost_nanousd = fresh.cost_nanousd, price_id = fresh.price_id
  FROM unnest(%(ids)s::uuid[], %(costs)s::bigint[], %(prices)s::int[]) AS fresh (id, cost_nanousd, price_id)
 WHERE request_log.project_id = %(project)s
   AND request_log.id = fresh.id
   AND request_log.id BETWEEN %(first)s AND %(last)s
"""
_MARK: Final = """
INSERT INTO rollup_dirty (bucket, marked_at, project_id, grain)
SELECT unnest(%(minutes)s::timestamptz[]), %(now)s, %(project)s, %(grain)s
"""


class Span(NamedTuple):
    """The calls of one project that started in [`since`, `until`)."""

    project_id: int
    since: datetime
    until: datetime


@dataclass
class Difference:
    """What pricing again changes for one model. Sums are nano-dollars over the priced calls."""

    model: str
    calls: int = 0
    changed: int = 0
    before_nanousd: int = 0
    after_nanousd: int = 0
    unpriced_before: int = 0
    unpriced_after: int = 0

    def count(self, call: "_Repriced") -> None:
        (before, _), (after, _) = call.before, call.after
        self.calls += 1
        self.changed += call.before != call.after
        self.before_nanousd += 0 if before is None else before
        self.after_nanousd += 0 if after is None else after
        self.unpriced_before += before is None
        self.unpriced_after += after is None


class _Repriced(NamedTuple):
    id: UUID
    model: str
    before: tuple[int | None, int | None]
    after: tuple[int | None, int | None]


def reprice(span: Span, book: PriceBook, *, now: datetime, is_applied: bool) -> list[Difference]:
    """What pricing again changes, by model; written only when `is_applied`.

    Each page of rows and the marks of its minutes commit together, so it may be interrupted and repeated.
    """
    found: dict[str, Difference] = {}
    for page in _pages(span):
        calls = _price(page, span.project_id, book)
        changed = [call for call in calls if call.after != call.before]
        if is_applied and changed:
            with transaction.atomic():
                _write(changed, span.project_id, now)
        for call in calls:
            found.setdefault(call.model, Difference(call.model)).count(call)
    return [found[model] for model in sorted(found)]


def _pages(span: Span) -> Iterator[list[tuple[Any, ...]]]:
    first, end = lower_bound(span.since), lower_bound(span.until)
    while True:
        with connection.cursor() as cursor:
            cursor.execute(
                _PAGE,
                {
                    "project": span.project_id,
                    "first": first,
                    "end": end,
                    "usage_unknown": Flag.USAGE_UNKNOWN.value,
                    "limit": BATCH,
                },
            )
            page = cursor.fetchall()
        if page:
            yield page
        if len(page) < BATCH:
            return
        first = UUID(int=page[-1][0].int + 1)


def _price(page: list[tuple[Any, ...]], project_id: int, book: PriceBook) -> list[_Repriced]:
    models = dimensions.names(project_id, DimensionKind.MODEL)
    priced = []
    for call_id, started_at, model_id, flags, *counts, nanousd, price_id, iterations in page:
        model = models.get(model_id, "")
        if model == dimensions.OTHER_NAME:
            continue
        usage = _usage(flags, *counts)
        if iterations is not None:
            usage = recall(usage, msgspec.json.decode(iterations))
        cost = book.price(usage, model, started_at)
        after = (None, None) if cost is None else (cost.nanousd, cost.price_id)
        priced.append(_Repriced(call_id, model, (nanousd, price_id), after))
    return priced


def _usage(flags: int, *counts: int) -> Usage:
    """From the columns, in the order of the statement: five kinds of tokens, then searches."""
    fresh, output, read, write_5m, write_1h, searches = counts
    return Usage(
        fresh,
        output,
        read,
        write_5m,
        write_1h,
        searches,
        batch=flags & Flag.BATCH.value != 0,
        fast=flags & Flag.FAST.value != 0,
        us_only=flags & Flag.US_ONLY.value != 0,
        priority=flags & Flag.PRIORITY.value != 0,
    )


def _write(changed: list[_Repriced], project_id: int, now: datetime) -> None:
    minutes = {time_of(call.id).replace(second=0, microsecond=0) for call in changed if call.after[0] != call.before[0]}
    with connection.cursor() as cursor:
        cursor.execute(
            _UPDATE,
            {
                "project": project_id,
                "ids": [call.id for call in changed],
                "costs": [call.after[0] for call in changed],
                "prices": [call.after[1] for call in changed],
                "first": changed[0].id,
                "last": changed[-1].id,
            },
        )
        if minutes:
            cursor.execute(
                _MARK,
                {"minutes": sorted(minutes), "now": now, "project": project_id, "grain": Grain.MINUTE.value},
            )
