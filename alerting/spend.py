"""One threshold of one budget, looked at once: has the spend of the period reached it?

A threshold is told once per period. Spend only grows within a period, so a crossing is certain even before every call
is counted; that it is *not* reached is believed only when the sum is complete.
"""

from datetime import datetime
from fractions import Fraction
from typing import Final

from alerting.contributors import contributors
from alerting.findings import Facts, Finding, stored
from alerting.state import Verdict
from budgets.models import Budget, Threshold
from budgets.periods import label
from budgets.spending import BudgetStatus
from metrics import units
from metrics.slices import Slice
from metrics.units import Unit
from metrics.windows import Window

METRIC: Final = "spend"


def subject_of(threshold: Threshold, status: BudgetStatus) -> str:
    return f"budget:{threshold.budget_id}:{threshold.percent}:{status.period.start:%Y-%m-%dT%H:%M:%SZ}"


def scope_of(budget: Budget) -> Facts:
    """What the budget counts. When it changes, an open episode is over and the thresholds are armed again."""
    return {
        "environment": budget.environment,
        "feature": budget.feature,
        "period": budget.period,
        "zone": budget.zone,
    }


def definition_of(threshold: Threshold) -> Facts:
    """One version of a threshold: with another amount it is another one, and is told again when it is reached."""
    budget = threshold.budget
    return scope_of(budget) | {"percent": threshold.percent, "amount": budget.amount_nanousd}


def look_at(threshold: Threshold, status: BudgetStatus, *, clock: datetime, now: datetime) -> Finding:
    """Judge a threshold against the measured period. `clock` is the end of the data the judgement may rest on."""
    budget = threshold.budget
    limit = Fraction(status.amount_nanousd * threshold.percent, 100)
    spent, amount = units.money(status.counted_nanousd), units.money(status.amount_nanousd)
    window = Window(status.period.start, min(clock, status.period.end))
    stored_limit, value = stored(limit), stored(status.counted_nanousd)
    assert stored_limit is not None
    return Finding(
        project_id=budget.project_id,
        subject=subject_of(threshold, status),
        title=title_of(threshold, status),
        severity=threshold.severity,
        verdict=_verdict(threshold, status, clock),
        at=clock,
        value=value,
        limit=stored_limit,
        facts=_facts(threshold, status),
        why=f"{spent} of {amount} spent in {label(budget.period, budget.zone, status.period)}.",
        window=window,
        context=lambda: context(budget, status, window, now=now),
        threshold=threshold,
    )


def title_of(threshold: Threshold, status: BudgetStatus) -> str:
    """What the alert is about: Budget Assistant: 80 % of $500."""
    amount = units.limit(status.amount_nanousd, Unit.NANOUSD)
    return f"Budget {threshold.budget.name}: {threshold.percent}{units.SPACE}% of {amount}"


def context(budget: Budget, status: BudgetStatus, window: Window, *, now: datetime) -> Facts:
    """What a mail says beside the amount."""
    slice_ = Slice(budget.project_id, budget.environment, budget.feature)
    return {
        "sample": status.requests,
        "requests": str(status.requests),
        "unpriced": status.unpriced,
        "estimated": str(status.estimated_nanousd),
        "contributors": contributors(METRIC, window, slice_, now=now),
    }


def _verdict(threshold: Threshold, status: BudgetStatus, clock: datetime) -> Verdict:
    if status.reached(threshold.percent):
        return Verdict.BREACH
    complete = status.complete_to is not None and status.complete_to >= clock
    return Verdict.CLEAR if complete else Verdict.INCOMPLETE


def _facts(threshold: Threshold, status: BudgetStatus) -> Facts:
    budget = threshold.budget
    return {
        "kind": "budget",
        "definition": definition_of(threshold),
        "scope": {"environment": budget.environment, "feature": budget.feature},
        "budget": {
            "id": budget.pk,
            "name": budget.name,
            "percent": threshold.percent,
            "amount": str(status.amount_nanousd),
            "period": budget.period,
            "zone": budget.zone,
            "label": label(budget.period, budget.zone, status.period),
            "start": status.period.start.isoformat(),
            "end": status.period.end.isoformat(),
        },
    }
