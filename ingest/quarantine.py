"""Events whose time lies outside the days that can be stored: kept as they came, never lost, never counted."""

from collections.abc import Collection
from datetime import datetime
from typing import Final

from ingest.events import Event, encode
from ingest.models import Quarantined
from ingest.partitions import lower_bound, storable

_TOO_OLD: Final = "Its time is before the days that are kept (RETENTION_CALL_DAYS)."
_TOO_NEW: Final = "Its time is more than 10 minutes ahead of this server's clock."


def keep(events: Collection[Event], *, project_id: int, now: datetime) -> int:
    """Puts the events aside, in the caller's transaction; how many are new. One that is there already stays."""
    first = lower_bound(storable(now)[0]).int
    ids = {event.id for event in events}
    repeated = Quarantined.objects.filter(project_id=project_id, event_id__in=ids).count()
    Quarantined.objects.bulk_create(
        [
            Quarantined(
                project_id=project_id,
                event_id=event.id,
                received_at=now,
                reason=_TOO_OLD if event.id.int < first else _TOO_NEW,
                event=encode(event),
            )
            for event in sorted(events, key=lambda event: event.id.int)
        ],
        ignore_conflicts=True,
    )
    return len(ids) - repeated
