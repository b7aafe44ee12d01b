"""Signing in, and health for machines: what is open to those without an account."""

from typing import Any

from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.views import LoginView
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.views.decorators.http import require_safe

from dashboard import health
from dashboard.views import asked


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


@method_decorator(login_not_required, name="dispatch")
class SignIn(LoginView):
    """The form to sign in. A refresh that ends here, because the session is over, loads the page anew instead."""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        response = super().dispatch(request, *args, **kwargs)
        if asked.is_refresh(request):
            response["HX-Refresh"] = "true"
        return response
