"""How long the server takes for each page, and how that grows with the calls behind it.

    python -m bench.pages [--calls 1000000 10000000]

On a database of its own on the server of DATABASE_URL: a month of calls up to now, rolled up, then every page of
measured numbers over a day, a week and a month, as a signed-in person asks for it. What goes through the network and
the browser is not in it. The first size is the baseline of the growth.
"""

import argparse
import importlib
import statistics
import time
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from bench import scratch  # sets Django up, so it comes before the product's modules

# isort: split
import brotli  # type: ignore[import-untyped]
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from tqdm import tqdm

from bench import calls
from dashboard.pages import PAGES
from metrics.rollup import rebuild, roll_up_hours, roll_up_minutes
from metrics.windows import Window, floor
from projects.models import Project

DAY: Final = timedelta(days=1)
DAYS: Final = 30
CALLS: Final = (1_000_000, 10_000_000)
ROUNDS: Final = 20
RANGES: Final = ("24h", "7d", "30d")
# Minutes are kept, and drawn, for the last days only.
MINUTES_OF: Final = timedelta(days=3)


class Measured(NamedTuple):
    """One page over one range: milliseconds, database queries and bytes (brotli)."""

    median_ms: float
    p95_ms: float
    queries: int
    weight: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, nargs="+", default=CALLS)
    print(run(parser.parse_args().calls))


def run(sizes: tuple[int, ...] = CALLS) -> str:
    """Runs everything and returns a Markdown table."""
    # The web process looks for circles less often than Python does by itself.
    importlib.import_module("config.wsgi")
    # Pages name the files that browsers ask for by their content, so those must be there.
    call_command("collectstatic", interactive=False, verbosity=0)
    found = [measure(count) for count in sizes]
    head = " | ".join(f"p50 / p95 ms at {count / 1e6:g} M" for count in sizes)
    return "\n".join(
        (
            f"A month of calls; {ROUNDS} requests of each page.",
            "",
            f"| page | range | {head} | growth of p50 | queries | KiB (brotli) |",
            f"|---|---|{'---:|' * len(sizes)}---:|---:|---:|",
            *(row(page, span, [one[page, span] for one in found]) for page, span in found[0]),
            "",
            "Limits: p95 ≤ 150 ms, 12 queries beside session and user, 12 KiB, growth ≤ 1.2.",
        )
    )


def row(page: str, span: str, sizes: list[Measured]) -> str:
    times = " | ".join(f"{one.median_ms:.0f} / {one.p95_ms:.0f}" for one in sizes)
    growth, last = sizes[-1].median_ms / sizes[0].median_ms, sizes[-1]
    return f"| {page} | {span} | {times} | {growth:.2f} | {last.queries} | {last.weight / 1024:.1f} |"


def measure(count: int) -> dict[tuple[str, str], Measured]:
    with scratch.database():
        # What this process knows of names it knows by project, and the names of the last database are not in this one.
        project = Project.objects.create(id=count, slug="bench", name="Bench")
        fill(project, count)
        client = Client(SERVER_NAME="localhost")
        client.force_login(User.objects.create_superuser("bench"))
        return {(page.key, span): ask(client, address(page.key, span)) for page in PAGES for span in RANGES}


def fill(project: Project, count: int) -> None:
    now = datetime.now(UTC)
    month = Window(floor(now, DAY) - (DAYS - 1) * DAY, now)
    for start in tqdm(month.buckets(DAY), desc=f"{count:,} calls", unit="day"):
        day = Window(start, min(start + DAY, now))
        calls.fill(project, day, int(count * (day.duration / month.duration)))
    for window in (month, Window(now - MINUTES_OF, now)):
        rebuild(project.pk, window, now=now)
        roll_up_minutes(now=now)
        roll_up_hours(now=now)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")


def address(key: str, span: str) -> str:
    return f"{'/' if key == 'overview' else f'/{key}/'}?from=now-{span}"


def ask(client: Client, where: str) -> Measured:
    client.get(where)  # names, plans and templates are there from the second time on
    times = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        answer = client.get(where)
        times.append((time.perf_counter() - started) * 1000)
        assert answer.status_code == 200
        assert b"could not be" not in answer.content, where
    with CaptureQueriesContext(connection) as asked:
        answer = client.get(where)
    queries = [one["sql"] for one in asked if "django_session" not in one["sql"] and "auth_user" not in one["sql"]]
    weight = len(brotli.compress(answer.content, quality=9))
    return Measured(statistics.median(times), statistics.quantiles(times, n=20)[-1], len(queries), weight)


if __name__ == "__main__":
    main()
