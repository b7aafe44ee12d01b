"""Evaluate — step 6 of 8: rules and budgets are judged, and what changed becomes a transition with its messages.

Only complete windows are judged: the clock of every alert is the watermark, not the wall. When nothing is rolled up any
more, nothing is judged, so a stalled pipeline neither fires nor resolves.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from django.db import DatabaseError, IntegrityError, OperationalError, connection, transaction
from django.db.models import Q

from alerting import closing, rules, spend
from alerting.models import Alert, AlertRule
from alerting.state import Verdict
from alerting.transitions import AlreadyTakenError, take
from budgets.models import Budget, Threshold
from budgets.spending import BudgetStatus, statuses
from metrics import queries
from metrics.windows import Window

log = logging.getLogger(__name__)

# One rule may not hold up the others.
STATEMENT_TIMEOUT_MS: Final = 5_000
TOO_LONG: Final = "57014"
# Lock not available, deadlock.
BUSY: Final = ("55P03", "40P01")
INSTANT: Final = timedelta(microseconds=1)


def evaluate(*, now: datetime) -> int:
    """Judge every rule and every budget threshold once; return how many alerts changed state.

    Safe to run twice and by two workers at once. A rule that cannot be judged is marked and the others go on.
    """
    clocks = Clocks(now)
    changed = closing.close_what_is_over(clocks.at, now=now)
    for rule in AlertRule.objects.filter(enabled=True).order_by("pk"):
        changed += _evaluate_rule(rule, clocks, now)
    active = Budget.objects.filter(active=True).prefetch_related("thresholds").order_by("project", "pk")
    by_project: dict[int, list[Budget]] = {}
    for budget in active:
        by_project.setdefault(budget.project_id, []).append(budget)
    for project_id, budgets in by_project.items():
        changed += _evaluate_budgets(project_id, budgets, clocks, now)
    return changed


class Clocks:
    """The watermark of each project, asked once per run: the time up to which everything received is counted."""

    def __init__(self, now: datetime) -> None:
        self._now = now
        self._at: dict[int, datetime] = {}

    def at(self, project_id: int) -> datetime:
        if project_id not in self._at:
            self._at[project_id] = queries.complete_to(project_id, now=self._now)
        return self._at[project_id]


def _evaluate_rule(rule: AlertRule, clocks: Clocks, now: datetime) -> int:
    try:
        window = rules.window_of(rule, clocks.at(rule.project_id))
        if rule.last_evaluated_at is not None and rule.last_evaluated_at >= window.end:
            return 0
        return _step(lambda: _judge_rule(rule, window, now))
    except Exception as error:  # noqa: BLE001 whatever is wrong with one rule, the others must be judged
        log.warning("Rule %s could not be evaluated: %s", rule.pk, type(error).__name__)
        AlertRule.objects.filter(pk=rule.pk).update(last_error=_in_words(error))
        return 0


def _judge_rule(rule: AlertRule, window: Window, now: datetime) -> bool:
    finding = rules.look_at(rule, window, now=now)
    if finding.verdict is Verdict.INCOMPLETE:
        return False
    # The claim: one evaluator judges this window, and the rule's row is locked until the step is committed.
    unjudged = Q(last_evaluated_at__isnull=True) | Q(last_evaluated_at__lt=window.end)
    claimed = AlertRule.objects.filter(unjudged, pk=rule.pk, enabled=True)
    if claimed.update(last_evaluated_at=window.end, last_error="") != 1:
        raise AlreadyTakenError
    return take(finding, _open_alert(rule.project_id, finding.subject))


def _evaluate_budgets(project_id: int, budgets: Sequence[Budget], clocks: Clocks, now: datetime) -> int:
    """Judge the budgets of one project, in the period that the last counted moment lies in."""
    try:
        clock = clocks.at(project_id)
        with _bounded():
            measured = statuses(budgets, now, at=clock - INSTANT)
    except Exception as error:  # noqa: BLE001 whatever is wrong with one budget, the others must be judged
        # Which one it is shows when they are measured one by one.
        if len(budgets) > 1:
            return sum(_evaluate_budgets(project_id, [budget], clocks, now) for budget in budgets)
        log.warning("Budget %s could not be measured: %s", budgets[0].pk, _in_words(error))
        return 0
    return sum(
        _evaluate_threshold(threshold, measured[budget.pk], clock, now)
        for budget in budgets
        for threshold in budget.thresholds.all()
    )


def _evaluate_threshold(threshold: Threshold, status: BudgetStatus, clock: datetime, now: datetime) -> int:
    try:
        return _step(partial(_judge_threshold, threshold, status, clock, now))
    except Exception as error:  # noqa: BLE001 whatever is wrong with one threshold, the others must be judged
        log.warning("Threshold %s could not be judged: %s", threshold.pk, _in_words(error))
        return 0


def _judge_threshold(threshold: Threshold, status: BudgetStatus, clock: datetime, now: datetime) -> bool:
    finding = spend.look_at(threshold, status, clock=clock, now=now)
    alert = _open_alert(finding.project_id, finding.subject)
    if alert is None:
        if finding.verdict is not Verdict.BREACH:
            return False
        # Held until the step is committed, so that "was this told before?" has one answer.
        Threshold.objects.select_for_update().filter(pk=threshold.pk).first()
        told = Alert.objects.filter(subject=finding.subject, facts__definition=finding.facts["definition"])
        if told.exists():
            return False
    elif alert.facts["definition"] != finding.facts["definition"] and finding.verdict is Verdict.BREACH:
        # Another amount, and it is reached as well: the same episode goes on under the new limit.
        alert.facts = alert.facts | finding.facts
        Alert.objects.filter(pk=alert.pk).update(facts=alert.facts, limit=finding.limit, title=finding.title)
    return take(finding, alert)


def _open_alert(project_id: int, subject: str) -> Alert | None:
    return Alert.objects.exclude(state=Alert.State.RESOLVED).filter(project_id=project_id, subject=subject).first()


def _step(judge: Callable[[], bool]) -> int:
    """Run one judgement in a transaction of its own; return 1 when an alert changed state."""
    try:
        with _bounded():
            return int(judge())
    except (AlreadyTakenError, IntegrityError):
        return 0
    except OperationalError as error:
        if _sqlstate(error) in BUSY:
            return 0  # Another evaluator is at this very rule; what it leaves undone comes up again in seconds.
        raise


@contextmanager
def _bounded() -> Iterator[None]:
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT set_config('statement_timeout', %s, true)", [str(STATEMENT_TIMEOUT_MS)])
        yield


def _in_words(error: Exception) -> str:
    """An error for the admin. Those of the database say their code only: their text can quote a call."""
    if isinstance(error, DatabaseError):
        code = _sqlstate(error)
        if code == TOO_LONG:
            return f"The reading took longer than {STATEMENT_TIMEOUT_MS / 1000:g} s. Narrow the rule."
        return f"The database refused the reading (code {code})."
    return str(error)[:300] or type(error).__name__


def _sqlstate(error: DatabaseError) -> str | None:
    return getattr(error.__cause__, "sqlstate", None)
