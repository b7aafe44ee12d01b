"""Content-Security-Policy: nothing runs, loads or frames unless a page says so, and nothing inline without a nonce."""

import secrets
from collections.abc import Callable
from typing import Final

from django.http import HttpRequest, HttpResponse
from django.urls import reverse

HEADER: Final = "Content-Security-Policy"

_PAGE: Final = (
    "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self'; font-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
# Django's admin loads its scripts by address, so they are allowed by origin; inline ones still need the nonce.
_ADMIN: Final = (
    "default-src 'self'; script-src 'self' 'nonce-{nonce}'; style-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
# A mail's HTML carries its styles inline, as mail programs demand. It is shown in a frame of an origin of its own:
# no script, no form, no link out, no address of ours, no picture that is not in the mail itself.
MAIL_FRAME: Final = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'"


class ContentSecurityPolicyMiddleware:
    """Gives every request a nonce (`request.csp_nonce`) and every response its policy, unless the view set one."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        nonce = secrets.token_urlsafe(16)
        request.csp_nonce = nonce  # type: ignore[attr-defined]  # read by the templates
        response = self.get_response(request)
        if HEADER not in response:
            is_admin = request.path.startswith(reverse("admin:index"))
            response[HEADER] = (_ADMIN if is_admin else _PAGE).format(nonce=nonce)
        return response


def with_own_frames(request: HttpRequest) -> str:
    """Return the policy of a page that shows another page of this site in a frame."""
    nonce = request.csp_nonce  # type: ignore[attr-defined]
    return f"{_PAGE.format(nonce=nonce)}; frame-src 'self'"
