"""The read API: `GET /api/v1/metrics/<metric>`, its series and its parts. The same readings as pages, rules and mails.

Numbers keep their unit and all their digits: sums are whole numbers, quotients are text, unknown is null.
"""

import logging
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

import django.db
from django.utils import timezone
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from ingest.api import Answering, Refused
from ingest.store import sqlstate_of
from metrics import asked, queries
from metrics.asked import Asked, AskedError
from metrics.auth import MayRead, Reader, ReadKeyAuthentication, ReadThrottle
from metrics.catalog import DIMENSIONS_OF, METRICS, Metric
from metrics.queries import WindowTooWideError
from metrics.readings import Part, Value
from projects.models import ReadKey

logger = logging.getLogger(__name__)

_CANCELLED: Final = "57014"


class ReadView(Answering):
    """Answers questions about the calls that a read key may see."""

    authentication_classes = [ReadKeyAuthentication]
    permission_classes = [MayRead]
    throttle_classes = [ReadThrottle]
    must_send = MayRead.message

    def get(self, request: Request, metric: str) -> Response:
        reader = request.user
        assert isinstance(reader, Reader)
        found = METRICS.get(metric)
        if found is None:
            raise Refused(status.HTTP_404_NOT_FOUND, "metric", "There is no such metric; GET /api/v1/metrics has all.")
        try:
            return Response(self.answer(found, request, reader.key, timezone.now()))
        except AskedError as error:
            raise Refused(status.HTTP_400_BAD_REQUEST, error.field, str(error)) from error
        except WindowTooWideError as error:
            raise Refused(status.HTTP_400_BAD_REQUEST, "from", str(error)) from error

    def answer(self, metric: Metric, request: Request, key: ReadKey, now: datetime) -> dict[str, Any]:
        """Return the document. Raises AskedError and WindowTooWideError."""
        raise NotImplementedError

    def unavailable(self, error: django.db.Error) -> Response:
        logger.error("Not answered: %s sqlstate=%s", type(error).__name__, sqlstate_of(error))
        said = "The database is not available for the moment. Ask again later."
        if sqlstate_of(error) == _CANCELLED:
            said = "The answer took too long. Ask for a shorter time or fewer filters."
        return Response({"error": said}, status=status.HTTP_503_SERVICE_UNAVAILABLE, headers={"Retry-After": "5"})


class CatalogView(ReadView):
    """All metrics there are."""

    def get(self, request: Request) -> Response:  # type: ignore[override]  # the only one about no metric
        if request.query_params:
            raise Refused(status.HTTP_400_BAD_REQUEST, next(iter(request.query_params))[:64], "takes no parameters")
        return Response({"metrics": [_about(metric) for metric in METRICS.values()], "dimensions": asked.DIMENSIONS})


class ValueView(ReadView):
    """One number."""

    def answer(self, metric: Metric, request: Request, key: ReadKey, now: datetime) -> dict[str, Any]:
        question = asked.value(metric, _data(request), project_id=key.project_id, environment=key.environment, now=now)
        reading = queries.value(metric.key, question.window, question.slice, now=now)
        return _head(metric, question, reading.complete_to) | {
            "value": _exact(reading.value),
            "calls": reading.sample,
            "unpriced": reading.unpriced,
        }


class SeriesView(ReadView):
    """The metric over time, whole or in its largest parts."""

    def answer(self, metric: Metric, request: Request, key: ReadKey, now: datetime) -> dict[str, Any]:
        question = asked.series(metric, _data(request), project_id=key.project_id, environment=key.environment, now=now)
        found = queries.series(
            metric.key,
            question.window,
            question.slice,
            bucket=question.bucket,
            by=question.by,
            top=question.top,
            now=now,
        )
        starts = found[0].starts if found else question.window.buckets(question.bucket)
        lines = [
            ({} if question.by is None else {"name": one.key})
            | {"values": [_exact(value) for value in one.values], "calls": one.samples}
            for one in found
        ]
        head = _head(metric, question, found[0].complete_to if found else now)
        by = {} if question.by is None else {"by": question.by}
        seconds = int(question.bucket.total_seconds())
        return head | by | {"bucket_seconds": seconds, "starts": [_time(at) for at in starts], "series": lines}


class BreakdownView(ReadView):
    """The largest parts of the metric, the rest together, and all of them."""

    def answer(self, metric: Metric, request: Request, key: ReadKey, now: datetime) -> dict[str, Any]:
        question = asked.breakdown(
            metric, _data(request), project_id=key.project_id, environment=key.environment, now=now
        )
        assert question.by is not None
        found = queries.breakdown(question.by, [metric.key], question.window, question.slice, top=question.top, now=now)
        return _head(metric, question, found.complete_to) | {
            "by": question.by,
            "parts": [{"name": part.key} | _part(metric, part) for part in found.parts],
            "other": None if found.other is None else _part(metric, found.other),
            "total": _part(metric, found.total),
        }


def _data(request: Request) -> asked.Data:
    return dict(request.query_params.lists())


def _about(metric: Metric) -> dict[str, Any]:
    return {
        "metric": metric.key,
        "label": metric.label,
        "unit": metric.unit.value,
        "better": metric.better,
        "description": metric.description,
        "of": metric.source,
        "dimensions": DIMENSIONS_OF[metric.source],
    }


def _head(metric: Metric, question: Asked, complete_to: datetime | None) -> dict[str, Any]:
    return {
        "metric": metric.key,
        "unit": metric.unit.value,
        "from": _time(question.window.start),
        "to": _time(question.window.end),
        "filters": question.slice.filters,
        "complete_to": None if complete_to is None else _time(complete_to),
    }


def _part(metric: Metric, part: Part) -> dict[str, Any]:
    reading = part.readings[metric.key]
    return {"value": _exact(reading.value), "calls": reading.sample, "unpriced": reading.unpriced}


def _exact(value: Value) -> int | str | None:
    return f"{value:f}" if isinstance(value, Decimal) else value


def _time(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")
