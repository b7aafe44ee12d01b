"""What is measured against the bare SDK: ours as it is by default and with everything on, and what others install.

Others are optional and imported by name only when they are measured, each in a process of its own: they change classes
of the SDK and set what OpenTelemetry has one of per process.
"""

import importlib
import os
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from importlib import metadata
from importlib.util import find_spec
from typing import Any, Final

import anthropic

import llmclient
from llmclient import Budget, Policy
from llmclient.fallback import Cached, Model, Notice

BARE: Final = "bare SDK"
DEFAULT: Final = "llmclient, default"
EVERYTHING: Final = "llmclient, everything on"
SDK_SPANS: Final = "the SDK's own spans"
OURS: Final = (DEFAULT, EVERYTHING)
USERS: Final = 50
MANY: Final = 1_000_000  # of what a budget holds: none is ever exceeded


def nothing() -> None:
    return


def no_labels(_: int) -> AbstractContextManager[Any]:
    return nullcontext()


@dataclass(frozen=True, slots=True)
class Subject:
    """One way to measure calls, set up in this process. `on` and `off` are for those that change the SDK itself."""

    client: Any
    bare: Any
    around: Callable[[int], AbstractContextManager[Any]] = no_labels
    on: Callable[[], object] = nothing
    off: Callable[[], object] = nothing
    settle: Callable[[], object] = field(default=nothing)
    """Delivers what waits."""


def set_up(name: str, url: str, backend: str, *, asynchronous: bool = False, spool: str | None = None) -> Subject:
    """A subject that talks to the Claude API at `url` and to the telemetry backend at `backend`, host:port."""
    kind = anthropic.AsyncAnthropic if asynchronous else anthropic.Anthropic

    def client(**more: Any) -> Any:
        return kind(api_key="x", base_url=url, **more)

    if name == BARE:
        return Subject(client(), client())
    if name in OURS:
        return ours(client, backend, everything=name == EVERYTHING, spool=spool)
    return OTHERS[name].set_up(client, backend)


def ours(client: Callable[..., Any], backend: str, *, everything: bool, spool: str | None) -> Subject:
    dsn = f"http://llv_ing_bench@{backend}"
    if not everything:
        llmclient.configure(dsn)
        return Subject(llmclient.instrument(client()), client(), settle=llmclient.flush)
    llmclient.configure(
        dsn,
        app="bench",
        release="1",
        capture="redacted",
        user_secret="a secret of the bench",
        spool=spool or tempfile.mkdtemp(prefix="bench-spool-"),
    )
    policy = Policy(
        budgets=[Budget("user", usd=MANY), Budget("request", tokens=MANY)],
        fallback=[Cached(fresh="5m", max_stale="1d"), Model("claude-haiku-5-5"), Notice("Back in a moment.")],
    )
    return Subject(llmclient.instrument(client(), policy), client(), labels, settle=llmclient.flush)


def labels(number: int) -> AbstractContextManager[Any]:
    return llmclient.context(
        feature="inbox", prompt_type="triage", prompt_version="7", user_id=f"user-{number % USERS}", session_id="s-9"
    )


# --- others -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Other:
    """Somebody else's; `needs` are modules, `package` is what pip calls it."""

    package: str
    needs: tuple[str, ...]
    set_up: Callable[[Callable[..., Any], str], Subject]

    @property
    def is_there(self) -> bool:
        return all(_found(name) for name in (*self.needs, "opentelemetry.exporter.otlp.proto.http"))

    @property
    def version(self) -> str:
        return metadata.version(self.package)


def _found(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # of the package it is in
        return False


def _provider(backend: str) -> Any:
    """An OpenTelemetry provider that exports in batches, registered for the process as their pages say."""
    trace: Any = importlib.import_module("opentelemetry.trace")
    sdk: Any = importlib.import_module("opentelemetry.sdk.trace")
    provider = sdk.TracerProvider()
    provider.add_span_processor(_batches(backend))
    trace.set_tracer_provider(provider)
    return provider


def _batches(backend: str) -> Any:
    export: Any = importlib.import_module("opentelemetry.sdk.trace.export")
    otlp: Any = importlib.import_module("opentelemetry.exporter.otlp.proto.http.trace_exporter")
    return export.BatchSpanProcessor(otlp.OTLPSpanExporter(endpoint=f"http://{backend}/v1/traces"))


def _bare(client: Callable[..., Any]) -> Any:
    """As if no provider were registered."""
    trace: Any = importlib.import_module("opentelemetry.trace")
    return client(open_telemetry={"tracer_provider": trace.NoOpTracerProvider()})


def _sdk_spans(client: Callable[..., Any], backend: str) -> Subject:
    provider = _provider(backend)
    return Subject(client(), _bare(client), settle=provider.force_flush)


def _openinference(client: Callable[..., Any], backend: str) -> Subject:
    provider = _provider(backend)
    return _patching("openinference.instrumentation.anthropic", client, provider.force_flush)


def _openllmetry(client: Callable[..., Any], backend: str) -> Subject:
    provider = _provider(backend)
    return _patching("opentelemetry.instrumentation.anthropic", client, provider.force_flush)


def _langfuse(client: Callable[..., Any], backend: str) -> Subject:
    module: Any = importlib.import_module("langfuse")
    langfuse = module.Langfuse(public_key="pk-lf-bench", secret_key="sk-lf-bench", base_url=f"http://{backend}")
    return _patching("opentelemetry.instrumentation.anthropic", client, langfuse.flush)


def _patching(module: str, client: Callable[..., Any], settle: Callable[[], object]) -> Subject:
    instrumentor: Any = importlib.import_module(module).AnthropicInstrumentor()
    return Subject(client(), _bare(client), on=instrumentor.instrument, off=instrumentor.uninstrument, settle=settle)


def _logfire(client: Callable[..., Any], backend: str) -> Subject:
    os.environ["LOGFIRE_IGNORE_NO_CONFIG"] = "1"
    logfire: Any = importlib.import_module("logfire")
    logfire.configure(send_to_logfire=False, console=False, additional_span_processors=[_batches(backend)])
    instrumented = client()
    logfire.instrument_anthropic(instrumented)
    return Subject(instrumented, _bare(client), settle=logfire.force_flush)


OTHERS: Final[dict[str, Other]] = {
    SDK_SPANS: Other("opentelemetry-sdk", ("opentelemetry.sdk.trace",), _sdk_spans),
    "OpenInference": Other(
        "openinference-instrumentation-anthropic", ("openinference.instrumentation.anthropic",), _openinference
    ),
    "OpenLLMetry": Other(
        "opentelemetry-instrumentation-anthropic", ("opentelemetry.instrumentation.anthropic",), _openllmetry
    ),
    "Langfuse": Other("langfuse", ("langfuse", "opentelemetry.instrumentation.anthropic"), _langfuse),
    "Logfire": Other("logfire", ("logfire",), _logfire),
}
