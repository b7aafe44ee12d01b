"""Display — step 8 of 8: pages as data, each a question, its answer in a sentence, and its panels as they are read."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from dashboard import markers
from dashboard.drawing import Panel
from dashboard.look import Look, Need
from dashboard.query import DashboardQuery
from dashboard.tiles import Tile
from metrics.steps import Steps


class Lead(Protocol):
    """What a page says first. Its template finds it as `lead`."""

    @property
    def template(self) -> str: ...
    @property
    def word(self) -> str:
        """Return what the title of the page begins with; empty: its name."""
        ...


@dataclass(frozen=True, slots=True)
class Answer:
    """The question of a page, answered in a sentence: what a glance of five seconds should leave behind."""

    sentence: str
    detail: str = ""
    tone: Literal["plain", "good", "warn", "bad", "unknown"] = "plain"
    action: str = ""
    """What to do next, as the text of a link."""
    href: str = ""
    template: str = "dashboard/_answer.html"
    word: str = ""


def no_tiles(look: Look) -> Sequence[Tile]:  # noqa: ARG001 - one of several with this shape
    """Show no headline numbers."""
    return ()


def nothing_more(look: Look) -> Mapping[str, Steps[Any]]:  # noqa: ARG001 - one of several with this shape
    """Ask no questions of the page's own."""
    return {}


def no_notes(look: Look) -> Sequence[str]:  # noqa: ARG001 - one of several with this shape
    """Say nothing at the foot."""
    return ()


@dataclass(frozen=True)
class Page:
    """One page: reached under its key, listed in the order of `dashboard.pages.PAGES`."""

    key: str
    title: str
    question: str
    lead: Callable[[Look], Lead]
    panels: tuple[Panel, ...]
    tiles: Callable[[Look], Sequence[Tile]] = no_tiles
    notes: Callable[[Look], Sequence[str]] = no_notes
    """Sentences for the foot of the page: what its numbers leave out."""
    needs: Sequence[Need] = ()
    """What lead, tiles and notes look at, beside what the panels need."""
    questions: Callable[[Look], Mapping[str, Steps[Any]]] = nothing_more
    """Questions of the page's own, by the name its parts ask `Look.answer` for."""
    form: str = ""
    """The template of the page's own controls: what it is cut by, what is assumed."""
    is_of_range: bool = True
    """It is about the range asked for, so what changed in that is marked; otherwise it is about now."""

    def look(self, query: DashboardQuery) -> Look:
        """Return a look at the data with all that the page needs in it, read together."""
        look = Look(query)
        needs = {"complete_to", *self.needs, *(need for panel in self.panels for need in panel.needs)}
        changed = markers.question(look) if self.is_of_range else {}
        look.ahead(needs, {**self.questions(look), **changed})
        return look

    def panel(self, key: str) -> Panel | None:
        return next((panel for panel in self.panels if panel.key == key), None)
