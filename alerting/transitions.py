"""Steps as rows: the new state, the transition and the messages it calls for commit together or not at all.

Every write is guarded by the number of steps the writer knows of (`seq`), and an episode is opened under a unique
constraint, so that of two evaluators one takes the step and the other finds it taken.
"""

import logging
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Final

from django.db import transaction
from django.db.models import QuerySet

from alerting.findings import Facts, Finding
from alerting.models import Alert, Notification, Transition
from alerting.state import Message, State, Step, advance
from projects.models import Recipient

log = logging.getLogger(__name__)

# An alert that is fine again is an episode that is over.
STORED: Final = {
    State.OK: Alert.State.RESOLVED,
    State.PENDING: Alert.State.PENDING,
    State.FIRING: Alert.State.FIRING,
    State.RECOVERING: Alert.State.RECOVERING,
}


class AlreadyTakenError(Exception):
    """Another evaluator took this step first. Nothing is wrong; the transaction is rolled back."""


def take(finding: Finding, alert: Alert | None) -> bool:
    """Take the step a finding calls for, inside the caller's transaction; say whether the state changed.

    Raises AlreadyTakenError or IntegrityError when another evaluator was first.
    """
    state, since = (State(alert.state), alert.since) if alert is not None else (State.OK, finding.at)
    # A call that was received before the watermark and committed after it sets the watermark back for a moment.
    finding = replace(finding, at=max(finding.at, since))
    step = advance(state, since, finding.verdict, finding.at, hold_for=finding.hold_for, keep_for=finding.keep_for)
    if step.state is state:
        if alert is not None and finding.value is not None:
            _update(alert, value=finding.value, peak=_peak(finding, alert))
        return False
    facts = finding.facts if alert is None else alert.facts
    if step.message is not None:
        facts = facts | {step.message.value: _told(finding, step.message)}
    if alert is None:
        alert = _open(finding, step, facts)
    else:
        _move(alert, step, finding, facts)
    _record(alert, state, step, finding.value, finding.why)
    return True


def close(alert: Alert, *, at: datetime, why: str, facts: Facts | None = None) -> None:
    """End an episode whose rule, threshold or period is no more. Whoever was told of it is told that it is over."""
    state = State(alert.state)
    message = Message.RESOLVED if alert.fired_at is not None else None
    step = Step(State.OK, at, message)
    told = {"at": at.isoformat(), "value": None, "why": why} | (facts or {})
    _update(
        alert,
        state=Alert.State.RESOLVED,
        since=at,
        resolved_at=at,
        seq=alert.seq + 1,
        facts=alert.facts | ({"resolved": told} if message is not None else {}),
    )
    alert.seq += 1
    _record(alert, state, step, alert.value, why)


def _open(finding: Finding, step: Step, facts: Facts) -> Alert:
    return Alert.objects.create(
        project_id=finding.project_id,
        rule=finding.rule,
        threshold=finding.threshold,
        subject=finding.subject,
        title=finding.title[:300],
        severity=finding.severity,
        state=STORED[step.state],
        seq=1,
        since=step.since,
        opened_at=finding.at,
        fired_at=finding.at if step.message is Message.FIRING else None,
        value=finding.value,
        peak=finding.value,
        limit=finding.limit,
        facts=facts,
    )


def _move(alert: Alert, step: Step, finding: Finding, facts: Facts) -> None:
    _update(
        alert,
        state=STORED[step.state],
        since=step.since,
        seq=alert.seq + 1,
        fired_at=finding.at if step.message is Message.FIRING else alert.fired_at,
        resolved_at=finding.at if step.state is State.OK else None,
        value=finding.value if finding.value is not None else alert.value,
        peak=_peak(finding, alert),
        limit=finding.limit,
        facts=facts,
    )
    alert.seq += 1


def _update(alert: Alert, **values: object) -> None:
    if Alert.objects.filter(pk=alert.pk, seq=alert.seq).update(**values) != 1:
        raise AlreadyTakenError


def _record(alert: Alert, before: State, step: Step, value: Decimal | None, why: str) -> None:
    transition = Transition.objects.create(
        alert=alert, seq=alert.seq, at=step.since, from_state=before, to_state=step.state, value=value, why=why[:300]
    )
    if step.message is not None:
        Notification.objects.bulk_create(
            Notification(
                transition=transition,
                recipient=recipient,
                reason=step.message.value,
                key=f"alert-{alert.pk}-{alert.opened_at:%Y%m%dT%H%M%S}-{alert.seq}-{step.message.value}-{recipient.pk}",
                created_at=step.since,
                available_at=step.since,
            )
            for recipient in _to_be_told(alert, step.message)
        )


def _to_be_told(alert: Alert, message: Message) -> QuerySet[Recipient]:
    """Who is told: of the firing, the chosen people or everybody on the list; of the end, whoever was told before."""
    if message is Message.RESOLVED:
        return Recipient.objects.filter(
            notification__transition__alert=alert, notification__reason=Notification.Reason.FIRING
        ).distinct()
    chosen = Recipient.objects.none()
    if alert.rule is not None:
        chosen = alert.rule.recipients.all()
    elif alert.threshold is not None:
        chosen = alert.threshold.budget.recipients.all()
    if not chosen.exists():
        chosen = Recipient.objects.filter(project_id=alert.project_id)
    return chosen.filter(active=True)


def _told(finding: Finding, message: Message) -> Facts:
    if message is Message.RESOLVED:
        return finding.snapshot()
    try:
        with transaction.atomic():
            return finding.snapshot() | finding.context()
    except Exception as error:  # noqa: BLE001 contributors are worth having; no alert is withheld for them
        log.warning("What %s is made up of could not be read: %s", finding.subject, type(error).__name__)
        return finding.snapshot()


def _peak(finding: Finding, alert: Alert) -> Decimal | None:
    if finding.value is None or alert.peak is None:
        return alert.peak if finding.value is None else finding.value
    return finding.worse(finding.value, alert.peak)
