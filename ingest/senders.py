"""Who sends: the client processes heard lately, what each made, what it gave up, and what of it arrived."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import orjson
from django.db import connection

HEARD_IN: Final = timedelta(hours=1)
MOST_SENDERS: Final = 200

_SQL: Final = """
SELECT instance, sdk, first_seen_at, last_seen_at, emitted, received, dropped::text, count(*) OVER ()
  FROM client_instance
 WHERE project_id = %s AND last_seen_at >= %s
 ORDER BY last_seen_at DESC
 LIMIT %s
"""


@dataclass(frozen=True, slots=True)
class Sender:
    """One run of one process, counted since its start."""

    instance: str
    sdk: str
    first_seen_at: datetime
    last_seen_at: datetime
    emitted: int
    received: int | None
    """None: the process was there before arrivals were counted."""
    given_up: Mapping[str, int]

    @property
    def lost(self) -> int:
        return sum(self.given_up.values())

    @property
    def on_the_way(self) -> int | None:
        """Events neither here nor given up: in the process or in its spool. None: not known.

        What another process left in a shared spool is counted for the one that sent it, so one may have received more
        than it made.
        """
        return None if self.received is None else max(self.emitted - self.lost - self.received, 0)


@dataclass(frozen=True, slots=True)
class Senders:
    """Last heard first."""

    listed: Sequence[Sender]
    number: int
    """All of them, of which at most MOST_SENDERS are listed."""

    @property
    def given_up(self) -> Mapping[str, int]:
        """Events by reason, most first."""
        reasons: dict[str, int] = {}
        for sender in self.listed:
            for reason, lost in sender.given_up.items():
                reasons[reason] = reasons.get(reason, 0) + lost
        return dict(sorted(reasons.items(), key=lambda one: (-one[1], one[0])))


def senders(project_id: int, now: datetime) -> Senders:
    with connection.cursor() as cursor:
        cursor.execute(_SQL, [project_id, now - HEARD_IN, MOST_SENDERS])
        rows = cursor.fetchall()
    listed = [
        Sender(instance, sdk, first, last, emitted, received, _positive(orjson.loads(dropped)))
        for instance, sdk, first, last, emitted, received, dropped, _ in rows
    ]
    return Senders(listed, rows[0][-1] if rows else 0)


def _positive(dropped: Mapping[str, int]) -> Mapping[str, int]:
    return {reason: number for reason, number in dropped.items() if number > 0}
