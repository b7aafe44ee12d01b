"""How fast calls come in over HTTP, against the fastest and the usual way to write the same rows.

    python -m bench.ingest

On a database of its own on the server of DATABASE_URL. One web process as in
production (granian, four threads), batches of 500, gzip as the client sends it, every index in place. All figures are
taken in the same run, interleaved; trust the ratios.
"""

import gzip
import http.client
import json
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, NamedTuple

import psycopg
from django.db import connection
from django.utils import timezone

from bench import scratch
from ingest import batch, partitions, pricebook, rows, wire
from ingest.charge import Charge, charge
from ingest.events import Event
from ingest.failure_groups import Groups
from ingest.names import Names
from ingest.seal import seal_closed_days
from projects import keys
from projects.models import Project
from tests import factories

BATCH: Final = 500
BATCHES: Final = 100
BASELINE_BATCHES: Final = 10
DISK_CALLS: Final = 500_000
ROUNDS: Final = 5
CONNECTIONS: Final = 4
PORT: Final = 18_473


class Rates(NamedTuple):
    """Calls per second of one round."""

    ready: float
    raw: float
    fresh: float
    replay: float
    baseline: float


def main() -> None:
    print(run())


def run() -> str:
    """Runs everything and returns a Markdown table."""
    with scratch.database() as url:
        os.environ["DATABASE_URL"] = url  # for the web processes
        token = make_key()
        rates = [one_round(token, number) for number in range(ROUNDS)]
        sizes = disk()
    return table(rates, sizes)


def make_key() -> str:

    partitions.ensure_ahead(now=timezone.now())
    return keys.mint(Project.objects.create(name="Bench", slug="bench"), "production")[1]


def one_round(token: str, number: int) -> Rates:
    """Each way once, on an empty table, with ids of its own."""
    bodies = batches(BATCHES, seed=number)
    packed = [gzip.compress(body, 6) for body in bodies]  # the client's work, done beforehand
    truncate()
    ready = rate(BATCHES, ready_copy(bodies))
    truncate()
    raw = rate(BATCHES, raw_copy(bodies))
    truncate()
    with server("config.settings"):
        fresh = rate(BATCHES, lambda: post_all(packed, token, accepted=BATCH))
        replay = rate(BATCHES, lambda: post_all(packed, token, accepted=0))
    truncate()
    few = packed[:BASELINE_BATCHES]
    with server("bench.usual_settings"):
        baseline = rate(BASELINE_BATCHES, lambda: post_all(few, token, accepted=BATCH))
    return Rates(ready, raw, fresh, replay, baseline)


def rate(count: int, work: Callable[[], None]) -> float:
    started = time.perf_counter()
    work()
    return count * BATCH / (time.perf_counter() - started)


def batches(count: int, seed: int, *, hashed: bool = True) -> list[bytes]:
    """JSON batches of calls from the last few minutes, in the order they were made."""
    rng = random.Random(seed)
    first = datetime.now(UTC) - timedelta(minutes=5)
    step = timedelta(minutes=4) / (count * BATCH)
    return [
        json.dumps(
            {"events": [event(rng, first + (batch * BATCH + place) * step, hashed=hashed) for place in range(BATCH)]}
        ).encode()
        for batch in range(count)
    ]


