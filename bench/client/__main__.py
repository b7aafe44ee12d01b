"""What the client costs its host, in Markdown tables; both sides of a ratio share a run.

`python -m bench.client` takes about twenty minutes with others to compare with, `--quick` about one. Others are
measured where they are installed beside the SDK, and named where they are not. To have them, in an environment of your
own (the dashboard is not needed):

    python3 -m venv ../peers
    ../peers/bin/pip install 'anthropic>=2,<3' httpx2 psutil h11 \\
        openinference-instrumentation-anthropic opentelemetry-instrumentation-anthropic langfuse logfire \\
        opentelemetry-exporter-otlp-proto-http
    ../peers/bin/python -m bench.client

`make bench` uses the interpreter named by BENCH_CLIENT_PYTHON for this part.

How it is measured. Claude and the telemetry backends are fakes that answer at once, in processes of their own. Each
subject is set up in a process of its own, beside a bare client of the same SDK; the two take turns of up to 1,000
calls. Prompts have 1 KB and are all different, so that no cache ever has the answer. Rate limits are told by every
answer and are never near. "Everything on" is the default policy with a budget in dollars per user, one in tokens per
request, a fallback chain of fresh cache, model and notice, labels, redacted content, hashed user ids and a spool.
"Caller" is the thread that makes the calls; "all" is all threads of the process, with what is sent after a turn. What
the SDK and others loaded before the first turn is kept out of the garbage collector, on both sides.
"""

import argparse
import json
from dataclasses import dataclass
from typing import Any, Final

from bench.client import servers
from bench.client.away import AWAY, exits, memory, outages
from bench.client.servers import Received
from bench.client.subjects import DEFAULT, EVERYTHING, OTHERS, OURS, SDK_SPANS
from bench.client.tables import Scale, head, job, ms, row, us
from bench.client.workload import KB, KINDS

BACKENDS: Final = ("healthy", *AWAY)


@dataclass(frozen=True, slots=True)
class Cell:
    """One row of the first table."""

    subject: str
    kind: str
    backend: str
    found: dict[str, Any]

    @property
    def added(self) -> float:
        """Seconds at the median."""
        own, bare = self.found["own"]["p50"], self.found["bare"]["p50"]
        return float(own - bare)

    @property
    def tail(self) -> float:
        own, bare = self.found["own"]["p99"], self.found["bare"]["p99"]
        return float(own / bare)


# --- time per call ----------------------------------------------------------------------------------------------------


def plan(others: list[str], quick: bool) -> list[tuple[str, str, str]]:
    """Subject, kind of call and backend of each row."""
    if quick:
        wanted = [(DEFAULT, "create", "healthy"), *((EVERYTHING, kind, "healthy") for kind in KINDS)]
        wanted += [(EVERYTHING, "create", backend) for backend in AWAY]
        return wanted + [(name, "create", "healthy") for name in others]
    wanted = [(name, kind, backend) for name in OURS for kind in KINDS for backend in BACKENDS]
    wanted += [(name, kind, "healthy") for name in others for kind in KINDS]
    return wanted + [(name, "create", backend) for name in others for backend in AWAY]


def time_per_call(url: str, others: list[str], scale: Scale) -> list[Cell]:
    print("Added time per call.")
    head(
        "subject",
        "call",
        "backend",
        "bare p50 ms",
        "added p50 µs",
        "added CPU µs, caller",
        "added CPU µs, all",
        "p99 ms",
        "ratio",
        "worst ms",
    )
    cells = []
    for name, kind, state in plan(others, scale.quick):
        with servers.backend(state) as backend:
            found, _ = job(
                "overhead",
                name=name,
                url=url,
                backend=backend,
                kind=kind,
                calls=scale.calls,
                settles=state == "healthy",
            )
        cells.append(cell := Cell(name, kind, state, found))
        bare, own = found["bare"], found["own"]
        row(
            name,
            kind,
            state,
            ms(bare["p50"]),
            us(cell.added),
            us(own["cpu"] - bare["cpu"]),
            us(found["cpu"]),
            f"{ms(bare['p99'])} → {ms(own['p99'])}",
            f"{cell.tail:.2f}",
            f"{bare['worst'] * 1e3:.1f} → {own['worst'] * 1e3:.1f}",
        )
    return cells


