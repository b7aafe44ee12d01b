"""What changed in the range of a page: dashed lines in its charts, and a list below its panels."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, timedelta
from typing import Final

from django.db import DatabaseError
from django.urls import reverse

from dashboard import charts
from dashboard.breakers import because
from dashboard.charts import Mark
from dashboard.drawing import Drawn
from dashboard.failures import noted
from dashboard.grids import Cell, Grid, Head
from dashboard.look import Look
from dashboard.query import DashboardQuery, moved
from metrics import markers
from metrics.markers import Marker
from metrics.steps import Steps
from metrics.windows import Window

MOST_ROWS: Final = 20
# The calls a breaker kept back lie around its opening.
_AROUND: Final = timedelta(minutes=10)
# Kind → its word in the list, and what stands before the title in a chart.
_WORDS: Final = {
    "deploy": ("deploy", ""),
    "config": ("configuration", ""),
    "incident": ("incident", ""),
    "note": ("note", ""),
    "release": ("new release", "release "),
    "version": ("new prompt version", "prompt version "),
    "price": ("new price", "price of "),
    "budget": ("budget", "budget "),
    "breaker": ("breaker opened", "stopped: "),
}
_DONE: Final = {
    "create": "made",
    "change": "edited",
    "pause": "paused",
    "resume": "active again",
    "delete": "deleted",
}


NEED: Final = "markers"


def question(look: Look) -> dict[str, Steps[Sequence[Marker]]]:
    """Return the question, by its name."""
    return {NEED: markers.markers(look.query.slice.project_id, look.window, look.query.environment)}


@dataclass(frozen=True, slots=True)
class Changes:
    """The list below the panels."""

    sentence: str
    grid: Grid
    failed: str = ""
    """Why there is none, when it could not be read."""


@dataclass(frozen=True, slots=True)
class _Found:
    markers: Sequence[Marker]
    failed: str = ""


def changes(look: Look) -> Changes:
    """Return the newest changes of the range, and how many there are."""
    found = look.once(_found)
    newest = list(reversed(found.markers))
    heads = [Head("When (UTC)", "name"), Head("What", "text"), Head("Which", "text"), Head("Details", "text")]
    return Changes(_sentence(len(newest)), Grid(heads, [_row(look, one) for one in newest[:MOST_ROWS]]), found.failed)


def drawn_into(drawn: Drawn, look: Look) -> Drawn:
    """Return the drawing with the changes marked in its chart, when that is one over time."""
    found = look.once(_found).markers
    if drawn.figure is None or not found:
        return drawn
    marks = [Mark(one.at, f"{_WORDS[one.kind][1]}{one.title}") for one in found]
    return replace(drawn, figure=charts.marked(drawn.figure, marks))


def _found(look: Look) -> _Found:
    """The changes, or why they could not be read: that is no reason for a page to fail."""
    try:
        return _Found(look.answer(NEED))
    except DatabaseError as error:
        return _Found((), f"What changed in this time could not be read. {noted('markers', error)}.")


def _sentence(number: int) -> str:
    if number > MOST_ROWS:
        return f"{number:,} changes in this range; these are the newest {MOST_ROWS}."
    return "1 change in this range." if number == 1 else f"{number} changes in this range, newest first."


def _row(look: Look, one: Marker) -> Sequence[Cell]:
    where = "" if one.environment == "" else f" ({one.environment})"
    what = Cell(f"{_WORDS[one.kind][0]}{where}")
    when = Cell(f"{one.at.astimezone(UTC):%-d %b, %H:%M}")
    return when, what, Cell(one.title, _link(look.query, one)), Cell(_detail(one), tone="muted")


def _detail(one: Marker) -> str:
    if one.kind == "budget":
        return _DONE.get(one.detail, one.detail)
    if one.kind == "breaker":
        clients = f"on {one.times:,} {'client' if one.times == 1 else 'clients'}"
        return f"{clients}, because {because(one.detail)}" if one.detail else clients
    return one.detail


def _link(query: DashboardQuery, one: Marker) -> str:
    """Return where to read on: the address that was told, or the calls it is about."""
    if one.kind == "release":
        return reverse("logs") + query.string(release=one.title)
    if one.kind == "version":
        return reverse("logs") + query.string(version=one.title)
    if one.kind == "breaker":
        around = Window(one.at - _AROUND, one.at + _AROUND)
        return reverse("logs") + moved(query, around).string(err="circuit_open")
    # An address typed into the admin may be of any scheme.
    return one.link if one.link.startswith(("https://", "http://")) else ""
