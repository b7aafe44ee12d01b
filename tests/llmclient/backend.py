"""A real HTTP server in place of the ingest API: answers what it is told, keeps what it is sent."""

import asyncio
import gzip
import json
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import llmclient

DEADLINE = 30.0  # seconds any condition may take before a test gives up


def wait_until(condition: Callable[[], object], *, deadline: float = DEADLINE) -> None:
    """Polls until the condition holds; fails the test when it does not within `deadline` seconds."""
    end = time.monotonic() + deadline
    while not condition():
        assert time.monotonic() < end, "the condition did not come true in time"
        time.sleep(0.005)


async def until(condition: Callable[[], object]) -> None:
    """The same for coroutines."""
    async with asyncio.timeout(DEADLINE):
        while not condition():  # noqa: ASYNC110  # what is waited for happens in another thread
            await asyncio.sleep(0.005)


class Backend:
    """Answers 200 unless `answers` holds something else: (status, headers, body), used in turn."""

    def __init__(self, port: int = 0) -> None:
        self.batches: list[dict[str, Any]] = []
        self.requests: list[dict[str, str]] = []
        self.answers: list[tuple[int, dict[str, str], dict[str, Any]]] = []
        backend = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = gzip.decompress(self.rfile.read(int(self.headers["content-length"])))
                status, headers, answer = backend.take(json.loads(body), dict(self.headers), self.path)
                data = json.dumps(answer).encode()
                self.send_response(status)
                for name, value in {**headers, "content-length": str(len(data))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *args: object) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_port
        self._thread = threading.Thread(target=lambda: self._server.serve_forever(0.01), daemon=True)
        self._thread.start()

    @property
    def dsn(self) -> str:
        return f"http://llv_ing_test@127.0.0.1:{self.port}"

    @property
    def events(self) -> list[dict[str, Any]]:
        return [event for batch in self.batches for event in batch["events"]]

    def take(
        self, batch: dict[str, Any], headers: dict[str, str], path: str
    ) -> tuple[int, dict[str, str], dict[str, Any]]:
        self.requests.append({**{name.lower(): value for name, value in headers.items()}, "path": path})
        status, more, answer = self.answers.pop(0) if self.answers else (200, {}, {"rejected": []})
        if status == 200:
            self.batches.append(batch)
        return status, more, answer

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def only_event(backend: Backend) -> dict[str, Any]:
    """Delivers what is measured; it must be one event."""
    assert llmclient.flush(30)
    assert len(backend.events) == 1, backend.events
    return backend.events[0]


def configured(backend: Backend, **options: Any) -> None:
    """Sends telemetry to this backend."""
    llmclient.configure(backend.dsn, app="helpdesk", release="4.2", **options)
