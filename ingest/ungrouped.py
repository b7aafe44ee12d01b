"""Failures stored without a failure group, by a version that did not know them: the periodic work gives them theirs.

The newest first, so that the pages of today are whole within a minute of an upgrade. Setting `failure_group_id` to NULL
has calls grouped again, after the rule for templates was changed.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from time import monotonic
from typing import Final, NamedTuple
from uuid import UUID

from django.db import connection, transaction

from ingest import failure_groups
from ingest.failure_groups import Fingerprint
from ingest.message_template import template_of
from ingest.partitions import kept_from, lower_bound
from ingest.store import mark
from ingest.vocabulary import FAILED

CALLS_AT_ONCE: Final = 2_000
"""Calls per transaction."""
BUDGET: Final = 60
"""Seconds of the lease a run holds (config.jobs); what is not done by then is left to the next run."""

_NEWEST: Final = f"""
SELECT project_id, id, error, coalesce(error_message, ''), prompt_type_id, prompt_version_id
  FROM request_log
 WHERE outcome IN ({", ".join(str(outcome.value) for outcome in FAILED)}) AND failure_group_id IS NULL
   AND id >= %s
 ORDER BY id DESC
 LIMIT %s
"""  # noqa: S608 - of our own words
_UPDATE: Final = """
UPDATE request_log
   SET failure_group_id = found.failure_group_id
  FROM unnest(%s::uuid[], %s::int[]) AS found (id, failure_group_id)
 WHERE request_log.project_id = %s
   AND request_log.id = found.id
   AND request_log.id BETWEEN %s AND %s
"""


class _Call(NamedTuple):
    id: UUID
    fingerprint: Fingerprint


def group_ungrouped(*, now: datetime) -> int:
    """Groups failures that have no group, and marks their minutes. Returns how many; safe to interrupt and repeat."""
    deadline = monotonic() + BUDGET
    done = 0
    while monotonic() < deadline and (calls := _newest(now)):
        for project_id, of_project in calls.items():
            _group(project_id, of_project, now)
            done += len(of_project)
    return done


def _newest(now: datetime) -> Mapping[int, Sequence[_Call]]:
    found: dict[int, list[_Call]] = defaultdict(list)
    with connection.cursor() as cursor:
        cursor.execute(_NEWEST, [lower_bound(kept_from("request_log", now)), CALLS_AT_ONCE])
        for project_id, call_id, error, message, prompt_type_id, prompt_version_id in cursor.fetchall():
            fingerprint = Fingerprint(error, template_of(message), prompt_type_id, prompt_version_id)
            found[project_id].append(_Call(call_id, fingerprint))
    return found


def _group(project_id: int, calls: Sequence[_Call], now: datetime) -> None:
    numbers = failure_groups.ids(project_id, (call.fingerprint for call in calls))
    ids = [call.id for call in calls]
    with transaction.atomic(), connection.cursor() as cursor:
        groups = [numbers[call.fingerprint] for call in calls]
        # The bounds let the planner open only the days that can match.
        cursor.execute(_UPDATE, [ids, groups, project_id, ids[-1], ids[0]])
        mark(cursor, (call_id.int for call_id in ids), project_id=project_id, now=now)
