"""The Overview, its panels as files, and the way from an empty product to the first call."""

import logging
import secrets
from dataclasses import dataclass
from typing import Any, Final

from django.conf import settings
from django.db import DatabaseError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBadRequest
from django.shortcuts import render
from django.utils.cache import patch_vary_headers
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_safe

from alerting.models import Alert
from budgets.models import Budget
from dashboard import breakers, first_run, losses, verdicts
from dashboard.context import OPEN
from dashboard.exports import csv_response
from dashboard.look import Look
from dashboard.pages import OVERVIEW
from dashboard.panels import Drawn, Panel
from dashboard.query import COMPARISONS, ONLY_LOGS, DashboardQuery
from dashboard.tiles import NEEDS, Tile, monthly_budget, tiles
from dashboard.verdicts import Verdict
from dashboard.views import asked
from metrics.queries import WindowTooWideError

logger = logging.getLogger(__name__)

MOST_ALERTS: Final = 10


@dataclass(frozen=True, slots=True)
class Shown:
    """A panel on the page: drawn, or in a sentence why not."""

    panel: Panel
    drawn: Drawn | None
    why: str = ""


@require_safe
def overview(request: HttpRequest) -> HttpResponse:
    query = asked.read(request)
    if query.project is None or not first_run.has_started(query.project, query.now):
        return _first_steps(request, query)
    context = asked.controls(request, query) | {"comparisons": COMPARISONS} | _content(request, query)
    context["notices"] += _not_measured(query)
    template = "dashboard/_refresh.html" if asked.is_refresh(request) else "dashboard/overview.html"
    response = render(request, template, context)
    patch_vary_headers(response, ["HX-Request", "HX-Boosted"])
    response["Cache-Control"] = "private, no-cache"
    return response


@require_safe
@cache_control(private=True, no_cache=True)
def panel_csv(request: HttpRequest, key: str) -> HttpResponse:
    """The numbers of one panel, all of them, exactly."""
    query, panel = asked.read(request), OVERVIEW.panel(key)
    if panel is None or query.project is None:
        raise Http404("There is no such panel.")
    try:
        table = panel.draw(Look(query)).table
    except WindowTooWideError as error:
        return HttpResponseBadRequest(_sentence(error), content_type="text/plain; charset=utf-8")
    name = f"{query.project.slug}-{panel.key}-{query.window.start:%Y%m%dT%H%M}"
    return csv_response(name, table.headings, table.exact)


def _content(request: HttpRequest, query: DashboardQuery) -> dict[str, Any]:
    look = Look(query)
    open_alerts = list(
        Alert.objects.filter(project=query.project).exclude(state=Alert.State.RESOLVED).order_by("opened_at")
    )
    firing = tuple(alert for alert in open_alerts if alert.state in OPEN)
    request.firing = len(firing)  # type: ignore[attr-defined]
    budget = monthly_budget(query)
    needs = {*NEEDS, "complete_to", *(need for panel in OVERVIEW.panels for need in panel.needs)}
    look.ahead(needs, verdicts.needs(query) | losses.needs(query))
    shown = [_shown(panel, look) for panel in OVERVIEW.panels]
    return {
        "page": OVERVIEW,
        "query": query,
        "verdict": _verdict(look, firing),
        "tiles": _tiles(look, budget),
        "panels": shown,
        "open_alerts": open_alerts[:MOST_ALERTS],
        "complete_to": look.complete_to,
        "losses": breakers.sentences(query) + losses.sentences(look),
        "features": next((one for one in shown if one.panel.key == "features"), None),
    }


def _verdict(look: Look, firing: tuple[Alert, ...]) -> Verdict:
    """A verdict whose reasons could not be read is Unknown: a page that cannot see does not say that all is well."""
    try:
        return verdicts.verdict(verdicts.gather(look.query, firing, look))
    except DatabaseError as error:
        return Verdict("unknown", f"The state could not be read. {_failure('verdict', error)}.")
    except WindowTooWideError as error:
        return Verdict("unknown", f"The state could not be read. {_sentence(error)}")


def _tiles(look: Look, budget: Budget | None) -> list[Tile]:
    try:
        return tiles(look, budget)
    except DatabaseError as error:
        return [Tile("Numbers", "–", note=f"could not be read; {_failure('tiles', error)}")]
    except WindowTooWideError as error:
        return [Tile("Numbers", "–", note=_sentence(error))]


def _shown(panel: Panel, look: Look) -> Shown:
    """One panel that cannot be drawn leaves the others alone."""
    try:
        return Shown(panel, panel.draw(look))
    except WindowTooWideError as error:
        return Shown(panel, None, _sentence(error))
    except Exception as error:  # noqa: BLE001 - whatever it was, it belongs into this panel's box and not over the page
        return Shown(panel, None, f"{_failure(panel.key, error)}.")


def _sentence(error: WindowTooWideError) -> str:
    said = str(error)
    return f"{said[0].upper()}{said[1:]}."


def _failure(what: str, error: Exception) -> str:
    """Log the exception at hand under a short reference that the page can show."""
    reference = secrets.token_hex(4)
    logger.error("%s failed, reference %s", what, reference, exc_info=error)
    return f"Reference {reference}"


def _not_measured(query: DashboardQuery) -> list[str]:
    """Say which filters of the address these numbers do not know."""
    return [
        f"The filter {name} “{getattr(query, name)}” applies to the logs only; the numbers here are without it."
        for name in ONLY_LOGS
        if getattr(query, name) != ""
    ]


def _first_steps(request: HttpRequest, query: DashboardQuery) -> HttpResponse:
    context: dict[str, Any] = {"query": query, "notices": asked.notices(request, query)}
    if query.project is None:
        return render(request, "dashboard/first_project.html", context | {"form": first_run.ProjectForm()})
    secret = request.session.pop(f"secret:{query.project.pk}", "")
    context |= {
        "steps": first_run.checklist(query.project),
        "key_form": first_run.KeyForm(),
        "secret": secret,
        "dsn": settings.BASE_URL.replace("://", f"://{secret or 'llv_ing_…'}@", 1),
        "project": query.project,
        "projects": asked.projects(request),
    }
    response = render(request, "dashboard/first_steps.html", context)
    # A key may be on it, which is shown once and not again from the browser's memory.
    response["Cache-Control"] = "private, no-store"
    return response
