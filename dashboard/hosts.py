"""Which names the site answers to. The two addresses for machines answer to any."""

from typing import Final

from django.http import HttpRequest, HttpResponsePermanentRedirect
from django.middleware.common import CommonMiddleware

# A container or a load balancer asks by an address nobody put into ALLOWED_HOSTS, and the answers hold no link.
FOR_MACHINES: Final = frozenset({"/healthz", "/readyz"})


class HostMiddleware(CommonMiddleware):
    """Django's check of the Host header, for everything people see."""

    def process_request(self, request: HttpRequest) -> HttpResponsePermanentRedirect | None:
        return None if request.path_info in FOR_MACHINES else super().process_request(request)
