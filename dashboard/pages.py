"""Display — step 8 of 8: pages as data, each a question and its panels in the order they are read."""

from dataclasses import dataclass
from typing import Final

from dashboard.panels import FeaturesPanel, LatencyPanel, Panel, RequestsPanel, StackPanel


@dataclass(frozen=True)
class Page:
    key: str
    title: str
    question: str
    panels: tuple[Panel, ...]

    def panel(self, key: str) -> Panel | None:
        return next((panel for panel in self.panels if panel.key == key), None)


OVERVIEW: Final = Page(
    "overview",
    "Overview",
    "Is it healthy right now?",
    (
        LatencyPanel(),
        RequestsPanel(),
        StackPanel("errors", "Errors by type", "errors", "error", "types", "No call failed in this range."),
        StackPanel("cost", "Cost by feature", "spend", "feature", "features", "Nothing was spent in this range."),
        FeaturesPanel(),
    ),
)
