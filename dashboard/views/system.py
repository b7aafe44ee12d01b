"""Health for machines. Both are open: whoever watches them has no account."""

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.views.decorators.http import require_safe

from dashboard import health


@login_not_required
@require_safe
def healthz(_request: HttpRequest) -> HttpResponse:
    """This process answers; nothing else is asked."""
    return HttpResponse("ok\n", content_type="text/plain")


@login_not_required
@require_safe
def readyz(_request: HttpRequest) -> HttpResponse:
    """Whether the database, its tables and the counting are as they should be; 503 when one is not."""
    parts = health.ready(timezone.now())
    return JsonResponse(parts, status=200 if all(state == "ok" for state in parts.values()) else 503)