def beside_the_sender(url: str, scale: Scale) -> None:
    print(
        "\nThe sender's CPU per call (encoding, redaction, hashing, packing, sending), and what the caller feels of it."
    )
    head(
        "subject",
        "prompt",
        "sender CPU µs",
        "calls it met",
        "added µs while it works, p50 / p90 / p99",
        "added µs otherwise, p50 / p90 / p99",
    )
    for name in OURS:
        for size in (KB, 10 * KB):
            with servers.backend("healthy") as backend:
                found, _ = job(
                    "overhead", name=name, url=url, backend=backend, kind="create", calls=scale.calls, size=size
                )
            row(
                name,
                f"{size // KB} KB",
                us(found["sender"]),
                f"{found['share']:.0%}",
                " / ".join(map(us, found["during"])),
                " / ".join(map(us, found["between"])),
            )


def handing_over(url: str) -> None:
    print("\nHanding a finished call over to the sender.")
    head("subject", "backend", "p50 µs", "p99 µs", "worst µs")
    for name in OURS:
        for state in BACKENDS:
            with servers.backend(state) as backend:
                found, _ = job("hand_over", name=name, url=url, backend=backend, events=20_000)
            row(name, state, *(f"{found[key] * 1e6:,.1f}" for key in ("p50", "p99", "worst")))


# --- what was promised ------------------------------------------------------------------------------------------------


def verdicts(
    cells: list[Cell], grown: dict[str, float], left: dict[tuple[str, str], float], received: dict[str, Received]
) -> None:
    own = [cell for cell in cells if cell.subject == EVERYTHING]
    first = next(cell for cell in own if (cell.kind, cell.backend) == ("create", "healthy"))
    third = [
        cell
        for cell in cells
        if cell.subject in OTHERS and cell.subject != SDK_SPANS and (cell.kind, cell.backend) == ("create", "healthy")
    ]
    print("\nAgainst what was promised: times with everything on, memory and exit the worse of the two.")
    head("what", "found", "promised")
    if third:
        cheapest = min(third, key=lambda cell: cell.added)
        share = first.added / cheapest.added
        row(f"added p50 of create, share of {cheapest.subject}'s ({us(cheapest.added)} µs)", f"{share:.2f}", "≤ 0.3")
    row("p99 of create in a tight loop, to bare", f"{first.tail:.2f}", "≤ 1.3")
    creates = [cell.found["own"]["worst"] for cell in own if cell.kind == "create"]
    row("worst single create, ms", f"{max(creates) * 1e3:.1f}", "≤ 10")
    row("memory grown, MiB", f"{max(value for name, value in grown.items() if name in OURS):.1f}", "≤ 32")
    row("exit with the backend dead, s", f"{max(left[pair] for pair in left if pair[0] in OURS):.2f}", "≤ 2")
    for name, got in received.items():
        if name.startswith("llmclient"):
            found = f"{got.events:,}, lost {json.dumps(got.dropped)}"
            row(f"delivered after an outage: {name} calls", found, "all, to the cap")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--quick", action="store_true", help="about a minute, and so much less sure")
    options.add_argument("--calls", type=int, help="bare and instrumented calls each, a row (2000)")
    options.add_argument("--outage", type=float, help="seconds the backend is away (60); 0 leaves it out, also --quick")
    options.add_argument("--only-ours", action="store_true", help="leaves the others out")
    chosen = options.parse_args()
    quick = chosen.quick
    outage = chosen.outage if chosen.outage is not None else 0.0 if quick else 60.0
    scale = Scale(chosen.calls or (400 if quick else 2000), 2_000 if quick else 20_000, outage, quick)
    others = [] if chosen.only_ours else [name for name, other in OTHERS.items() if other.is_there]
    with servers.claude() as url:
        cells = time_per_call(url, others, scale)
        told(others)
        handing_over(url)
        if not quick:
            beside_the_sender(url, scale)
        grown = memory(url, others, scale)
        left = exits(url, others, scale)
        received = outages(url, others, scale) if scale.outage else {}
    verdicts(cells, grown, left, received)


def told(others: list[str]) -> None:
    there = [f"{name} ({OTHERS[name].package} {OTHERS[name].version})" for name in others]
    missing = [f"{name} ({OTHERS[name].package})" for name in OTHERS if name not in others]
    print(f"\nMeasured beside ours: {', '.join(there) or 'none'}.")
    print(f"Not installed or left out: {', '.join(missing) or 'none'}.")


if __name__ == "__main__":
    main()
