"""What the client costs its host: `python bench/client.py`. Prints Markdown tables; both sides of a ratio share a run.

The fake Claude API and the telemetry backend run in processes of their own, so that they do not compete for the
interpreter that is measured. Bare and instrumented calls take turns in blocks, so that both meet the same machine.
"""

import argparse
import gc
import http.server
import multiprocessing
import os
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anthropic
import psutil

import llmclient
from llmclient import _config
from llmclient.testing import FakeAnthropic, reply

ROOT = Path(__file__).resolve().parent.parent
ASK: dict[str, Any] = {
    "model": "claude-sonnet-5-5",
    "max_tokens": 200,
    "messages": [{"role": "user", "content": "Please sort this message into a queue: " + "my order is late. " * 20}],
}
BLOCK = 50


def serve_claude(pipe: Any) -> None:
    gc.disable()  # a pause of the fake's would count as one of ours
    with FakeAnthropic(lambda _: reply("A short answer of some thirty words. " * 5, deltas=12), limits=None) as fake:
        pipe.send(fake.url)
        pipe.recv()


def serve_backend(pipe: Any) -> None:
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            answer = b'{"accepted": 1, "rejected": []}'
            self.send_response(200)
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            return

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    pipe.send(f"http://llv_ing_bench@127.0.0.1:{server.server_port}")
    pipe.recv()


@contextmanager
def running(target: Callable[[Any], None]) -> Iterator[str]:
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    process = spawn.Process(target=target, args=(theirs,), daemon=True)
    process.start()
    try:
        yield ours.recv()
    finally:
        ours.send("stop")
        process.join(5)


