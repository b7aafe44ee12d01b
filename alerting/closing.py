"""Episodes whose reason is gone: the rule was changed, switched off or deleted; the budget paused; the period over.

Found by looking at what is open, not by hooks on saving, so that it holds whichever way the change was made.
"""

import logging
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from django.db import transaction

from alerting import rules, spend
from alerting.findings import Facts
from alerting.models import Alert
from alerting.transitions import AlreadyTakenError, close
from budgets.periods import Period
from budgets.spending import status_in

log = logging.getLogger(__name__)

PERIOD_OVER: Final = "The period is over."
Clock = Callable[[int], datetime]


def close_what_is_over(clock: Clock, *, now: datetime) -> int:
    """Close every open episode that nothing stands behind any more; return how many there were."""
    open_alerts = Alert.objects.exclude(state=Alert.State.RESOLVED).select_related("rule", "threshold__budget")
    return sum(_close_if_over(alert, clock(alert.project_id), now) for alert in open_alerts)


def _close_if_over(alert: Alert, clock: datetime, now: datetime) -> int:
    try:
        why = _rule_is_gone(alert) if alert.facts["kind"] == "rule" else _budget_is_gone(alert, clock)
        facts = _last_words(alert, now) if why == PERIOD_OVER else {}
        if why is None or facts is None:
            return 0
        with transaction.atomic():
            close(alert, at=max(clock, alert.since), why=why, facts=facts)
    except AlreadyTakenError:
        return 0
    except Exception as error:  # noqa: BLE001 whatever is wrong with one alert, the others must be looked at
        log.warning("Alert %s could not be looked at: %s", alert.pk, type(error).__name__)
        return 0
    return 1


def _rule_is_gone(alert: Alert) -> str | None:
    if alert.rule is None:
        return "The rule was deleted."
    if not alert.rule.enabled:
        return "The rule was switched off."
    if alert.facts["definition"] != rules.definition_of(alert.rule):
        return "The rule was changed."
    return None


def _budget_is_gone(alert: Alert, clock: datetime) -> str | None:
    # The last counted moment lies just before the clock; the period is over when that moment is not in it.
    if clock > _time(alert.facts["budget"]["end"]):
        return PERIOD_OVER
    if alert.threshold is None:
        return "The threshold was deleted."
    if not alert.threshold.budget.active:
        return "The budget was paused."
    told = alert.facts["definition"]
    present = spend.definition_of(alert.threshold)
    if {**told, "amount": None} != {**present, "amount": None}:
        return "The budget was changed."
    return None


def _last_words(alert: Alert, now: datetime) -> Facts | None:
    """The final amount of a period, when its budget is still there; None while the sum is not complete."""
    if alert.threshold is None:
        return {}
    told: dict[str, Any] = alert.facts["budget"]
    period = Period(_time(told["start"]), _time(told["end"]))
    with transaction.atomic():
        status = status_in(alert.threshold.budget, period, now)
    if status.complete_to is None or status.complete_to < period.end:
        return None
    return {
        "value": str(status.counted_nanousd),
        "unpriced": status.unpriced,
        "estimated": str(status.estimated_nanousd),
        "requests": str(status.requests),
    }


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)
