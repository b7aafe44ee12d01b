"""All pages of measured numbers, in the order of the navigation."""

from typing import Final

from dashboard.page import Page
from dashboard.pages.compare import COMPARE
from dashboard.pages.overview import OVERVIEW

PAGES: Final[tuple[Page, ...]] = (OVERVIEW, COMPARE)
