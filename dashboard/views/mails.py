"""The mails that were written to files: only where mails go to files, and only for staff."""

from pathlib import Path

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import cache_control
from django.views.decorators.clickjacking import xframe_options_sameorigin
from django.views.decorators.http import require_safe

from dashboard import csp
from dashboard import mails as files
from dashboard.context import mails_go_to_files
from dashboard.views import asked


def _folder(request: HttpRequest) -> Path:
    if not mails_go_to_files():
        raise Http404("Mails are sent, not written to files, so there is nothing to show.")
    if not request.user.is_staff:
        raise PermissionDenied("Only staff can read the mails. Anyone who may change users can make you staff.")
    return Path(settings.EMAIL_FILE_PATH)


@require_safe
@cache_control(private=True, no_store=True)
def mails(request: HttpRequest) -> HttpResponse:
    asked.read(request)
    return render(request, "dashboard/mails.html", {"mails": files.newest(_folder(request))})


@require_safe
@cache_control(private=True, no_store=True)
def mail(request: HttpRequest, key: str) -> HttpResponse:
    found = files.find(_folder(request), key)
    if found is None:
        raise Http404("There is no such mail.")
    asked.read(request)
    response = render(request, "dashboard/mail.html", {"mail": found})
    response[csp.HEADER] = csp.with_own_frames(request)
    return response


@require_safe
@xframe_options_sameorigin
@cache_control(private=True, no_store=True)
def mail_html(request: HttpRequest, key: str) -> HttpResponse:
    """The HTML part alone, in a sandbox that lets it style itself and do nothing else."""
    found = files.find(_folder(request), key)
    if found is None or found.html == "":
        raise Http404("There is no such mail, or it has no HTML part.")
    response = HttpResponse(found.html)
    response[csp.HEADER] = csp.MAIL_FRAME
    return response
