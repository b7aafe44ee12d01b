"""How much faster a page is from the rollups than from the calls, and what the rollups cost.

    python -m bench.dashboard [--calls 3000000]

On a database of its own on the server of DATABASE_URL: a month of calls, then the questions a dashboard asks, each put
to `metrics.queries` as pages do and to the calls as plain SQL, interleaved in the same run. Trust the ratios.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

from bench import scratch  # sets Django up, so it comes before the product's modules

# isort: split
from django.db import connection
from tqdm import tqdm

from bench import calls
from ingest.partitions import lower_bound
from metrics import queries
from metrics.rollup import rebuild, roll_up_hours, roll_up_minutes
from metrics.slices import Dimension, Slice
from metrics.windows import Window, floor
from projects.models import Project

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
DAYS: Final = 30
CALLS: Final = 5_000_000
DENSE_CALLS: Final = 200_000
ROUNDS: Final = 5
METRICS: Final = ("requests", "errors", "spend", "latency_p50", "latency_p95", "latency_p99")

# What the same chart costs without rollups: one scan, exact percentiles. The planner gets memory to do it well.
RAW: Final = """
SELECT date_bin(%(step)s, started_at, 'epoch'), prompt_type_id, count(*), count(*) FILTER (WHERE outcome IN (2, 3)),
       sum(cost_nanousd),
       percentile_disc(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP (ORDER BY duration_ms) FILTER (WHERE outcome IN (0, 1))
  FROM request_log
 WHERE project_id = %(project)s AND id >= %(first)s AND id < %(end)s
 GROUP BY 1, 2
"""
# The cheapest thing one can do to the same calls at the same grain: the baseline for the cost of rolling up.
GROUP_BY: Final = """
SELECT date_bin(%(step)s, started_at, 'epoch'), environment_id, feature_id, prompt_type_id, model_id, error, count(*)
  FROM request_log
 WHERE project_id = %(project)s AND id >= %(first)s AND id < %(end)s
 GROUP BY 1, 2, 3, 4, 5, 6
"""


class Line(NamedTuple):
    """One row of the result: what was asked, and milliseconds from the rollups and from the calls."""

    question: str
    rollup_ms: float
    raw_ms: float
    limit: str


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=CALLS)
    print(run(parser.parse_args().calls))


def run(count: int = CALLS) -> str:
    """Runs everything and returns a Markdown table."""
    now = floor(datetime.now(UTC), DAY)
    with scratch.database():
        project = Project.objects.create(slug="bench", name="Bench")
        month = Window(now - DAYS * DAY, now)
        for start in tqdm(month.buckets(DAY), desc="calls", unit="day"):
            calls.fill(project, Window(start, start + DAY), count // DAYS)
        dense = Window(now - HOUR, now)
        busy = Project.objects.create(slug="busy", name="Busy")
        calls.fill(busy, dense, DENSE_CALLS)
        execute("ANALYZE request_log")
        costs = [
            rolling_up(f"a minute of {DENSE_CALLS // 60:,} calls, 60 of them", busy, dense, MINUTE, now, DENSE_CALLS),
            rolling_up("the same calls by hour, day and user", busy, dense, HOUR, now, DENSE_CALLS),
            rolling_up(
                f"{count // DAYS // 1440} calls a minute, 3 days", project, month, MINUTE, now, count // DAYS * 3
            ),
            rolling_up(f"{DAYS} days by hour, day, month and user", project, month, HOUR, now, count),
        ]
        execute("VACUUM ANALYZE")
        lines = [
            asked("30 days × hour × 20 prompt types", project, month, HOUR, now, "≥ 50"),
            asked("24 hours × minute × 20 prompt types", project, Window.last(DAY, now), MINUTE, now, "≥ 4"),
            asked("30 days × 12 hours × 20 prompt types", project, month, 12 * HOUR, now, ""),
            asked("30 days × hour, one series", project, month, HOUR, now, "", by_prompt_type=False),
        ]
    return "\n".join(
        [
            f"{count:,} calls in {DAYS} days; requests, errors, spend, p50, p95 and p99; median of {ROUNDS}.",
            "",
            "| question | rollups ms | calls ms | ratio | limit |",
            "|---|---:|---:|---:|---:|",
            *(f"| {q} | {r:,.1f} | {c:,.0f} | {c / r:,.0f} | {limit} |" for q, r, c, limit in lines),
            "",
            "| rolling up | calls/s | plain GROUP BY calls/s | ratio |",
            "|---|---:|---:|---:|",
            *costs,
        ]
    )


def asked(
    question: str,
    project: Project,
    window: Window,
    step: timedelta,
    now: datetime,
    limit: str,
    *,
    by_prompt_type: bool = True,
) -> Line:
    """Time one chart both ways, after checking that both count the same calls."""
    everything = Slice(project.pk)
    sql = RAW if by_prompt_type else RAW.replace("prompt_type_id", "0", 1)

    def from_rollups() -> int:
        by: Dimension | None = "prompt_type" if by_prompt_type else None
        found = queries.several_series(METRICS, window, everything, bucket=step, by=by, top=20, now=now)
        return sum(int(value or 0) for line in found["requests"] for value in line.values)

    def from_calls() -> int:
        return sum(row[2] for row in fetch(sql, project, window, step))

    assert from_rollups() == from_calls()
    rollup, raw = interleaved(from_rollups, from_calls)
    return Line(question, rollup * 1000, raw * 1000, limit)


def rolling_up(what: str, project: Project, window: Window, step: timedelta, now: datetime, count: int) -> str:
    """Time the recomputation of a window from nothing, and a plain GROUP BY of the same calls."""
    if step == MINUTE:
        rebuild(project.pk, window, now=now)
    started = time.perf_counter()
    (roll_up_minutes if step == MINUTE else roll_up_hours)(now=now)
    taken = time.perf_counter() - started
    recent = Window(max(window.start, now - 3 * DAY), window.end) if step == MINUTE else window
    plain = statistics.median(timed(lambda: fetch(GROUP_BY, project, recent, step)) for _ in range(ROUNDS))
    return f"| {what} | {count / taken:,.0f} | {count / plain:,.0f} | {taken / plain:.1f} |"


def interleaved(first: Callable[[], object], second: Callable[[], object]) -> tuple[float, float]:
    """Return the median seconds of each, taken in turns."""
    times = [(timed(first), timed(second)) for _ in range(ROUNDS)]
    return statistics.median(one for one, _ in times), statistics.median(other for _, other in times)


def timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def fetch(sql: str, project: Project, window: Window, step: timedelta) -> list[tuple[int, ...]]:
    execute("SET work_mem = '64MB'")
    with connection.cursor() as cursor:
        values: dict[str, Any] = {"project": project.pk, "step": step}
        cursor.execute(sql, values | {"first": lower_bound(window.start), "end": lower_bound(window.end)})
        rows: list[tuple[int, ...]] = cursor.fetchall()
    execute("RESET work_mem")
    return rows


def execute(sql: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql)


if __name__ == "__main__":
    main()
