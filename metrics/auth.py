"""Who may read: the bearer of a live read key, the numbers of that key's project."""

from dataclasses import dataclass

from django.utils import timezone
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.throttling import SimpleRateThrottle
from rest_framework.views import APIView

from projects import keys
from projects.models import ReadKey


@dataclass(frozen=True)
class Reader:
    """The holder of a read key, in the place where Django expects a user. It can read numbers, and nothing else."""

    key: ReadKey
    is_authenticated: bool = True


class ReadKeyAuthentication(BaseAuthentication):
    """`Authorization: Bearer llv_read_…`; only in the header, because addresses end up in logs."""

    def authenticate(self, request: Request) -> tuple[Reader, ReadKey] | None:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        try:
            key = keys.verify_of(ReadKey, token.strip(), timezone.now())
        except keys.KeyFormatError as error:
            raise AuthenticationFailed(str(error)) from error
        if key is None:
            raise AuthenticationFailed("This key is unknown, revoked or expired. Make a new one for the project.")
        return Reader(key), key

    def authenticate_header(self, request: Request) -> str:  # noqa: ARG002 - DRF's signature
        return "Bearer"


class MayRead(BasePermission):
    """A read key was given, and not just any login."""

    message = "Send a read key: Authorization: Bearer llv_read_…"

    def has_permission(self, request: Request, view: APIView) -> bool:  # noqa: ARG002 - DRF's signature
        return isinstance(request.user, Reader)


class ReadThrottle(SimpleRateThrottle):
    """Two questions a second of one key, counted by each web process for itself: enough for boards, not for a flood."""

    rate = "120/min"

    def get_cache_key(self, request: Request, view: APIView) -> str | None:  # noqa: ARG002 - DRF's signature
        return f"read-key-{request.user.key.pk}" if isinstance(request.user, Reader) else None
