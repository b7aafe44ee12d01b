"""What fires, what fired, and how each alert went."""

from datetime import timedelta
from typing import Final

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_safe

from alerting.models import OPEN, Alert, AlertRule
from dashboard.alert_story import Story, tell
from dashboard.views import asked

RECENT: Final = timedelta(days=30)
MOST: Final = 100


@require_safe
@cache_control(private=True, no_cache=True)
def alerts(request: HttpRequest) -> HttpResponse:
    query = asked.read(request)
    if query.project is None:
        return redirect("overview")
    found = Alert.objects.filter(project=query.project).select_related("rule", "threshold__budget")
    resolved = found.filter(state=Alert.State.RESOLVED, resolved_at__gte=query.now - RECENT).order_by("-resolved_at")
    context = {
        "query": query,
        "notices": asked.notices(request, query),
        "firing": [tell(alert) for alert in found.filter(state__in=OPEN).order_by("opened_at")],
        "pending": [tell(alert) for alert in found.filter(state=Alert.State.PENDING).order_by("opened_at")],
        "recent": [tell(alert) for alert in resolved[:MOST]],
        "rules": AlertRule.objects.filter(project=query.project).count(),
        "enabled_rules": AlertRule.objects.filter(project=query.project, enabled=True).count(),
        "broken_rules": AlertRule.objects.filter(project=query.project, enabled=True).exclude(last_error=""),
        "projects": list(type(query.project).objects.all()),
    }
    return render(request, "dashboard/alerts.html", context)


@require_safe
@cache_control(private=True, no_cache=True)
def alert(request: HttpRequest, id: int) -> HttpResponse:  # noqa: A002 - the name in the address
    query = asked.read(request)
    found = get_object_or_404(Alert.objects.select_related("rule", "threshold__budget", "project"), pk=id)
    story: Story = tell(found)
    steps = found.transitions.order_by("seq").prefetch_related("notifications__recipient")
    context = {
        "query": query,
        "story": story,
        "alert": found,
        "steps": steps,
        "edit": _edit(found) if request.user.is_staff else "",
        "notices": asked.notices(request, query),
    }
    return render(request, "dashboard/alert.html", context)


def _edit(found: Alert) -> str:
    if found.rule_id is not None:
        return reverse("admin:alerting_alertrule_change", args=[found.rule_id])
    if found.threshold is not None:
        return reverse("admin:budgets_budget_change", args=[found.threshold.budget_id])
    return ""
