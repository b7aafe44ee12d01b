"""The first steps: make a project, make a key, send a test mail, wait for the first call."""

from smtplib import SMTPException
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from dashboard import first_run
from dashboard.query import DashboardQuery
from dashboard.views import asked
from projects.models import Project


def _only_with(request: HttpRequest, permission: str, deed: str) -> None:
    """The admin asks the same permission for the same deed."""
    if not request.user.has_perm(permission):
        raise PermissionDenied(f"Your account may not {deed}. Anyone who may change users can give you the permission.")


def _only_staff(request: HttpRequest) -> None:
    if not request.user.is_staff:
        raise PermissionDenied("Only staff can send test mails. Anyone who may change users can make you staff.")


def first_steps(request: HttpRequest, query: DashboardQuery) -> HttpResponse:
    """Show the way to the first call, in the place of pages that have no number to show yet."""
    context: dict[str, Any] = {"query": query, "notices": asked.notices(request, query)}
    if query.project is None:
        return render(request, "dashboard/first_project.html", context | {"form": first_run.ProjectForm()})
    secret = request.session.pop(f"secret:{query.project.pk}", "")
    context |= {
        "steps": first_run.checklist(query.project),
        "key_form": first_run.KeyForm(),
        "secret": secret,
        "dsn": settings.BASE_URL.replace("://", f"://{secret or 'llv_ing_…'}@", 1),
        "project": query.project,
        "projects": list(type(query.project).objects.all()),
    }
    response = render(request, "dashboard/first_steps.html", context)
    # A key may be on it, which is shown once and not again from the browser's memory.
    response["Cache-Control"] = "private, no-store"
    return response


@require_POST
def create_project(request: HttpRequest) -> HttpResponse:
    _only_with(request, "projects.add_project", "add projects")
    assert request.user.is_authenticated
    form = first_run.ProjectForm(request.POST)
    if not form.is_valid():
        context = {"form": form, "query": asked.read(request)}
        return render(request, "dashboard/first_project.html", context, status=422)
    project = form.create(request.user)
    return redirect(f"{reverse('overview')}?project={project.slug}")


@require_POST
def create_key(request: HttpRequest, slug: str) -> HttpResponse:
    """Make a key; its text travels in the session to the next page, is shown there and forgotten."""
    _only_with(request, "projects.add_ingestkey", "make keys")
    assert request.user.is_authenticated
    project = get_object_or_404(Project, slug=slug)
    form = first_run.KeyForm(request.POST)
    if form.is_valid():
        request.session[f"secret:{project.pk}"] = form.create(project, request.user)
    else:
        messages.error(request, str(form.errors["environment"][0]))
    return redirect(f"{reverse('overview')}?project={project.slug}")


@require_POST
def send_test_mail(request: HttpRequest, slug: str) -> HttpResponse:
    _only_staff(request)
    assert request.user.is_authenticated
    project = get_object_or_404(Project, slug=slug)
    if request.user.email == "":
        messages.error(request, "Your account has no e-mail address; add one in the settings first.")
    else:
        try:
            messages.success(
                request, f"A test mail is on its way to {first_run.send_test_mail(project, request.user)}."
            )
        except (SMTPException, OSError) as error:
            messages.error(request, f"The mail could not be sent: {error}. Check EMAIL_URL.")
    return redirect(f"{reverse('overview')}?project={project.slug}")


@require_safe
def waiting(_request: HttpRequest, slug: str) -> HttpResponse:
    """Asked every few seconds by the first steps: nothing yet, or the address of the page that has something."""
    project = get_object_or_404(Project, slug=slug)
    if not first_run.has_started(project, timezone.now()):
        return HttpResponse(status=204)
    response = HttpResponse(status=200)
    response["HX-Redirect"] = f"{reverse('overview')}?project={project.slug}&from=now-1h"
    return response