def event(rng: random.Random, at: datetime, *, hashed: bool) -> dict[str, Any]:
    """A streamed call as llmclient sends it without tags or tracing: 10 features, 40 prompt types, 4 % failures.

    `hashed`: with the hashes of what was said, as llmclient always sends them and other clients need not.
    """

    prompt = rng.randrange(40)
    duration = int(rng.lognormvariate(7.3, 0.8)) + 1
    request_id = f"req_011CV{rng.getrandbits(90):018x}"[:28]
    who: dict[str, Any] = {
        "user_id": f"user-{int(100_000 * rng.random() ** 3)}",
        "session_id": f"{rng.getrandbits(64):016x}",
        "feature": f"feature-{prompt % 10}",
        "prompt_type": f"prompt-{prompt}",
        "request_id": request_id,
        "queue_ms": 0,
        "limits": {
            "requests_limit": 4000,
            "requests_remaining": rng.randrange(4000),
            "input_limit": 400_000,
            "input_remaining": rng.randrange(400_000),
            "output_limit": 80_000,
            "output_remaining": rng.randrange(80_000),
        },
    }
    if hashed:
        who["hashes"] = {side: f"{rng.getrandbits(256):064x}" for side in ("input", "output")}
    if rng.random() < 0.04:
        return factories.failed(at=at, **who)
    usage = {
        "input_tokens": rng.randrange(50, 4000),
        "output_tokens": rng.randrange(10, 900),
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": rng.randrange(2000),
        "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
        "service_tier": "standard",
        "inference_geo": "global",
    }
    attempt = {"n": 1, "start_ms": 0, "duration_ms": duration, "status": 200, "request_id": request_id}
    return factories.event(
        at,
        duration_ms=duration,
        ttft_ms=duration // 4,
        ttft_text_ms=duration // 4,
        usage=usage,
        attempts=[attempt],
        stream=True,
        **who,
    )


def ready_copy(bodies: list[bytes]) -> Callable[[], None]:
    """What PostgreSQL alone can take: the rows were encoded before the clock started."""

    encoded = [[row.call for row in prepared(body).rows] for body in bodies]
    return lambda: copy_all(iter(encoded))


def raw_copy(bodies: list[bytes]) -> Callable[[], None]:
    """A program with nothing else to do: calls are decoded, priced and named already; it encodes rows and copies."""

    now = timezone.now()
    book, origin = pricebook.current(now), bench_origin()
    batches = []
    for body in bodies:
        events = list(wire.decode(body).events)
        names = Names(origin.project_id, origin.environment)
        names.intern(events)
        groups = Groups(origin.project_id, names)
        groups.intern(events)
        batches.append(
            [(event, charge(event, book, event.started_at), names, groups.of(event) or None) for event in events]
        )

    def encoded() -> Iterator[list[bytes]]:
        for calls in batches:
            yield [row(*call, received_us=rows.micros(now)) for call in calls]

    return lambda: copy_all(encoded())


def row(event: Event, cost: Charge, names: Names, group: int | None, *, received_us: int) -> bytes:
    packed = names.packed(event)
    assert packed is not None
    digest = rows.digest_of(event)
    return rows.encode(
        event, digest, cost, packed, received_us=received_us, infra_nanousd=0, has_body=False, failure_group=group
    )


def copy_all(batches: Iterator[list[bytes]]) -> None:
    """One connection, one COPY and one COMMIT per batch, nothing else."""

    with psycopg.connect(os.environ["DATABASE_URL"]) as writer:
        for encoded in batches:
            with writer.cursor().copy(f"COPY request_log ({rows.COLUMNS}) FROM STDIN (FORMAT BINARY)") as copy:
                copy.write(b"".join((rows.HEADER, *encoded, rows.TRAILER)))
            writer.commit()


def prepared(body: bytes) -> batch.Batch:
    return batch.prepare(wire.decode(body).events, origin=bench_origin(), now=timezone.now())


def bench_origin() -> batch.Origin:
    return batch.Origin(Project.objects.get(slug="bench").pk, "production")


@contextmanager
def server(settings: str) -> Iterator[None]:
    """The web process of the product, or the usual one beside it."""
    command = [sys.executable, "-m", "granian", "--interface", "wsgi", "--host", "127.0.0.1", "--port", str(PORT)]
    command += ["--workers", "1", "--blocking-threads", "4", "--http", "1", "--no-ws", "--log-level", "warning"]
    environment = os.environ | {"DJANGO_SETTINGS_MODULE": settings}
    process = subprocess.Popen([*command, "config.wsgi:application"], env=environment, cwd=Path(__file__).parent.parent)
    try:
        wait_until_up()
        yield
    finally:
        process.terminate()
        process.wait(60)


