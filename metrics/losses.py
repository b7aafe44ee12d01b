"""What is in no number: events that clients gave up, and events that were put aside because of their time."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db import connection

from metrics.windows import Window


@dataclass(frozen=True, slots=True)
class Losses:
    """Known losses around a window; both are of the whole project, because a lost event has no feature to go by."""

    given_up: Mapping[str, int]
    """Events by reason, as the processes that reported in the window count them since they started; most first."""
    put_aside: int
    """Events received in the window whose time lies outside the days that are kept."""


def losses(project_id: int, window: Window) -> Losses:
    values: dict[str, Any] = {"project": project_id, "start": window.start, "stop": window.end}
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT reason, sum(number::bigint) AS total
              FROM client_instance, jsonb_each_text(dropped) AS lost (reason, number)
             WHERE project_id = %(project)s AND last_seen_at >= %(start)s AND first_seen_at < %(stop)s
             GROUP BY reason
            HAVING sum(number::bigint) > 0
             ORDER BY total DESC, reason
            """,
            values,
        )
        # A client may claim any number, and two of them together fit no column.
        given_up = {reason: int(total) for reason, total in cursor.fetchall()}
        cursor.execute(
            """
            SELECT count(*) FROM quarantine
             WHERE project_id = %(project)s AND received_at >= %(start)s AND received_at < %(stop)s
            """,
            values,
        )
        (put_aside,) = cursor.fetchone()
    return Losses(given_up, put_aside)
