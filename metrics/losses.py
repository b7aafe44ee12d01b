"""What is in no number: events that clients gave up, and events that were put aside because of their time."""

from collections.abc import Mapping
from dataclasses import dataclass

from metrics.steps import Sql, Steps
from metrics.windows import Window


@dataclass(frozen=True, slots=True)
class Losses:
    """Known losses around a window; both are of the whole project, because a lost event has no feature to go by."""

    given_up: Mapping[str, int]
    """Events by reason, as the processes that reported in the window count them since they started; most first."""
    put_aside: int
    """Events received in the window whose time lies outside the days that are kept."""


def losses(project_id: int, window: Window) -> Steps[Losses]:
    """Find the losses, in steps (metrics.steps)."""
    # A client may claim any number, and two of them together fit no column.
    given_up, put_aside = yield [
        Sql(
            """
            SELECT reason, sum(number::bigint)::text
              FROM client_instance, jsonb_each_text(dropped) AS lost (reason, number)
             WHERE project_id = %s AND last_seen_at >= %s AND first_seen_at < %s
             GROUP BY reason
            HAVING sum(number::bigint) > 0
            """,
            (project_id, window.start, window.end),
        ),
        Sql(
            """
            SELECT NULL::text, count(*)::text FROM quarantine
             WHERE project_id = %s AND received_at >= %s AND received_at < %s
            """,
            (project_id, window.start, window.end),
        ),
    ]
    by_reason = sorted(
        ((reason or "", int(total or 0)) for reason, total in given_up), key=lambda one: (-one[1], one[0])
    )
    return Losses(dict(by_reason), int(put_aside[0][1] or 0))