def wait_until_up() -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=5)
        try:
            connection.request("POST", "/api/v1/events", b"{}", {"Content-Type": "application/json"})
            connection.getresponse().read()
        except OSError:
            time.sleep(0.1)
        else:
            return
        finally:
            connection.close()
    raise TimeoutError("the web process did not answer within two minutes")


def post_all(packed: list[bytes], token: str, *, accepted: int) -> None:
    """Sends every batch once over a few kept-open connections, and checks every answer."""
    headers = {
        "Authorization": f"Bearer {token}",
        "Content-Type": "application/json",
        "Content-Encoding": "gzip",
    }

    def send(share: list[bytes]) -> None:
        with closing(http.client.HTTPConnection("127.0.0.1", PORT, timeout=60)) as connection:
            for body in share:
                connection.request("POST", "/api/v1/events", body, headers)
                response = connection.getresponse()
                text = response.read()
                assert response.status == 200, text[:500]
                answer = json.loads(text)
                assert answer["accepted"] == accepted, answer

    with ThreadPoolExecutor(CONNECTIONS) as pool:
        list(pool.map(send, [packed[place::CONNECTIONS] for place in range(CONNECTIONS)]))


def truncate() -> None:

    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE request_log, request_body, rollup_dirty")


def disk() -> dict[str, tuple[float, float]]:
    """Heap and index bytes of one call without a body, after half a million: without hashes, with them, and sealed."""
    sizes = {}
    for kind, hashed in (("without hashes", False), ("with hashes", True)):
        truncate()
        for number in range(DISK_CALLS // (BATCHES * BATCH)):
            ready_copy(batches(BATCHES, seed=100 + number, hashed=hashed))()
        sizes[kind] = bytes_per_call()
    seal_closed_days(now=timezone.now() + timedelta(days=3))
    return sizes | {"with hashes, once their day is sealed": bytes_per_call()}


def bytes_per_call() -> tuple[float, float]:
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT sum(pg_table_size(inhrelid)), sum(pg_indexes_size(inhrelid))
              FROM pg_inherits
             WHERE inhparent = 'request_log'::regclass AND pg_relation_size(inhrelid) > 0
            """
        )
        [(heap, indexes)] = cursor.fetchall()
    return int(heap) / DISK_CALLS, int(indexes) / DISK_CALLS


def table(rates: list[Rates], sizes: dict[str, tuple[float, float]]) -> str:
    ready, raw, fresh, replay, baseline = (statistics.median(column) for column in zip(*rates, strict=True))
    of_ready, of_raw, of_baseline, of_fresh = (
        statistics.median(pairs)
        for pairs in (
            [one.fresh / one.ready for one in rates],
            [one.fresh / one.raw for one in rates],
            [one.fresh / one.baseline for one in rates],
            [one.replay / one.fresh for one in rates],
        )
    )
    return "\n".join(
        (
            f"| Ingest, batches of {BATCH}, all indexes, median of {len(rates)} | calls/s | ratio | must |",
            "|---|---|---|---|",
            f"| binary COPY of rows encoded beforehand: PostgreSQL alone, one connection | {ready:,.0f} | | |",
            f"| raw binary COPY: encoding the rows and copying them, one connection | {raw:,.0f} | | |",
            f"| HTTP, gzip, one web process | {fresh:,.0f} | {of_raw:.2f} of raw COPY | ≥ 0.60 |",
            f"| the same | | {of_ready:.2f} of PostgreSQL alone | |",
            f"| DRF serializer + bulk_create | {baseline:,.0f} | ours is {of_baseline:.1f} times that | ≥ 10 |",
            f"| the same batches again | {replay:,.0f} | {of_fresh:.2f} of fresh | ≥ 0.40 |",
            *(
                f"| disk without body, {kind}: {heap:,.0f} + {indexes:,.0f} indexes | "
                f"| {heap + indexes:,.0f} B | ≤ 600 B |"
                for kind, (heap, indexes) in sizes.items()
            ),
        )
    )


if __name__ == "__main__":
    main()
