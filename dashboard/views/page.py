"""The pages of measured numbers, and their panels as files."""

from dataclasses import dataclass
from typing import Any

from django.db import DatabaseError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBadRequest
from django.shortcuts import render
from django.utils.cache import patch_vary_headers
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_safe

from dashboard import exports, first_run, markers
from dashboard.drawing import Drawn, Panel
from dashboard.failures import noted, sentence
from dashboard.look import Look
from dashboard.page import Answer, Lead, Page
from dashboard.pages import PAGES
from dashboard.query import COMPARISONS, LABELS, ONLY_LOGS, DashboardQuery
from dashboard.tiles import Tile
from dashboard.views import asked
from dashboard.views.first_run import first_steps
from metrics.queries import WindowTooWideError

_PAGES = {page.key: page for page in PAGES}


@dataclass(frozen=True, slots=True)
class Shown:
    """A panel on the page: drawn, or in a sentence why not."""

    panel: Panel
    drawn: Drawn | None
    why: str = ""


@require_safe
def page(request: HttpRequest, key: str) -> HttpResponse:
    query = asked.read(request)
    if query.project is None or not first_run.has_started(query.project, query.now):
        return first_steps(request, query)
    look = _PAGES[key].look(query)
    request.look = look  # type: ignore[attr-defined]  # the frame of the page says how many alerts fire
    context = asked.controls(request, query) | {"comparisons": _comparisons(query)} | _content(_PAGES[key], look)
    context["notices"] += _not_measured(query)
    template = "dashboard/_refresh.html" if asked.is_refresh(request) else "dashboard/page.html"
    response = render(request, template, context)
    patch_vary_headers(response, ["HX-Request", "HX-Boosted"])
    response["Cache-Control"] = "private, no-cache"
    return response


@require_safe
@cache_control(private=True, no_cache=True)
def panel_file(request: HttpRequest, key: str, panel: str, form: str) -> HttpResponse:
    """The numbers of one panel, all of them, exactly: as CSV or JSON."""
    query, of_page = asked.read(request), _PAGES.get(key)
    found = None if of_page is None else of_page.panel(panel)
    if of_page is None or found is None or query.project is None:
        raise Http404("There is no such panel.")
    look = of_page.look(query)
    try:
        drawn = found.draw(look)
    except WindowTooWideError as error:
        return HttpResponseBadRequest(sentence(error), content_type="text/plain; charset=utf-8")
    name = f"{query.project.slug}-{found.key}-{query.window.start:%Y%m%dT%H%M}"
    if form == "json":
        head = exports.Heading(found.title, drawn.takeaway, query.window, look.complete_to)
        return exports.json_response(name, head, drawn.table)
    return exports.csv_response(name, drawn.table.headings, drawn.table.exact)


def _content(page: Page, look: Look) -> dict[str, Any]:
    return {
        "page": page,
        "query": look.query,
        "lead": _lead(page, look),
        "tiles": _tiles(page, look),
        "panels": [_shown(page, panel, look) for panel in page.panels],
        "changes": markers.changes(look) if page.is_of_range else None,
        "complete_to": look.complete_to,
        "notes": page.notes(look),
    }


def _lead(page: Page, look: Look) -> Lead:
    try:
        return page.lead(look)
    except DatabaseError as error:
        return Answer(f"The answer could not be read. {noted(page.key, error)}.", tone="unknown")
    except WindowTooWideError as error:
        return Answer(f"The answer could not be read. {sentence(error)}", tone="unknown")


def _tiles(page: Page, look: Look) -> list[Tile]:
    try:
        return list(page.tiles(look))
    except DatabaseError as error:
        return [Tile("Numbers", "–", note=f"could not be read; {noted('tiles', error)}")]
    except WindowTooWideError as error:
        return [Tile("Numbers", "–", note=sentence(error))]


def _shown(page: Page, panel: Panel, look: Look) -> Shown:
    """One panel that cannot be drawn leaves the others alone."""
    try:
        drawn = panel.draw(look)
        return Shown(panel, markers.drawn_into(drawn, look) if page.is_of_range else drawn)
    except WindowTooWideError as error:
        return Shown(panel, None, sentence(error))
    except Exception as error:  # noqa: BLE001 - whatever it was, it belongs into this panel's box and not over the page
        return Shown(panel, None, f"{noted(panel.key, error)}.")


def _comparisons(query: DashboardQuery) -> dict[str, str]:
    return COMPARISONS if query.against is None else COMPARISONS | {query.cmp: query.compared_with}


def _not_measured(query: DashboardQuery) -> list[str]:
    """Say which filters of the address these numbers do not know."""
    return [
        f"The filter {LABELS.get(name, name)} “{query.words(name)}” applies to the logs only;"
        " the numbers here are without it."
        for name in ONLY_LOGS
        if getattr(query, name) != ""
    ]
