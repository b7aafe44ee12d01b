"""The outbox as a whole: what waits and since when, what was given up."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db.models import Count, Max, Min, Q

from alerting.models import Notification

GIVEN_UP_IN: Final = timedelta(days=7)
STUCK_AFTER: Final = timedelta(minutes=15)
"""The longest wait between two tries: what is older was tried, or nobody tries."""


@dataclass(frozen=True, slots=True)
class Outbox:
    waiting: int
    oldest: datetime | None
    """When the longest waiting mail was owed."""
    sent: int
    given_up: int
    """Of the last seven days, as `sent`."""
    last_sent_at: datetime | None

    def is_stuck(self, now: datetime) -> bool:
        return self.oldest is not None and now - self.oldest > STUCK_AFTER


def outbox(now: datetime, project_id: int | None = None) -> Outbox:
    """Return the state of the mails of a project, or of all of them."""
    state = Notification.State
    lately = Q(created_at__gte=now - GIVEN_UP_IN)
    mails = Notification.objects.filter(lately | Q(state=state.WAITING))
    if project_id is not None:
        mails = mails.filter(transition__alert__project=project_id)
    found = mails.aggregate(
        waiting=Count("pk", filter=Q(state=state.WAITING)),
        oldest=Min("created_at", filter=Q(state=state.WAITING)),
        sent=Count("pk", filter=Q(state=state.SENT)),
        given_up=Count("pk", filter=Q(state=state.DEAD)),
        last_sent_at=Max("sent_at"),
    )
    return Outbox(**found)
