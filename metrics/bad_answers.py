# ruff: noqa: S608 — categories and columns come from declarations in this package, values are parameters
"""Bad answers: the newest calls that failed for what their answers were, by an index of their own."""

from typing import Final, NamedTuple
from uuid import UUID

from ingest.partitions import lower_bound
from ingest.vocabulary import ErrorCategory
from metrics.clauses import COLUMNS
from metrics.selection import resolve
from metrics.slices import Slice
from metrics.steps import Sql, Steps
from metrics.windows import Window

CATEGORIES: Final = (ErrorCategory.REFUSAL, ErrorCategory.TRUNCATED, ErrorCategory.INVALID_OUTPUT)
"""Those of the index request_log_bad_answers."""
MOST: Final = 5_000
"""The newest so many of the window are looked through for those a slice means."""

# The filters come after the limit, or a rare one would read all there are. Without a word on the outcome no other index
# can be thought to do; all of these are failures.
_NEWEST: Final = f"""
SELECT id::text, error::text
  FROM (SELECT * FROM request_log
         WHERE project_id = %s AND id >= %s AND id < %s AND error IN ({", ".join(f"{one:d}" for one in CATEGORIES)})
         ORDER BY id DESC
         LIMIT %s) AS bad
 WHERE TRUE{{filters}}
 ORDER BY id DESC
 LIMIT %s
"""


class BadAnswer(NamedTuple):
    """One call; its time is in its id."""

    id: UUID
    error: ErrorCategory


def newest(window: Window, slice_: Slice, *, most: int) -> Steps[list[BadAnswer]]:
    """Find the newest bad answers, newest first."""
    filters = yield from resolve(slice_)
    if filters is None:
        return []
    conditions = "".join(f" AND {COLUMNS[dimension]} = %s" for dimension in filters)
    bounds = lower_bound(window.start), lower_bound(window.end)
    values = (slice_.project_id, *bounds, MOST, *filters.values(), most)
    (rows,) = yield [Sql(_NEWEST.format(filters=conditions), values)]
    found = [BadAnswer(UUID(key), ErrorCategory(int(error or 0))) for key, error in rows]
    return sorted(found, key=lambda one: one.id, reverse=True)
