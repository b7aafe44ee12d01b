"""Addresses that mails lead to: the page with the same filter and an absolute time range, the alert, the setting.

A mail is read later than it is sent, so a link never says "the last hour".
"""

from datetime import UTC, datetime
from urllib.parse import urlencode

from django.conf import settings
from django.urls import reverse


def instant(at: datetime) -> str:
    """A time as the pages read it from an address: 2026-11-22T13:45:00Z."""
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def page(
    name: str, project: str, start: datetime, end: datetime, *, env: str = "", feature: str = "", status: str = ""
) -> str:
    """The page of this name ("overview", "logs"), showing [start, end) of a slice."""
    query = {
        "project": project,
        "env": env,
        "from": instant(start),
        "to": instant(end),
        "feature": feature,
        "status": status,
    }
    return f"{settings.BASE_URL}{reverse(name)}?{urlencode({key: value for key, value in query.items() if value})}"


def alert(alert_id: int) -> str:
    return f"{settings.BASE_URL}{reverse('alert', args=[alert_id])}"


def edit_rule(rule_id: int) -> str:
    return f"{settings.BASE_URL}{reverse('admin:alerting_alertrule_change', args=[rule_id])}"


def edit_budget(budget_id: int) -> str:
    return f"{settings.BASE_URL}{reverse('admin:budgets_budget_change', args=[budget_id])}"
