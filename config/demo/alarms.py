"""The alerts of the last incident of the history, raised by the real evaluation at the times it would have had."""

from datetime import datetime, timedelta
from typing import Final

from django.db import transaction

from alerting.evaluate import evaluate
from config.demo import setup, story
from projects.models import Project

BEFORE: Final = timedelta(minutes=10)
AFTER: Final = timedelta(minutes=30)
MINUTE: Final = timedelta(minutes=1)


def sound(project: Project) -> int:
    """Give the project its rules, and the alerts they would have raised; the number of steps those took.

    Once: with rules in place nothing happens. One transaction, so that a running worker sees the rules only when they
    have caught up with the present. With other projects at hand their budgets would be judged as well, so then it is
    the rules alone.
    """
    with transaction.atomic():
        Project.objects.select_for_update().get(pk=project.pk)
        if project.alert_rules.exists():
            return 0
        setup.rules(project)
        if Project.objects.exclude(pk=project.pk).exists():
            return 0
        return sum(evaluate(now=now) for now in _minutes(project.created_at))


def _minutes(end_of_history: datetime) -> list[datetime]:
    incident = story.recent_incident(end_of_history)
    count = (incident.end - incident.start + BEFORE + AFTER) // MINUTE
    times = [incident.start - BEFORE + number * MINUTE for number in range(count)]
    return [now for now in times if now < end_of_history]
