"""`POST /api/v1/events`, `/scores` and `/annotations`: the doors. Every answer they can give is in docs/events.md."""

import logging
import secrets
from typing import Any, Final

import django.db
import msgspec
from django.http import UnreadablePostError
from django.utils import timezone
from rest_framework import status
from rest_framework.exceptions import APIException, AuthenticationFailed, NotAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from ingest import annotations, inflate, wire
from ingest.auth import IngestKeyAuthentication, MayWrite, Writer
from ingest.store import Origin, sqlstate_of, store

logger = logging.getLogger(__name__)

POLICY_VERSION: Final = 0
"""No policy has been published yet; clients compare it with the one they hold."""


class Answering(APIView):
    """Whatever is refused is told as {"error", "field"}; `must_send` is what is told those who send no key."""

    must_send: str

    def handle_exception(self, exc: Exception) -> Response:
        if isinstance(exc, django.db.Error):
            return self.unavailable(exc)
        response = super().handle_exception(exc)
        if isinstance(exc, NotAuthenticated):
            response.data = {"error": self.must_send, "field": "Authorization"}
        elif isinstance(exc, AuthenticationFailed):
            response.data = {"error": str(exc.detail), "field": "Authorization"}
        elif isinstance(exc, Refused):
            response.data = {"error": str(exc.detail), "field": exc.field}
        elif isinstance(exc, APIException):
            response.data = {"error": str(exc.detail)}
        return response

    def unavailable(self, error: django.db.Error) -> Response:
        """Return what is answered when the database did not do what it was asked."""
        raise NotImplementedError


class Door(Answering):
    """Takes what the holder of an ingest key sends, and answers only when it is durable."""

    authentication_classes = [IngestKeyAuthentication]
    permission_classes = [MayWrite]
    must_send = MayWrite.message

    def post(self, request: Request) -> Response:
        writer = request.user
        assert isinstance(writer, Writer)
        body = _body_of(request)
        try:
            return Response(self.take(body, writer.origin) | {"policy_version": POLICY_VERSION})
        except wire.TooManyEventsError as error:
            raise Refused(status.HTTP_413_REQUEST_ENTITY_TOO_LARGE, error.field, str(error)) from error
        except wire.EnvelopeError as error:
            raise Refused(status.HTTP_400_BAD_REQUEST, error.field, str(error)) from error

    def take(self, body: bytes, origin: Origin) -> dict[str, Any]:
        """Stores what is in the body; returns what became of it."""
        raise NotImplementedError

    def unavailable(self, error: django.db.Error) -> Response:
        return _unavailable(error)


class EventsView(Door):
    """A batch of events, what their process says about itself, and scores."""

    def take(self, body: bytes, origin: Origin) -> dict[str, Any]:
        now = timezone.now()
        batch = wire.decode(body)
        scored, bad_scores = wire.read_scores(batch.scores, now=now)
        # Events are decoded while they are stored, but nothing is written before all were.
        receipt = store(batch.events, origin=origin, now=now, client=batch.client, scored=scored)
        counted = {"scores_accepted": len(scored)} if batch.scores else {}
        return {**receipt._asdict(), **counted, "rejected": _listed([*batch.rejected, *bad_scores])}


class ScoresView(Door):
    """Scores of calls, by themselves."""

    def take(self, body: bytes, origin: Origin) -> dict[str, Any]:
        now = timezone.now()
        scored, rejected = wire.read_scores(wire.decode_scores(body), now=now)
        store((), origin=origin, now=now, scored=scored)
        return {"scores_accepted": len(scored), "rejected": _listed(rejected)}


class AnnotationsView(Door):
    """A change somebody made, for the charts."""

    def take(self, body: bytes, origin: Origin) -> dict[str, Any]:
        now = timezone.now()
        told = annotations.read(body, now=now)
        annotation, is_new = annotations.keep(
            told, project_id=origin.project_id, environment=origin.environment, now=now
        )
        return {"id": annotation.pk, "at": annotation.at.isoformat(), "is_new": is_new}


class Refused(APIException):
    """A request that can never be stored; `field` names the header or the part of the body that is wrong."""

    def __init__(self, status_code: int, field: str, reason: str) -> None:
        super().__init__(reason)
        self.status_code = status_code
        self.field = field


def _body_of(request: Request) -> bytes:
    """The inflated body. Its size is looked at before it is read, and again while it is inflated."""
    content_type = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if content_type != "application/json":
        raise Refused(status.HTTP_415_UNSUPPORTED_MEDIA_TYPE, "Content-Type", "Send Content-Type: application/json.")
    length = request.headers.get("Content-Length", "")
    if not (length.isascii() and length.isdigit()):
        raise Refused(status.HTTP_400_BAD_REQUEST, "Content-Length", "Send the Content-Length of the body.")
    if len(length) > 12 or int(length) > inflate.MOST_BYTES:
        reason = f"The body is larger than {inflate.MOST_BYTES:,} bytes; send smaller batches."
        raise Refused(status.HTTP_413_REQUEST_ENTITY_TOO_LARGE, "Content-Length", reason)
    try:
        # DRF would parse it, and HttpRequest.body has a limit of its own.
        body = request._request.read()
        return inflate.inflate(body, request.headers.get("Content-Encoding", ""))
    except UnreadablePostError as error:
        raise Refused(status.HTTP_400_BAD_REQUEST, "Content-Length", "The body ended before its length.") from error
    except inflate.UnknownEncodingError as error:
        raise Refused(status.HTTP_415_UNSUPPORTED_MEDIA_TYPE, "Content-Encoding", str(error)) from error
    except inflate.TooLargeError as error:
        raise Refused(status.HTTP_413_REQUEST_ENTITY_TOO_LARGE, "Content-Length", str(error)) from error
    except inflate.DamagedError as error:
        raise Refused(status.HTTP_400_BAD_REQUEST, "Content-Encoding", str(error)) from error


def _listed(rejected: list[wire.Rejection]) -> list[dict[str, Any]]:
    return [msgspec.structs.asdict(rejection) for rejection in rejected]


def _unavailable(error: django.db.Error) -> Response:
    """The database is away, full, or too busy: nothing was stored, and the same batch is welcome later."""
    cause = error.__cause__
    constraint = getattr(getattr(cause, "diag", None), "constraint_name", None)
    # The error's own text may quote a row.
    logger.error("Not stored: %s sqlstate=%s constraint=%s", type(error).__name__, sqlstate_of(error), constraint)
    # Jitter, so that clients turned away together do not come back together.
    seconds = 2 + secrets.randbelow(9)
    return Response(
        {"error": "The database is not available for the moment. Send the same again later."},
        status=status.HTTP_503_SERVICE_UNAVAILABLE,
        headers={"Retry-After": str(seconds)},
    )
