"""Scores: what somebody thought of an answer, a number or a word under a name, told with a batch or by itself.

A score belongs to a call by its id alone, so it may arrive first. The newest of a name counts.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Annotated, Final
from uuid import UUID

from django.db.backends.utils import CursorWrapper
from msgspec import Meta, Struct

from ingest import partitions
from ingest.events import MOST_REPAIRS, Text500, Utc, is_call_id
from ingest.models import RequestLog

Name = Annotated[str, Meta(min_length=1, max_length=64)]
Word = Annotated[str, Meta(min_length=1, max_length=200)]
Value = Annotated[float, Meta(ge=-1e15, le=1e15)]
"""Bounded, so that sums of scores are numbers whoever sends them."""

# Repeats change nothing, so a score that is sent again writes no row.
_UPSERT: Final = """
INSERT INTO score AS kept (project_id, call_id, name, value, label, comment, at, received_at)
SELECT %(project)s, told.*, %(now)s
  FROM unnest(%(calls)s::uuid[], %(names)s::text[], %(values)s::float8[], %(labels)s::text[], %(comments)s::text[],
              %(times)s::timestamptz[]) AS told
    ON CONFLICT (project_id, call_id, name) DO UPDATE
   SET value = excluded.value, label = excluded.label, comment = excluded.comment, at = excluded.at,
       received_at = excluded.received_at
 WHERE excluded.at > kept.at
RETURNING call_id
"""
_HOUR: Final = timedelta(hours=1)


class Score(Struct, frozen=True, gc=False, omit_defaults=True):
    """One score as it is on the wire."""

    call_id: UUID
    name: Name
    at: Utc
    value: Value | None = None
    label: Word | None = None
    comment: Text500 | None = None


def fault(score: Score, now: datetime) -> tuple[str, str] | None:
    """(field, reason) of what types and limits cannot say, or None when the score is good."""
    if not is_call_id(score.call_id):
        return "call_id", "must be the id of a call, a UUIDv7"
    start, end = partitions.storable(now)
    if not partitions.lower_bound(start) <= score.call_id < partitions.lower_bound(end):
        return "call_id", "its call lies outside the days that are kept"
    if not start <= score.at < end:
        return "at", "must lie within the days that are kept, at most 10 minutes ahead of this server's clock"
    if (score.value is None) == (score.label is None):
        return "value", "a score has a number as value or a word as label, one of them"
    return None


def quality(call: RequestLog, told: Mapping[str, float | None]) -> tuple[bool | None, int | None]:
    """Whether the answer of a call had the form asked for, and its repairs: as the call says itself, else as scores do.

    `told` are the values of its scores by name. This rule is for whoever counts them, too: docs/decisions.md says why.
    """
    valid, repairs = call.valid, call.repairs
    if valid is None and (value := told.get("valid")) is not None:
        valid = value != 0
    if repairs is None and (value := told.get("repairs")) is not None and 0 <= (number := round(value)) <= MOST_REPAIRS:
        repairs = number
    return None if valid is None else bool(valid), repairs


def keep(cursor: CursorWrapper, scores: Iterable[Score], *, project_id: int, now: datetime) -> list[datetime]:
    """Writes the scores, in the caller's transaction, and says which hours of calls have other scores now.

    Of two of one name and call the newer stays.
    """
    newest: dict[tuple[UUID, str], Score] = {}
    for score in scores:
        key = (score.call_id, score.name)
        if key not in newest or score.at >= newest[key].at:
            newest[key] = score
    # In one order, so that two batches do not wait for each other.
    told = [newest[key] for key in sorted(newest)]
    if not told:
        return []
    cursor.execute(
        _UPSERT,
        {
            "project": project_id,
            "now": now,
            "calls": [score.call_id for score in told],
            "names": [score.name for score in told],
            "values": [score.value for score in told],
            "labels": [score.label for score in told],
            "comments": [score.comment for score in told],
            "times": [score.at for score in told],
        },
    )
    return partitions.buckets_of({call_id.int for (call_id,) in cursor.fetchall()}, _HOUR)
