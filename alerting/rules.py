"""One rule, looked at once: its window, its reading, its verdict, and what a mail would say about it."""

from datetime import datetime, timedelta
from typing import Final

from alerting.conditions import Condition, is_unknown, judge
from alerting.contributors import contributors
from alerting.findings import Facts, Finding, stored, written
from alerting.models import AlertRule
from metrics import queries, units
from metrics.catalog import METRICS, Metric
from metrics.readings import Reading
from metrics.slices import Slice
from metrics.windows import Window, floor

MINUTE: Final = timedelta(minutes=1)
# A call is known when it has ended, and one that fails by timeout ends late. In a short window such calls are most of
# the story, so a short window waits for them.
SHORT: Final = timedelta(minutes=5)
SETTLING: Final = timedelta(minutes=1)


def window_of(rule: AlertRule, complete_to: datetime) -> Window:
    """The newest window of whole minutes that is complete."""
    span = timedelta(minutes=rule.window_minutes)
    settled = complete_to - SETTLING if span < SHORT else complete_to
    return Window.last(span, floor(settled, MINUTE))


def subject_of(rule: AlertRule) -> str:
    return f"rule:{rule.pk}"


def definition_of(rule: AlertRule) -> Facts:
    """Everything that decides when the rule fires. When it changes, an open episode is over."""
    return {
        "metric": rule.metric,
        "environment": rule.environment,
        "feature": rule.feature,
        "window_minutes": rule.window_minutes,
        "direction": rule.direction,
        "threshold": written(rule.threshold),
        "recovery_threshold": written(rule.recovery_threshold),
        "for_minutes": rule.for_minutes,
        "keep_firing_minutes": rule.keep_firing_minutes,
        "minimum_sample": rule.minimum_sample,
        "no_data": rule.no_data,
    }


def condition_of(rule: AlertRule, metric: Metric) -> Condition:
    return Condition(
        direction=rule.direction,
        threshold=units.in_metric_unit(rule.threshold, metric.unit),
        recovery=units.in_metric_unit(rule.recovery_threshold, metric.unit),
        minimum_sample=rule.minimum_sample,
        no_data=rule.no_data,
    )


def look_at(rule: AlertRule, window: Window, *, now: datetime) -> Finding:
    """Measure a rule over a window. Raises ValueError for a metric that does not exist, and database errors."""
    if (metric := METRICS.get(rule.metric)) is None:
        raise ValueError(f"There is no metric {rule.metric!r}. Choose another one in the rule.")
    slice_ = Slice(rule.project_id, rule.environment, rule.feature)
    condition = condition_of(rule, metric)
    reading = queries.value(metric.key, window, slice_, now=now)
    is_sum = metric.empty is not None
    known = None if is_unknown(reading, condition, is_sum=is_sum) else stored(reading.value)
    limit = stored(condition.threshold)
    assert limit is not None
    return Finding(
        project_id=rule.project_id,
        subject=subject_of(rule),
        title=title_of(rule, metric),
        severity=rule.severity,
        verdict=judge(reading, condition, window_end=window.end, is_sum=is_sum),
        at=window.end,
        value=known,
        limit=limit,
        facts=_facts(rule, condition),
        why=_why(metric, reading, condition, known is not None),
        window=window,
        context=lambda: _context(metric, reading, window, slice_, now),
        rule=rule,
        hold_for=timedelta(minutes=rule.for_minutes),
        keep_for=timedelta(minutes=rule.keep_firing_minutes),
    )


def title_of(rule: AlertRule, metric: Metric) -> str:
    """What the alert is about, in words that stay true while the value moves: Error rate above 5 %."""
    threshold = units.in_metric_unit(rule.threshold, metric.unit)
    title = f"{metric.label} {rule.direction} {units.limit(threshold, metric.unit)}"
    return f"{title}, {rule.feature}" if rule.feature else title


def _why(metric: Metric, reading: Reading, condition: Condition, known: bool) -> str:
    if not known:
        return (
            f"Too few requests to say: {units.count(reading.sample)}, and the rule asks for {condition.minimum_sample}."
        )
    value = units.number(reading.value, metric.unit)
    return f"{metric.label} {value}; the limit is {units.limit(condition.threshold, metric.unit)}."


def _facts(rule: AlertRule, condition: Condition) -> Facts:
    return {
        "kind": "rule",
        "definition": definition_of(rule),
        "scope": {"environment": rule.environment, "feature": rule.feature},
        "rule": {
            "id": rule.pk,
            "name": rule.name,
            "metric": rule.metric,
            "direction": rule.direction,
            "threshold": written(condition.threshold),
            "recovery": written(condition.recovery),
            "window_minutes": rule.window_minutes,
            "for_minutes": rule.for_minutes,
        },
    }


def _context(metric: Metric, reading: Reading, window: Window, slice_: Slice, now: datetime) -> Facts:
    beside = queries.values(["requests", "errors"], window, slice_, now=now)
    before = queries.value(metric.key, window.previous(), slice_, now=now)
    return {
        "sample": reading.sample,
        "before": written(before.value),
        "requests": written(beside["requests"].value),
        "errors": written(beside["errors"].value),
        "unpriced": reading.unpriced,
        "contributors": contributors(metric.key, window, slice_, now=now),
    }
