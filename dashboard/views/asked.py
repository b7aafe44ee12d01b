"""The query of a request: its address, read against what exists."""

from collections.abc import Collection

from django.contrib import messages
from django.http import HttpRequest
from django.utils import timezone

from dashboard import address
from dashboard.query import DashboardQuery
from ingest import dimensions
from ingest.vocabulary import DimensionKind
from projects.models import Project


def environments(project: Project) -> Collection[str]:
    """Return the environments calls have come from, by name."""
    return sorted(dimensions.names(project.pk, DimensionKind.ENVIRONMENT).values())


def read(request: HttpRequest) -> DashboardQuery:
    """Parse the address and keep the result on the request, where the frame of the page finds it."""
    projects = list(Project.objects.all())
    request.dashboard_projects = projects  # type: ignore[attr-defined]
    found = address.parse(
        request.GET,
        projects=projects,
        environments=environments,
        now=timezone.now(),
    )
    request.dashboard_query = found  # type: ignore[attr-defined]
    return found


def projects(request: HttpRequest) -> list[Project]:
    """Return what `read` has found there is."""
    return list(request.dashboard_projects)  # type: ignore[attr-defined]


def notices(request: HttpRequest, asked: DashboardQuery) -> list[str]:
    """Return what the page says at its top: what the address got wrong, then what just happened."""
    return [*asked.notices, *(str(message) for message in messages.get_messages(request))]


def is_refresh(request: HttpRequest) -> bool:
    """Return whether only the moving part of the page is wanted: a timer asks, not a person."""
    htmx = request.htmx  # type: ignore[attr-defined]
    return bool(htmx) and not htmx.boosted
