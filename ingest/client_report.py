"""What the clients say about themselves: who is sending, how many events never arrived, what their breakers stopped."""

from datetime import datetime
from typing import Any, Final, NamedTuple

import msgspec
from django.db.backends.utils import CursorWrapper

from ingest import guards
from ingest.events import Client
from ingest.guards import Guards
from ingest.vocabulary import BreakerState

# Counts run from the start of the process, so the largest report is the latest: a batch that was repeated or overtaken
# by the next one changes nothing.
_UPSERT: Final = """
INSERT INTO client_instance AS kept
       (project_id, instance, boot_id, sdk, first_seen_at, last_seen_at, emitted, dropped, guards, received)
VALUES (%(project)s, %(instance)s, %(boot)s, %(sdk)s, %(now)s, %(now)s, %(emitted)s, %(dropped)s, %(guards)s,
        %(received)s)
    ON CONFLICT (project_id, instance, boot_id) DO UPDATE
   SET sdk = excluded.sdk,
       received = kept.received + excluded.received,
       last_seen_at = greatest(kept.last_seen_at, excluded.last_seen_at),
       emitted = greatest(kept.emitted, excluded.emitted),
       dropped = CASE WHEN excluded.emitted >= kept.emitted THEN excluded.dropped ELSE kept.dropped END,
       guards = CASE WHEN excluded.emitted >= kept.emitted THEN excluded.guards ELSE kept.guards END
"""
# The same ones are told again with later batches.
_CHANGES: Final = """
INSERT INTO breaker_transition (project_id, boot_id, instance, "group", at, before, after, reason, retry_in_ms)
SELECT %(project)s, %(boot)s, %(instance)s, told.*
  FROM unnest(%(groups)s::text[], %(times)s::timestamptz[], %(before)s::smallint[], %(after)s::smallint[],
              %(reasons)s::text[], %(retries)s::int[]) AS told
    ON CONFLICT DO NOTHING
"""
_STATES: Final = {state.name.lower(): state.value for state in BreakerState}


class Report(NamedTuple):
    """What one process said, as far as it can be kept."""

    client: Client
    guards: Guards


def read(client: Client, *, now: datetime) -> Report:
    return Report(client, guards.read(client.guards, client.transitions, now=now))


def keep(cursor: CursorWrapper, report: Report, *, project_id: int, now: datetime, received: int) -> None:
    """Writes one process's report, in the caller's transaction. `received`: the events of its batch that were new."""
    client, (groups, transitions) = report
    process: dict[str, Any] = {"project": project_id, "instance": client.instance, "boot": client.boot_id}
    cursor.execute(
        _UPSERT,
        {
            **process,
            "sdk": client.sdk,
            "now": now,
            "emitted": client.emitted,
            "received": received,
            "dropped": msgspec.json.encode(client.dropped).decode(),
            "guards": msgspec.json.encode(groups).decode(),
        },
    )
    if transitions:
        cursor.execute(
            _CHANGES,
            {
                **process,
                "groups": [one.group for one in transitions],
                "times": [one.at for one in transitions],
                "before": [_STATES[one.before] for one in transitions],
                "after": [_STATES[one.after] for one in transitions],
                "reasons": [one.reason for one in transitions],
                "retries": [None if one.retry_in_s is None else round(one.retry_in_s * 1000) for one in transitions],
            },
        )
