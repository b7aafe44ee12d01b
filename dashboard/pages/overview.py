"""The Overview: is it healthy right now?"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from django.db import DatabaseError

from alerting.models import OPEN, Alert
from dashboard import breakers, losses, search
from dashboard.failures import noted, sentence
from dashboard.look import Look
from dashboard.page import Page
from dashboard.panels import FeaturesPanel, LatencyPanel, RequestsPanel, StackPanel
from dashboard.tiles import tiles
from dashboard.verdicts import Verdict, gather, verdict
from metrics.queries import WindowTooWideError


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
    open_alerts = _open_alerts(look)
    return Health(_verdict(look, tuple(alert for alert in open_alerts if alert.state in OPEN)), open_alerts)


def _open_alerts(look: Look) -> list[Alert]:
    found = Alert.objects.filter(project=look.query.project).exclude(state=Alert.State.RESOLVED)
    return list(found.order_by("opened_at")[:10])


def _verdict(look: Look, firing: tuple[Alert, ...]) -> Verdict:
    """A verdict whose reasons could not be read is Unknown: a page that cannot see does not say that all is well."""
    query = look.query
    try:
        assert query.project is not None
        return verdict(gather(query, firing, search.newest(query.project, query.now)))
    except DatabaseError as error:
        return Verdict("unknown", f"The state could not be read. {noted('verdict', error)}.")
    except WindowTooWideError as error:
        return Verdict("unknown", f"The state could not be read. {sentence(error)}")


def notes(look: Look) -> Sequence[str]:
    """Say what clients hold back or gave up, and what was put aside."""
    return breakers.sentences(look.query) + losses.sentences(look.query)


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
    tiles,
    notes,
)