@contextmanager
def black_hole() -> Iterator[str]:
    """Takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=512) as listener:
        yield f"http://llv_ing_bench@127.0.0.1:{listener.getsockname()[1]}"


@contextmanager
def refused() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    yield f"http://llv_ing_bench@127.0.0.1:{port}"


def create(client: anthropic.Anthropic) -> None:
    client.messages.create(**ASK)


def stream(client: anthropic.Anthropic) -> None:
    with client.messages.stream(**ASK) as events:
        events.get_final_message()


def timed(call: Callable[[], None]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def quantile(values: list[float], q: float) -> float:
    return sorted(values)[min(int(len(values) * q), len(values) - 1)]


def overhead(url: str, kind: Callable[[anthropic.Anthropic], None], dsn: str, calls: int) -> dict[str, float]:
    """Seconds per call, bare and instrumented."""
    llmclient.configure(dsn)
    bare_client = anthropic.Anthropic(api_key="x", base_url=url)
    own_client = llmclient.instrument(anthropic.Anthropic(api_key="x", base_url=url))
    seconds: dict[bool, list[float]] = {False: [], True: []}
    cpu = {False: 0.0, True: 0.0}
    for block in range(-4, calls // BLOCK):
        if block == 0:
            # The SDK's classes make a full collection take 100 ms and more: it would hit one side or the other by luck.
            gc.collect()
            gc.freeze()
        for own, client in ((False, bare_client), (True, own_client)):
            before = time.process_time()
            seen = [timed(lambda: kind(client)) for _ in range(BLOCK)]  # noqa: B023  # called at once
            if block >= 0:
                cpu[own] += time.process_time() - before
                seconds[own].extend(seen)
    llmclient.close()
    gc.unfreeze()
    bare, own_calls = seconds[False], seconds[True]
    return {
        "bare p50": statistics.median(bare),
        "own p50": statistics.median(own_calls),
        "bare mean": statistics.fmean(bare),
        "own mean": statistics.fmean(own_calls),
        "bare p99": quantile(bare, 0.99),
        "own p99": quantile(own_calls, 0.99),
        "bare worst": max(bare),
        "own worst": max(own_calls),
        "added cpu": (cpu[True] - cpu[False]) / len(bare),
    }


def emit_seconds(dsn: str, events: int) -> list[float]:
    """Seconds per `emit`, with the sender at work."""
    llmclient.configure(dsn)
    shipper = _config.current().shipper
    assert shipper is not None
    sample = finished_call()
    taken = []
    for number in range(events):
        began = time.perf_counter()
        shipper.emit(sample)
        taken.append(time.perf_counter() - began)
        if number % 20 == 0:
            time.sleep(0.001)
    llmclient.close()
    return taken


def finished_call() -> Any:
    with FakeAnthropic([reply("hello")]) as fake, llmclient.context(feature="inbox", user_id=4711) as handle:
        llmclient.instrument(anthropic.Anthropic(api_key="x", base_url=fake.url)).messages.create(**ASK)
    return handle.last


def exit_seconds(url: str, dsn: str) -> float:
    """From the last statement of a program that has made 200 calls to its end."""
    program = (
        "import sys, time, anthropic, llmclient\n"
        "sys.path.insert(0, 'bench')\n"
        "from client import ASK\n"
        f"llm = llmclient.instrument(anthropic.Anthropic(api_key='x', base_url={url!r}))\n"
        "for _ in range(200): llm.messages.create(**ASK)\n"
        "print(time.time(), flush=True)\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        check=True,
        cwd=ROOT,
        env={**os.environ, "LLMCLIENT_DSN": dsn, "PYTHONPATH": str(ROOT)},
    )
    return time.time() - float(ran.stdout)


def resident_mib(url: str, dsn: str | None) -> float:
    """Of a program that has made 200 calls, in MiB."""
    program = (
        "import sys, anthropic, psutil\n"
        "sys.path.insert(0, 'bench')\n"
        "from client import ASK, llmclient\n"
        f"llm = anthropic.Anthropic(api_key='x', base_url={url!r})\n"
        f"llm = llmclient.instrument(llm) if {dsn!r} else llm\n"
        "for _ in range(200): llm.messages.create(**ASK)\n"
        "llmclient.flush()\n"
        "print(psutil.Process().memory_info().rss)\n"
    )
    environment = {**os.environ, "LLMCLIENT_DSN": dsn or "", "PYTHONPATH": str(ROOT)}
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, cwd=ROOT, env=environment)
    return int(ran.stdout) / 1024**2


def grown_mib(url: str, dsn: str, calls: int) -> float:
    process = psutil.Process()
    llmclient.configure(dsn)
    client = llmclient.instrument(anthropic.Anthropic(api_key="x", base_url=url))
    for _ in range(200):
        create(client)
    before = process.memory_info().rss
    for _ in range(calls):
        create(client)
    grown = process.memory_info().rss - before
    llmclient.close()
    return grown / 1024**2


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--calls", type=int, default=1000)
    calls = options.parse_args().calls
    backends: dict[str, Any] = {"healthy": lambda: running(serve_backend), "refused": refused, "black hole": black_hole}
    with running(serve_claude) as url:
        print("| call | backend | bare p50 ms | added p50 µs | added CPU µs | mean ratio | p99 ms | ratio | worst ms |")
        print("|---|---|---|---|---|---|---|---|---|")
        for kind in (create, stream):
            for name, backend in backends.items():
                with backend() as dsn:
                    found = overhead(url, kind, dsn, calls)
                print(
                    f"| {kind.__name__} | {name} | {found['bare p50'] * 1e3:.2f} "
                    f"| {(found['own p50'] - found['bare p50']) * 1e6:.0f} "
                    f"| {found['added cpu'] * 1e6:.0f} "
                    f"| {found['own mean'] / found['bare mean']:.2f} "
                    f"| {found['bare p99'] * 1e3:.2f} → {found['own p99'] * 1e3:.2f} "
                    f"| {found['own p99'] / found['bare p99']:.2f} "
                    f"| {found['bare worst'] * 1e3:.1f} → {found['own worst'] * 1e3:.1f} |"
                )
        with running(serve_backend) as dsn:
            bare, own = resident_mib(url, None), resident_mib(url, dsn)
        print(f"\nMemory after 200 calls: bare {bare:.1f} MiB, instrumented {own:.1f} MiB.")
        print("\n| backend | emit p50 µs | emit p99 µs | worst µs | exit s | memory grown MiB |")
        print("|---|---|---|---|---|---|")
        for name, backend in backends.items():
            with backend() as dsn:
                taken = emit_seconds(dsn, 20_000)
                left = exit_seconds(url, dsn)
                grown = grown_mib(url, dsn, 2000)
            print(
                f"| {name} | {statistics.median(taken) * 1e6:.1f} | {quantile(taken, 0.99) * 1e6:.1f} "
                f"| {max(taken) * 1e6:.0f} | {left:.2f} | {grown:.1f} |"
            )


if __name__ == "__main__":
    main()
