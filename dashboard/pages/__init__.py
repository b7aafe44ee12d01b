"""All pages of measured numbers, in the order of the navigation."""

from typing import Final

from dashboard.page import Page
from dashboard.pages.overview import OVERVIEW
from dashboard.pages.system import SYSTEM
from dashboard.pages.usage import USAGE

PAGES: Final[tuple[Page, ...]] = (OVERVIEW, USAGE, SYSTEM)
