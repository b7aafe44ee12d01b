"""What happens while the telemetry backend is away: memory, the end of the process, and what arrives in the end."""

import json
import shutil
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from bench.client import servers
from bench.client.jobs import AFTERWARDS
from bench.client.servers import Backend, Received
from bench.client.subjects import BARE, DEFAULT, EVERYTHING, OURS
from bench.client.tables import Scale, head, job, row

AWAY: Final = ("refused", "black hole")
MIB: Final = 1024**2


def memory(url: str, others: list[str], scale: Scale) -> dict[str, float]:
    print(f"\nMemory while {scale.grown:,} calls are made and the backend refuses connections.")
    head("subject", "before MiB", "after MiB", "grown MiB")
    grown = {}
    for name in [EVERYTHING] if scale.quick else [BARE, *OURS, *others]:
        with servers.backend("refused") as backend:
            found, _ = job("growth", name=name, url=url, backend=backend, calls=scale.grown)
        before, after = found["before"] / MIB, found["after"] / MIB
        grown[name] = after - before
        row(name, f"{before:.1f}", f"{after:.1f}", f"{grown[name]:.1f}")
    return grown


def exits(url: str, others: list[str], scale: Scale) -> dict[tuple[str, str], float]:
    """Seconds from a program's last statement to its end."""
    print("\nThe end of a program that has made 500 calls, with the backend away.")
    head("subject", "backend", "exit s", "delivered by the next process")
    alone = [(name, state) for name in (OURS if scale.quick else (BARE, *OURS)) for state in AWAY]
    together = [] if scale.quick else [(name, state) for name in others for state in AWAY]
    taken = [_exit(url, *pair) for pair in alone]
    with ThreadPoolExecutor(4) as pool:  # half a minute each, in which they wait for the network
        taken += pool.map(lambda pair: _exit(url, *pair), together)
    wanted = alone + together
    for (name, state), (seconds, later) in zip(wanted, taken, strict=True):
        row(name, state, f"{seconds:.2f}", later)
    return {pair: seconds for pair, (seconds, _) in zip(wanted, taken, strict=True)}


def _exit(url: str, name: str, state: str) -> tuple[float, str]:
    spool = tempfile.mkdtemp(prefix="bench-spool-")
    try:
        with servers.backend(state) as backend:
            found, ended = job("leave", name=name, url=url, backend=backend, calls=500, spool=spool)
        if name != EVERYTHING:
            return ended - found["left"], ""
        after = Backend(keeps=True)
        job("succeed", name=name, url=url, backend=after.address, spool=spool)
        return ended - found["left"], f"{after.stop().events - 1} of 500"
    finally:
        shutil.rmtree(spool, ignore_errors=True)


def outages(url: str, others: list[str], scale: Scale) -> dict[str, Received]:
    """Really waited for, all at the same time: the backend is not there, and then it is."""
    print(f"\nA backend that was away for {scale.outage:.0f} s of real time, and then came back.")
    head("subject", "calls", "delivered", "with content", "lost by its own count", "s until the last came")
    cases = [(DEFAULT, 3_000), (DEFAULT, 12_000), (EVERYTHING, 12_000), *((name, 3_000) for name in others)]
    with ThreadPoolExecutor(len(cases)) as pool:
        under_way = [(name, calls, pool.submit(_outage, url, name, calls, scale.outage)) for name, calls in cases]
        results = {}
        for name, calls, running in under_way:
            made, back_at, got = running.result()
            results[f"{name}, {calls:,}"] = got
            delivered = f"{got.events:,}" if name in OURS else f"{got.spans:,} spans"
            counted = json.dumps(got.dropped) if name in OURS else "it has none"
            late = f"{got.last_at - back_at:.0f}" if got.last_at else ""
            row(name, f"{made:,}", delivered, f"{got.with_content:,}" if name in OURS else "", counted, late)
    print(f"\nThe last {AFTERWARDS} calls of each were made with the backend there again, one a second.")
    return results


def _outage(url: str, name: str, calls: int, seconds: float) -> tuple[int, float, Received]:
    port = servers.free_port()
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(
            job, "outage", name=name, url=url, backend=f"127.0.0.1:{port}", calls=calls, seconds=seconds
        )
        time.sleep(seconds + 3)  # its process takes a moment to start
        backend, back_at = Backend(port, keeps=True), time.time()
        found, _ = running.result()
    return found["calls"], back_at, backend.stop()
