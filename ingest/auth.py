"""Who may write: the bearer of a live ingest key, into that key's project and environment."""

from dataclasses import dataclass

from django.utils import timezone
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.views import APIView

from ingest.store import Origin
from projects import keys
from projects.models import IngestKey


@dataclass(frozen=True)
class Writer:
    """The holder of an ingest key, in the place where Django expects a user. It can write, and nothing else."""

    origin: Origin
    is_authenticated: bool = True


class IngestKeyAuthentication(BaseAuthentication):
    """`Authorization: Bearer llv_ing_…`; only in the header, because addresses end up in logs."""

    def authenticate(self, request: Request) -> tuple[Writer, IngestKey] | None:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        try:
            key = keys.verify(token.strip(), timezone.now())
        except keys.KeyFormatError as error:
            raise AuthenticationFailed(str(error)) from error
        if key is None:
            raise AuthenticationFailed("This key is unknown, revoked or expired. Make a new one for the project.")
        return Writer(origin_of(key)), key

    def authenticate_header(self, request: Request) -> str:  # noqa: ARG002 - DRF's signature
        return "Bearer"


class MayWrite(BasePermission):
    """An ingest key was given, and not just any login."""

    message = "Send an ingest key: Authorization: Bearer llv_ing_…"

    def has_permission(self, request: Request, view: APIView) -> bool:  # noqa: ARG002 - DRF's signature
        return isinstance(request.user, Writer)


def origin_of(key: IngestKey) -> Origin:
    project = key.project
    return Origin(
        project_id=project.pk,
        environment=key.environment,
        infra_nanousd_per_request=project.infra_nanousd_per_request,
        infra_nanousd_per_token=project.infra_nanousd_per_token,
    )
