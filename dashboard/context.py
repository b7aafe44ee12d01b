"""What every page needs around its content: where one can go, what fires, and how it should look."""

from dataclasses import dataclass
from typing import Any, Final

from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse

from alerting.models import OPEN, Alert
from dashboard import assets
from dashboard.pages import PAGES

THEMES: Final = ("light", "dark")
FILE_BACKEND: Final = "django.core.mail.backends.filebased.EmailBackend"
LETTERS: Final = {
    "overview": "o",
    "limits": "l",
    "compare": "c",
    "usage": "u",
    "errors": "e",
    "quality": "q",
    "logs": "g",
    "alerts": "a",
    "mails": "m",
    "system": "s",
}
# About the product itself: below what it is about.
_AT_THE_END: Final = ("system",)


@dataclass(frozen=True, slots=True)
class Link:
    name: str
    label: str
    href: str
    is_here: bool
    letter: str = ""
    """The key that goes there, after g."""
    count: int = 0
    is_boosted: bool = True


def mails_go_to_files() -> bool:
    """Return whether mails are written to files, where the page of mails finds them."""
    return bool(settings.EMAIL_BACKEND == FILE_BACKEND)


def chrome(request: HttpRequest) -> dict[str, Any]:
    """Return the frame of the page. Anonymous visitors, and pages of an error, get one without numbers."""
    theme = request.COOKIES.get("theme", "")
    user = getattr(request, "user", None)
    signed_in = user is not None and user.is_authenticated
    bundle = assets.plotly_bundle()
    return {
        "theme": theme if theme in THEMES else "",
        "nonce": getattr(request, "csp_nonce", ""),
        "demo": settings.DEMO,
        "signed_in": signed_in,
        "nav": _nav(request) if signed_in else [],
        "libraries": {"plotly": assets.PLOTLY, "plotly_css": assets.PLOTLY_RULES, "htmx": assets.HTMX},
        "map_style_id": assets.map_style_id(bundle),
    }


def _nav(request: HttpRequest) -> list[Link]:
    match = request.resolver_match
    here = match.url_name if match is not None and not match.namespaces else ""
    kept = _kept(request)
    firing = _firing(request)
    pages = [
        *((page.key, page.title, 0) for page in PAGES if page.key not in _AT_THE_END),
        ("logs", "Logs", 0),
        ("alerts", "Alerts", firing),
        *([("mails", "Mails", 0)] if mails_go_to_files() and request.user.is_staff else []),
        *((page.key, page.title, 0) for page in PAGES if page.key in _AT_THE_END),
    ]
    group = {"request": "logs", "request_body": "logs", "alert": "alerts", "mail": "mails"}
    links = [
        Link(name, label, reverse(name) + kept, group.get(here or "", here) == name, LETTERS[name], count)
        for name, label, count in pages
    ]
    if request.user.is_staff:
        links.append(Link("admin", "Settings", reverse("admin:index"), False, is_boosted=False))
    return links


def _firing(request: HttpRequest) -> int:
    """Count what fires in the project on the page, or in all where the page is about none."""
    # A page of numbers may have read the alerts already.
    if (look := getattr(request, "look", None)) is not None:
        return len(look.firing)
    alerts = Alert.objects.filter(state__in=OPEN)
    query = getattr(request, "dashboard_query", None)
    if query is not None and query.project is not None:
        alerts = alerts.filter(project=query.project)
    return alerts.count()


def _kept(request: HttpRequest) -> str:
    """Going to another page keeps the project, the environment and the time."""
    query = getattr(request, "dashboard_query", None)
    if query is None:
        return ""
    return str(query.elsewhere)
