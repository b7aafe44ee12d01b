"""The query of a request: its address, read against what exists."""

from collections.abc import Collection
from typing import Any

from django.contrib import messages
from django.http import HttpRequest
from django.utils import timezone

from dashboard import address, search
from dashboard.models import SavedView, seen_by
from dashboard.query import PRESETS, DashboardQuery
from ingest import dimensions
from ingest.vocabulary import DimensionKind
from projects.models import Project


class Choices:
    """What there is to choose from, each read once for a request."""

    def __init__(self, projects: list[Project]) -> None:
        self.projects = projects
        self._environments: dict[int, Collection[str]] = {}

    def environments(self, project: Project) -> Collection[str]:
        if project.pk not in self._environments:
            self._environments[project.pk] = environments(project)
        return self._environments[project.pk]


def environments(project: Project) -> Collection[str]:
    """Return the environments calls have come from, by name."""
    return sorted(dimensions.names(project.pk, DimensionKind.ENVIRONMENT).values())


def read(request: HttpRequest) -> DashboardQuery:
    """Parse the address and keep the result on the request, where the frame of the page finds it."""
    choices = Choices(list(Project.objects.all()))
    found = address.parse(
        request.GET,
        projects=choices.projects,
        environments=choices.environments,
        failure_group=search.words_of_failure_group,
        now=timezone.now(),
    )
    request.dashboard_query = found  # type: ignore[attr-defined]
    request.dashboard_choices = choices  # type: ignore[attr-defined]
    return found


def projects(request: HttpRequest) -> list[Project]:
    """Return all projects, as `read` found them."""
    choices: Choices = request.dashboard_choices  # type: ignore[attr-defined]
    return choices.projects


def controls(request: HttpRequest, asked: DashboardQuery) -> dict[str, Any]:
    """Return what the controls at the top of a page offer, and what it says there; `read` must have been before."""
    assert asked.project is not None
    choices: Choices = request.dashboard_choices  # type: ignore[attr-defined]
    views = SavedView.objects.filter(seen_by(request.user.pk or 0), project=asked.project).select_related("owner")
    return {
        "projects": choices.projects,
        "environments": choices.environments(asked.project),
        "presets": PRESETS,
        "views": list(views),
        "notices": notices(request, asked),
    }


def notices(request: HttpRequest, asked: DashboardQuery) -> list[str]:
    """Return what the page says at its top: what the address got wrong, then what just happened."""
    return [*asked.notices, *(str(message) for message in messages.get_messages(request))]


def is_refresh(request: HttpRequest) -> bool:
    """Return whether only the moving part of the page is wanted: a timer asks, not a person."""
    htmx = request.htmx  # type: ignore[attr-defined]
    return bool(htmx) and not htmx.boosted
