"""The usual way: a DRF serializer for each event, model instances, `bulk_create(ignore_conflicts=True)`.

Same table, same key check, same prices, same answers for good input; what ours is measured against.
"""

import gzip
import json
from typing import Any

from django.db import transaction
from django.urls import path
from django.utils import timezone
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from config import urls
from ingest import dimensions, pricebook
from ingest.auth import IngestKeyAuthentication, MayWrite, Writer
from ingest.histogram import bucket_of
from ingest.models import RequestLog
from ingest.usage import read_usage
from ingest.vocabulary import DimensionKind, ErrorCategory, Flag, Outcome, Source, StopReason


def text(length: int) -> serializers.CharField:
    return serializers.CharField(max_length=length, required=False, allow_null=True)


def number() -> serializers.IntegerField:
    return serializers.IntegerField(min_value=0, max_value=2**31 - 1, required=False, allow_null=True)


class AttemptSerializer(serializers.Serializer[Any]):
    n = number()
    start_ms = number()
    duration_ms = number()
    status = number()
    category = text(64)
    request_id = text(200)
    wait_ms = number()
    retry_after_s = serializers.FloatField(required=False)
    key_alias = text(64)
    model = text(100)


class ErrorSerializer(serializers.Serializer[Any]):
    category = text(64)
    type = text(200)
    code = text(200)
    status = number()
    message = text(500)


class LimitsSerializer(serializers.Serializer[Any]):
    requests_limit = number()
    requests_remaining = number()
    input_limit = number()
    input_remaining = number()
    output_limit = number()
    output_remaining = number()


class EventSerializer(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    started_at = serializers.DateTimeField()
    operation = text(64)
    app = text(200)
    release = text(200)
    sdk = text(64)
    feature = text(200)
    prompt_type = text(200)
    prompt_version = text(200)
    user_id = text(200)
    session_id = text(200)
    tags = serializers.DictField(child=serializers.CharField(max_length=200), required=False)
    trace_id = serializers.RegexField(r"^[0-9a-f]{32}$", required=False)
    span_id = serializers.RegexField(r"^[0-9a-f]{16}$", required=False)
    stream = serializers.BooleanField(required=False)
    model_requested = text(100)
    model = text(100)
    params = serializers.DictField(required=False)
    duration_ms = serializers.IntegerField(min_value=0)
    ttft_ms = number()
    queue_ms = number()
    attempts = AttemptSerializer(many=True, required=False)
    usage = serializers.DictField(required=False)
    stop_reason = text(64)
    source = serializers.ChoiceField([source.name.lower() for source in Source], default="api")  # type: ignore[assignment]
    outcome = serializers.ChoiceField([outcome.name.lower() for outcome in Outcome])
    error = ErrorSerializer(required=False)
    request_id = text(200)
    limits = LimitsSerializer(required=False)


class UsualView(APIView):
    authentication_classes = [IngestKeyAuthentication]
    permission_classes = [MayWrite]

    def post(self, request: Request) -> Response:
        document = json.loads(
            gzip.decompress(request._request.read()) if request.headers.get("Content-Encoding") else b"{}"
        )
        serializer = EventSerializer(data=document.get("events", []), many=True)
        serializer.is_valid(raise_exception=True)
        project_id = _writer(request).origin.project_id
        calls = [call_of(event, project_id) for event in serializer.validated_data]
        with transaction.atomic():
            RequestLog.objects.bulk_create(calls, ignore_conflicts=True)
        return Response({"accepted": len(calls)})


def _writer(request: Request) -> Writer:
    assert isinstance(request.user, Writer)
    return request.user


def call_of(event: dict[str, Any], project_id: int) -> RequestLog:
    def interned(kind: DimensionKind, name: str | None) -> int:
        return dimensions.ids(project_id, kind, [name])[name] if name else 0

    now = timezone.now()
    usage = read_usage(event.get("usage") or {})
    model = event.get("model") or event.get("model_requested")
    cost = pricebook.current(now).price(usage, model, event["started_at"]) if model and "usage" in event else None
    error = event.get("error") or {}
    category = error.get("category")
    stop = event.get("stop_reason")
    return RequestLog(
        id=event["id"],
        project_id=project_id,
        started_at=event["started_at"],
        received_at=now,
        cost_nanousd=cost.nanousd if cost else None,
        price_id=cost.price_id if cost else None,
        infra_nanousd=0,
        digest=0,
        trace_id=event.get("trace_id"),
        span_id=int(event["span_id"], 16) - 2**63 if "span_id" in event else None,
        environment_id=interned(DimensionKind.ENVIRONMENT, "production"),
        feature_id=interned(DimensionKind.FEATURE, event.get("feature")),
        prompt_type_id=interned(DimensionKind.PROMPT_TYPE, event.get("prompt_type")),
        prompt_version_id=interned(DimensionKind.PROMPT_VERSION, event.get("prompt_version")),
        model_id=interned(DimensionKind.MODEL, model),
        requested_model_id=interned(DimensionKind.MODEL, event.get("model_requested")),
        app_id=interned(DimensionKind.APP, event.get("app")),
        release_id=interned(DimensionKind.RELEASE, event.get("release")),
        sdk_id=interned(DimensionKind.SDK, event.get("sdk")),
        key_id=interned(DimensionKind.KEY, next((one.get("key_alias") for one in event.get("attempts", [])), None)),
        flags=Flag.STREAM if event.get("stream") else 0,
        duration_ms=event["duration_ms"],
        ttft_ms=event.get("ttft_ms"),
        queue_ms=event.get("queue_ms"),
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cache_read_tokens=usage.cache_read_tokens,
        cache_write_5m_tokens=usage.cache_write_5m_tokens,
        cache_write_1h_tokens=usage.cache_write_1h_tokens,
        outcome=Outcome[event["outcome"].upper()],
        error=ErrorCategory[category.upper()] if category else 0,
        source=Source[event["source"].upper()],
        attempts=len(event.get("attempts", [])),
        http_status=error.get("status"),
        stop_reason=StopReason[stop.upper()] if stop else None,
        latency_bucket=bucket_of(event["duration_ms"]),
        ttft_bucket=bucket_of(event["ttft_ms"]) if event.get("ttft_ms") is not None else None,
        web_searches=0,
        user_id=event.get("user_id"),
        session_id=event.get("session_id"),
        request_id=event.get("request_id"),
        error_message=error.get("message"),
        detail={key: event[key] for key in ("params", "tags") if key in event},
        **event.get("limits", {}),
    )


urlpatterns = [path("api/v1/events", UsualView.as_view()), *urls.urlpatterns]
