"""All pages of measured numbers, in the order of the navigation."""

from typing import Final

from dashboard.page import Page
from dashboard.pages.compare import COMPARE
from dashboard.pages.errors import ERRORS
from dashboard.pages.limits import LIMITS
from dashboard.pages.overview import OVERVIEW
from dashboard.pages.quality import QUALITY
from dashboard.pages.system import SYSTEM
from dashboard.pages.usage import USAGE

PAGES: Final[tuple[Page, ...]] = (OVERVIEW, LIMITS, COMPARE, USAGE, ERRORS, QUALITY, SYSTEM)
