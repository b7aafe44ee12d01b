"""The Overview: is it healthy right now?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.db import DatabaseError

from alerting.models import Alert
from dashboard import breakers, losses, tiles, verdicts
from dashboard.failures import noted, sentence
from dashboard.look import Look
from dashboard.page import Page
from dashboard.panels import FeaturesPanel, LatencyPanel, RequestsPanel, StackPanel
from dashboard.verdicts import Verdict
from metrics.queries import WindowTooWideError
from metrics.steps import Steps

MOST_ALERTS: Final = 10


@dataclass(frozen=True, slots=True)
class Health:
    """The verdict, and the alerts that are not over."""

    verdict: Verdict
    open_alerts: Sequence[Alert]
    template: str = "dashboard/_health.html"

    @property
    def word(self) -> str:
        return self.verdict.word


def health(look: Look) -> Health:
    return Health(_verdict(look), look.open_alerts[:MOST_ALERTS])


def _verdict(look: Look) -> Verdict:
    """A verdict whose reasons could not be read is Unknown: a page that cannot see does not say that all is well."""
    try:
        return verdicts.verdict(verdicts.gather(look.query, look.firing, look))
    except DatabaseError as error:
        return Verdict("unknown", f"The state could not be read. {noted('verdict', error)}.")
    except WindowTooWideError as error:
        return Verdict("unknown", f"The state could not be read. {sentence(error)}")


def notes(look: Look) -> Sequence[str]:
    """Say what clients hold back or gave up, and what was put aside."""
    return breakers.sentences(look.query) + losses.sentences(look)


def questions(look: Look) -> Mapping[str, Steps[Any]]:
    return verdicts.needs(look.query) | losses.needs(look.query)


OVERVIEW: Final = Page(
    "overview",
    "Overview",
    "Is it healthy right now?",
    health,
    (
        LatencyPanel(),
        RequestsPanel(),
        StackPanel("errors", "Errors by type", "errors", "error", "No call failed in this range.", is_good_news=True),
        StackPanel("cost", "Cost by feature", "spend", "feature", "Nothing was spent in this range."),
        FeaturesPanel(),
    ),
    tiles.tiles,
    notes,
    tiles.NEEDS,
    questions,
)
