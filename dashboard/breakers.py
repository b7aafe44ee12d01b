"""Which calls the clients hold back themselves just now, in a sentence for each group of models."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from django.db import DatabaseError, connection

from dashboard.query import DashboardQuery
from ingest.vocabulary import BreakerState
from metrics.capacity import SILENT

# Clients name the groups, and a hostile one as many as it likes.
MOST_GROUPS: Final = 3

# When a breaker left "closed" is when the trouble began: between then and now it may have tried several times.
_HELD: Final = """
SELECT held.name,
       count(*) FILTER (WHERE held.guard ->> 'breaker' = 'open') AS stopped,
       count(*) FILTER (WHERE held.guard ->> 'breaker' = 'half_open') AS tried,
       min(left_closed.at),
       (array_agg(opened.reason ORDER BY opened.at DESC NULLS LAST))[1],
       count(*) OVER ()
  FROM client_instance client
 CROSS JOIN jsonb_each(client.guards) held (name, guard)
  LEFT JOIN LATERAL (
       SELECT max(at) AS at FROM breaker_transition
        WHERE project_id = client.project_id AND boot_id = client.boot_id AND "group" = held.name
          AND before = %(closed)s) left_closed ON true
  LEFT JOIN LATERAL (
       SELECT at, reason FROM breaker_transition
        WHERE project_id = client.project_id AND boot_id = client.boot_id AND "group" = held.name
          AND after = %(open)s
        ORDER BY at DESC LIMIT 1) opened ON true
 WHERE client.project_id = %(project)s
   AND client.last_seen_at >= %(seen)s
   AND held.guard ->> 'breaker' IN ('open', 'half_open')
 GROUP BY held.name
 ORDER BY count(*) DESC, held.name
 LIMIT %(most)s
"""
WORDS: Final = {
    "failure_share": "too many of them failed",
    "consecutive_failures": "several in a row failed",
    "probes_failed": "those let through to find out failed too",
    "shared": "another client has stopped them",
    "rate_limit": "Claude turned them away: rate limit",
    "overloaded": "Claude is overloaded",
}


@dataclass(frozen=True, slots=True)
class Held:
    """A group of models whose calls are not let through, on so many clients."""

    group: str
    stopped: int
    tried: int
    since: datetime | None
    reason: str | None


def sentences(query: DashboardQuery) -> list[str]:
    """Empty when all calls are let through, or the page is about another time than now."""
    if not query.is_live:
        return []
    try:
        held, groups = _held(query.slice.project_id, query.now)
    except DatabaseError:
        return ["Whether clients hold calls back could not be read."]
    said = [written(one, query.now) for one in held]
    if (rest := groups - len(held)) > 0:
        said.append(f"Calls to {rest} more {'group' if rest == 1 else 'groups'} of models are held back, too.")
    return said


def written(held: Held, now: datetime) -> str:
    why = f", because {because(held.reason)}" if held.reason else ""
    since = "" if held.since is None else f" since {_clock(held.since, now)} UTC"
    if held.stopped == 0:
        stopped = "" if since == why == "" else f"; they were not let through{since}{why}"
        return f"Calls to {held.group} are being tried again on {_clients(held.tried)}{stopped}."
    tried = "" if held.tried == 0 else f"; on {held.tried:,} more they are being tried again"
    return f"Calls to {held.group} are stopped on {_clients(held.stopped)}{since}{why}{tried}."


def because(reason: str) -> str:
    """Return why a breaker opened, in words; a reason of a newer client in its own."""
    return WORDS.get(reason, f"“{reason}”")


def _held(project_id: int, now: datetime) -> tuple[list[Held], int]:
    values: dict[str, Any] = {
        "project": project_id,
        "seen": now - SILENT,
        "closed": BreakerState.CLOSED.value,
        "open": BreakerState.OPEN.value,
        "most": MOST_GROUPS,
    }
    with connection.cursor() as cursor:
        cursor.execute(_HELD, values)
        rows = cursor.fetchall()
    return [Held(*row[:5]) for row in rows], rows[0][5] if rows else 0


def _clients(number: int) -> str:
    return f"{number:,} {'client' if number == 1 else 'clients'}"


def _clock(at: datetime, now: datetime) -> str:
    utc = at.astimezone(UTC)
    return f"{utc:%H:%M}" if utc.date() == now.astimezone(UTC).date() else f"{utc:%-d %b, %H:%M}"
