"""Notify — step 7 of 8: messages that are owed are delivered, each with a key that never changes.

A message is leased, the lease is committed, then it is sent and marked. A worker killed before it sends leaves a lease
that runs out, and the message is sent by the next one. A worker killed between the mail server's yes and the mark leads
to a second mail with the same Message-ID: on the wire we promise at least once, at the key once.
"""

import logging
import time
from datetime import datetime, timedelta
from typing import Final

from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet

from alerting import letters
from alerting.channels import CHANNELS
from alerting.channels.base import Channel, DeliveryError, Letter
from alerting.models import Notification

log = logging.getLogger(__name__)

# Longer than a run goes on (RUN_SECONDS) plus the slowest single letter, so that nobody else sends what we still hold.
LEASE: Final = timedelta(seconds=180)
RUN_SECONDS: Final = 60
BATCH: Final = 20
FIRST_WAIT: Final = timedelta(seconds=5)
LONGEST_WAIT: Final = timedelta(minutes=15)
# At the longest wait that is about a day.
MOST_TRIES: Final = 100

Waiting = Notification.State.WAITING


def deliver(*, now: datetime) -> int:
    """Send what is due and return how many were taken. Safe to run by several workers at once."""
    stop_at = time.monotonic() + RUN_SECONDS
    sent = 0
    while time.monotonic() < stop_at and (batch := _lease(now)):
        for channel in sorted({notification.channel for notification in batch}):
            own = [notification for notification in batch if notification.channel == channel]
            sent += _send_all(own, CHANNELS[channel](), now, stop_at)
    return sent


def _due(now: datetime) -> QuerySet[Notification]:
    """What may be sent now, oldest first. The end of an alert waits until its beginning was sent."""
    beginning = Notification.objects.filter(
        transition__alert=OuterRef("transition__alert"), recipient=OuterRef("recipient"), state=Waiting
    ).filter(transition__seq__lt=OuterRef("transition__seq"))
    free = Q(lease_until__isnull=True) | Q(lease_until__lte=now)
    return Notification.objects.filter(free, ~Exists(beginning), state=Waiting, available_at__lte=now).order_by(
        "available_at", "pk"
    )


def _lease(now: datetime) -> list[Notification]:
    """Take a batch for ourselves. Committed before anything is sent."""
    _give_up_endings_of_unsent()
    with transaction.atomic():
        keys = [row.pk for row in _due(now).select_for_update(skip_locked=True, of=("self",))[:BATCH]]
        leased = Notification.objects.filter(pk__in=keys)
        leased.update(lease_until=now + LEASE, tries=F("tries") + 1)
    return list(
        Notification.objects.filter(pk__in=keys)
        .select_related("recipient", "transition__alert__project")
        .order_by("available_at", "pk")
    )


def _send_all(batch: list[Notification], channel: Channel, now: datetime, stop_at: float) -> int:
    """Send a batch over one connection. What is left when the channel or our time is gone waits for a later run."""
    sent = 0
    unreachable: DeliveryError | None = None
    with channel:
        for notification in batch:
            if unreachable is not None:
                _failed(notification, unreachable, now)
            elif time.monotonic() >= stop_at:
                _mark(notification, lease_until=None, tries=F("tries") - 1)
            else:
                try:
                    sent += _send(notification, channel, now)
                except DeliveryError as error:
                    unreachable = error if error.unreachable else None
                    _failed(notification, error, now)
    return sent


def _send(notification: Notification, channel: Channel, now: datetime) -> int:
    if not notification.recipient.active:
        raise DeliveryError("The recipient is switched off.", permanent=True)
    channel.send(_letter(notification))
    return _mark(notification, state=Notification.State.SENT, sent_at=now, lease_until=None, last_error="")


def _letter(notification: Notification) -> Letter:
    try:
        return letters.write(notification)
    except Exception as error:
        # A message that cannot be written must not keep the others from being sent.
        raise DeliveryError(f"The message could not be written: {error!r}") from error


def _failed(notification: Notification, error: DeliveryError, now: datetime) -> None:
    reason = str(error)[:300]
    if error.permanent or notification.tries >= MOST_TRIES:
        log.error("Gave up on %s: %s", notification.key, reason)
        _mark(notification, state=Notification.State.DEAD, lease_until=None, last_error=reason)
    else:
        wait = wait_after(notification.tries)
        log.warning("Will try %s again in %s: %s", notification.key, wait, reason)
        _mark(notification, available_at=now + wait, lease_until=None, last_error=reason)


def wait_after(tries: int) -> timedelta:
    """How long to wait after this many tries: 5 s, doubled each time, at most 15 min."""
    return min(FIRST_WAIT * (1 << min(tries - 1, 10)), LONGEST_WAIT)


def _mark(notification: Notification, **values: object) -> int:
    """Write down how a try went, unless our lease ran out and somebody else has taken the message since."""
    own = Notification.objects.filter(pk=notification.pk, state=Waiting, tries=notification.tries)
    return own.update(**values)


def _give_up_endings_of_unsent() -> None:
    """Nobody is told that something is over of which they never heard."""
    unheard = Notification.objects.filter(
        transition__alert=OuterRef("transition__alert"),
        recipient=OuterRef("recipient"),
        reason=Notification.Reason.FIRING,
        state=Notification.State.DEAD,
    )
    Notification.objects.filter(Exists(unheard), state=Waiting, reason=Notification.Reason.RESOLVED).update(
        state=Notification.State.DEAD, last_error="The message that it began was never delivered."
    )
