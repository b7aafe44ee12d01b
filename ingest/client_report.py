"""What the clients say about themselves: who is sending, and how many events never arrived."""

from datetime import datetime
from typing import Final

import msgspec
from django.db.backends.utils import CursorWrapper

from ingest.events import Client

# Counts run from the start of the process, so the largest report is the latest: a batch that was repeated or overtaken
# by the next one changes nothing.
_UPSERT: Final = """
INSERT INTO client_instance AS kept
       (project_id, instance, boot_id, sdk, first_seen_at, last_seen_at, emitted, dropped)
VALUES (%(project)s, %(instance)s, %(boot)s, %(sdk)s, %(now)s, %(now)s, %(emitted)s, %(dropped)s)
    ON CONFLICT (project_id, instance, boot_id) DO UPDATE
   SET sdk = excluded.sdk,
       last_seen_at = greatest(kept.last_seen_at, excluded.last_seen_at),
       emitted = greatest(kept.emitted, excluded.emitted),
       dropped = CASE WHEN excluded.emitted >= kept.emitted THEN excluded.dropped ELSE kept.dropped END
"""


def keep(cursor: CursorWrapper, client: Client, *, project_id: int, now: datetime) -> None:
    """Writes one process's report, in the caller's transaction."""
    cursor.execute(
        _UPSERT,
        {
            "project": project_id,
            "instance": client.instance,
            "boot": client.boot_id,
            "sdk": client.sdk,
            "now": now,
            "emitted": client.emitted,
            "dropped": msgspec.json.encode(client.dropped).decode(),
        },
    )
