"""The ids of the trace a call is made in, when the host traces."""

import sys


def current_ids() -> tuple[str, str] | None:
    """Trace id and span id in hex; None outside of a trace, and when OpenTelemetry is not loaded."""
    trace = sys.modules.get("opentelemetry.trace")
    if trace is None:
        return None
    span = trace.get_current_span().get_span_context()
    return (f"{span.trace_id:032x}", f"{span.span_id:016x}") if span.is_valid else None


def suppress() -> None:
    """Switches instrumentation off in the current thread: sending telemetry is not itself worth a trace."""
    try:
        from opentelemetry import context  # noqa: PLC0415  # comes with the SDK; without it nothing is to be switched
    except ImportError:
        return
    for name in ("_SUPPRESS_INSTRUMENTATION_KEY", "_SUPPRESS_HTTP_INSTRUMENTATION_KEY"):
        key = getattr(context, name, None)
        if key is not None:
            context.attach(context.set_value(key, True))
