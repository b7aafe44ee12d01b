"""An alert in words: what it watches, how bad it got, and where its calls are."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.urls import reverse

from alerting import links
from alerting.models import Alert
from metrics import units
from metrics.catalog import METRICS
from metrics.units import Unit


@dataclass(frozen=True, slots=True)
class Story:
    alert: Alert
    metric: str
    value: str
    peak: str
    limit: str
    scope: str
    lasted: timedelta | None
    """None while it goes on."""
    contributors: list[dict[str, str]]
    overview: str
    """The Overview over the time of the alert, with its filter."""
    logs: str

    @property
    def is_over(self) -> bool:
        return self.alert.state == Alert.State.RESOLVED

    @property
    def tone(self) -> str:
        if self.is_over:
            return "ok"
        if self.alert.state == Alert.State.PENDING:
            return "plain"
        return {"critical": "crit", "warning": "warn"}.get(self.alert.severity, "plain")


def tell(alert: Alert) -> Story:
    facts: dict[str, Any] = alert.facts or {}
    key = facts.get("rule", {}).get("metric") or "spend"
    metric = METRICS.get(key)
    unit = metric.unit if metric is not None else Unit.COUNT
    scope = facts.get("scope", {})
    told = facts.get("firing", {})
    start, end = _range(alert, told)
    where = {
        "env": scope.get("environment") or "",
        "feature": scope.get("feature") or "",
    }
    slug = alert.project.slug
    status = "failed" if key in ("error_rate", "errors", "success_rate") else ""
    return Story(
        alert=alert,
        metric=metric.label if metric is not None else key,
        value=units.number(alert.value, unit),
        peak=units.number(alert.peak, unit),
        limit=units.limit(alert.limit, unit),
        scope=", ".join(word for word in where.values() if word) or "the whole project",
        lasted=alert.resolved_at - alert.opened_at if alert.resolved_at is not None else None,
        contributors=[_contributor(part) for part in told.get("contributors", [])],
        overview=_path(links.page("overview", slug, start, end, **where)),
        logs=_path(links.page("logs", slug, start, end, status=status, **where)),
    )


def _range(alert: Alert, told: dict[str, Any]) -> tuple[datetime, datetime]:
    """Return the time to show: from the window that was judged to a little after the end."""
    start = datetime.fromisoformat(told["start"]) if "start" in told else alert.opened_at - timedelta(minutes=30)
    start = min(start, alert.opened_at - timedelta(minutes=15))
    end = (alert.resolved_at or max(alert.since, alert.opened_at)) + timedelta(minutes=15)
    return start, max(end, start + timedelta(hours=1))


def _contributor(part: dict[str, Any]) -> dict[str, str]:
    metric = METRICS.get(part.get("metric", ""))
    value, share = part.get("value"), part.get("share")
    unit = metric.unit if metric is not None else Unit.COUNT
    return {
        "kind": str(part.get("dimension", "")).replace("_", " "),
        "name": str(part.get("name", "")),
        "value": units.number(None if value is None else Decimal(value), unit),
        "share": "" if share is None else units.ratio(Decimal(share)),
    }


def _path(address: str) -> str:
    """Return the part of an absolute address that a page of the same site needs."""
    root = reverse("overview")
    return root + address.split("/", 3)[3] if "://" in address else address
