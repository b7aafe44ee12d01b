"""The trace a call is made in, and the silence in which telemetry is sent."""

import contextvars
from typing import Any

from opentelemetry import context, trace

import llmclient
from llmclient import _trace
from llmclient.testing import FakeAnthropic
from tests.llmclient.backend import Backend
from tests.llmclient.conftest import client_of

SPAN = trace.NonRecordingSpan(trace.SpanContext(0xABC, 0xDEF, is_remote=False))


def test_a_call_carries_the_ids_of_the_trace_around_it(backend: Backend, ask: dict[str, Any]) -> None:
    llmclient.configure(backend.dsn)
    with FakeAnthropic() as fake, trace.use_span(SPAN):
        client_of(fake).messages.create(**ask)
    assert llmclient.flush(30)
    assert backend.events[0]["trace_id"] == "00000000000000000000000000000abc"
    assert backend.events[0]["span_id"] == "0000000000000def"


def test_outside_of_a_trace_there_are_no_ids() -> None:
    assert _trace.current_ids() is None


def test_instrumentation_is_suppressed_where_telemetry_is_sent_and_only_there() -> None:
    inside = contextvars.copy_context()
    inside.run(_trace.suppress)
    assert inside.run(context.get_value, context._SUPPRESS_INSTRUMENTATION_KEY) is True
    assert inside.run(context.get_value, context._SUPPRESS_HTTP_INSTRUMENTATION_KEY) is True
    assert context.get_value(context._SUPPRESS_INSTRUMENTATION_KEY) is None
