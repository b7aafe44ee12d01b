"""How much of what was called has a price: calls of the last day, by model, as the minutes have counted them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import connection

from ingest.vocabulary import Grain
from metrics.facets import facet_of
from metrics.slices import NONE
from metrics.windows import SPANS, Window, floor

COVERED: Final = timedelta(days=1)
MOST_MODELS: Final = 50

_SQL: Final = """
SELECT coalesce(dim.name, %(none)s), sum(requests)::bigint, sum(unpriced)::bigint,
       sum(sum(requests)) OVER ()::bigint, sum(sum(unpriced)) OVER ()::bigint
  FROM facet_minute
  LEFT JOIN dim ON dim.id = key
 WHERE facet_minute.project_id = %(project)s AND environment_id = 0 AND facet = %(facet)s
   AND bucket >= %(start)s AND bucket < %(stop)s
 GROUP BY dim.name
 ORDER BY 3 DESC, 2 DESC, 1
 LIMIT %(most)s
"""


@dataclass(frozen=True, slots=True)
class Model:
    name: str
    calls: int
    unpriced: int


@dataclass(frozen=True, slots=True)
class Coverage:
    """Models with the most calls without a price first; the sums are of all models."""

    window: Window
    models: Sequence[Model]
    calls: int
    unpriced: int


def coverage(project_id: int, now: datetime) -> Coverage:
    """Return the calls with and without a price in the last day of whole minutes, the one at hand included."""
    start = floor(now - COVERED, SPANS[Grain.MINUTE])
    model = facet_of("model")
    assert model is not None
    values: dict[str, Any] = {"project": project_id, "facet": model.number, "none": NONE, "most": MOST_MODELS}
    with connection.cursor() as cursor:
        cursor.execute(_SQL, values | {"start": start, "stop": now})
        rows = cursor.fetchall()
    models = [Model(*row[:3]) for row in rows]
    calls, unpriced = rows[0][3:] if rows else (0, 0)
    return Coverage(Window(start, now), models, calls, unpriced)
