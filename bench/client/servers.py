"""What the measured processes talk to: the fake Claude API and telemetry backends, healthy and not, each on its own.

They run in processes of their own, so that they do not compete for the interpreter that is measured.
"""

import gc
import gzip
import http.server
import importlib
import json
import multiprocessing
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from llmclient.testing import FakeAnthropic, Limits, reply

ANSWER: Final = "A short answer of some thirty words. " * 5
PLENTY: Final = 100_000_000  # a minute, as large as is believed: limits are told and learned, and nobody ever waits
STORED: Final = b'{"accepted": 1, "rejected": []}'


def serve_claude(pipe: Any) -> None:
    gc.disable()  # a pause of the fake's would count as one of ours
    limits = Limits(requests=PLENTY, input_tokens=PLENTY, output_tokens=PLENTY)
    with FakeAnthropic(lambda _: reply(ANSWER, deltas=12), limits=limits) as fake:
        pipe.send(fake.url)
        pipe.recv()


@dataclass
class Received:
    """What a backend was sent: our events, or the spans of others."""

    events: int = 0
    """Different ones: sent twice counts once."""
    with_content: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    """Lost by the client's own count, as told last."""
    spans: int = 0
    last_at: float = 0.0
    """Unix time something came last that was not there yet."""


def serve_backend(pipe: Any) -> None:
    """Answers at once and looks at what it got only when it is asked."""
    port, keeps = pipe.recv()
    posts: list[tuple[float, str, str, bytes]] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if keeps:
                posts.append((time.time(), self.path, self.headers.get("content-encoding", ""), body))
            ours = self.path.startswith("/api/v1")
            answer = STORED if ours else b""
            self.send_response(200)
            self.send_header("content-type", "application/json" if ours else "application/x-protobuf")
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            return

    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    pipe.send(server.server_port)
    pipe.recv()
    pipe.send(read(posts))


def read(posts: list[tuple[float, str, str, bytes]]) -> Received:
    received, ids = Received(), set()
    for at, path, encoding, body in posts:
        plain = gzip.decompress(body) if encoding == "gzip" else body
        if path.endswith("/traces"):
            received.spans += spans_in(plain)
            received.last_at = at
        elif path == "/api/v1/events":
            batch = json.loads(plain)
            received.dropped = batch["client"]["dropped"]
            for event in batch["events"]:
                if event["id"] not in ids:
                    ids.add(event["id"])
                    received.with_content += "content" in event
                    received.last_at = at
    received.events = len(ids)
    return received


def spans_in(body: bytes) -> int:
    wire: Any = importlib.import_module("opentelemetry.proto.collector.trace.v1.trace_service_pb2")
    request = wire.ExportTraceServiceRequest.FromString(body)
    return sum(len(scope.spans) for resource in request.resource_spans for scope in resource.scope_spans)


class Backend:
    """A healthy one, in a process of its own."""

    def __init__(self, port: int = 0, *, keeps: bool = False) -> None:
        self._pipe, self._process = started(serve_backend)
        self._pipe.send((port, keeps))
        self.address = f"127.0.0.1:{self._pipe.recv()}"

    def stop(self) -> Received:
        self._pipe.send("stop")
        received: Received = self._pipe.recv()
        self._process.join(5)
        return received


def started(target: Any) -> tuple[Any, Any]:
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    process = spawn.Process(target=target, args=(theirs,), daemon=True)
    process.start()
    return ours, process


@contextmanager
def claude() -> Iterator[str]:
    pipe, process = started(serve_claude)
    try:
        yield pipe.recv()
    finally:
        pipe.send("stop")
        process.join(5)


@contextmanager
def healthy() -> Iterator[str]:
    backend = Backend()
    try:
        yield backend.address
    finally:
        backend.stop()


@contextmanager
def black_hole() -> Iterator[str]:
    """Takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=512) as listener:
        yield f"127.0.0.1:{listener.getsockname()[1]}"


@contextmanager
def refused() -> Iterator[str]:
    yield f"127.0.0.1:{free_port()}"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


def backend(name: str) -> AbstractContextManager[str]:
    """host:port of a backend in that state."""
    return {"healthy": healthy, "refused": refused, "black hole": black_hole}[name]()
