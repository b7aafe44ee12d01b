"""Usage & cost: what drives usage, is it growing, and what does one request cost?"""

from typing import Final

from dashboard.page import Page
from dashboard.usage.answer import answer
from dashboard.usage.parts import PartsPanel
from dashboard.usage.prices import AlternativesPanel, UnpricedPanel
from dashboard.usage.readings import questions
from dashboard.usage.tiles import tiles
from dashboard.usage.trend import TokenMixPanel, TrendPanel
from dashboard.usage.waste import CachePanel, WastePanel

USAGE: Final = Page(
    "usage",
    "Usage & cost",
    "What drives usage, and what does one request cost?",
    answer,
    (
        TrendPanel(),
        TokenMixPanel(),
        PartsPanel(),
        WastePanel(),
        CachePanel(),
        UnpricedPanel(),
        AlternativesPanel(),
    ),
    tiles,
    needs=("month",),
    questions=questions,
    form="dashboard/_usage_form.html",
)
