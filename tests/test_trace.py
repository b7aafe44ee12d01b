"""An hour of real traffic through the whole product: every count, token and nano-dollar arrives, whatever is killed."""

import random
import re
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest

from bench import tree
from bench.trace_totals import text_of, totals
from config import postgres
from ingest.vocabulary import Grain
from tests.running import TRACE, Administrator, finished, replay

SEED = 20231116


@pytest.fixture
def product() -> Iterator[tree.Product]:
    with tree.home() as home, tree.product(home) as running:
        yield running


def the_whole_trace() -> dict[str, int]:
    """Worked out from the file alone; the counts are those its publisher's file has."""
    expected = totals(text_of(TRACE), dollars_in=Decimal(2), dollars_out=Decimal(10))
    assert expected["requests"] == 19_366
    assert expected["input_tokens"] == 22_361_870
    assert expected["output_tokens"] == 4_088_665
    return expected


SUMS = "sum(requests), sum(input_tokens), sum(output_tokens), sum(cost_nanousd)"
PLACES = {
    "calls": "SELECT count(*), sum(input_tokens), sum(output_tokens), sum(cost_nanousd) FROM request_log",
    "minutes": "SELECT {sums} FROM facet_minute WHERE facet = 0 AND environment_id = 0",
    "minutes by feature": "SELECT {sums} FROM facet_minute WHERE facet = 1 AND environment_id <> 0",
    "hours": "SELECT {sums} FROM facet_hour WHERE facet = 0 AND environment_id = 0",
    "cube": "SELECT {sums} FROM cube_hour",
    "days": "SELECT {sums} FROM cube_day",
    "users": "SELECT {sums} FROM user_day",
    # A month that is not over is counted every few minutes; days that are not in it yet bear a mark.
    "user months": f"""
        SELECT {{sums}}
          FROM (SELECT requests, input_tokens, output_tokens, cost_nanousd FROM user_month
                 UNION ALL
                SELECT requests, input_tokens, output_tokens, cost_nanousd FROM user_day
                 WHERE bucket IN (SELECT (bucket AT TIME ZONE 'UTC')::date
                                    FROM rollup_dirty WHERE grain = {Grain.MONTH:d})) AS counted""",
}


def stored(home: Path) -> dict[str, tuple[int, ...]]:
    """(requests, input tokens, output tokens, nano-dollars) as each place has them."""
    with psycopg.connect(postgres.url(home / "postgres")) as connection:
        return {
            place: tuple(int(number or 0) for number in connection.execute(query.format(sums=SUMS)).fetchall()[0])
            for place, query in PLACES.items()
        }


def wait_for(expected: tuple[int, ...], home: Path, seconds: float = 180) -> None:
    """The rollups follow within a minute or so; a database that was just killed comes back by itself."""
    deadline = time.monotonic() + seconds
    found: Any = None
    while time.monotonic() < deadline:
        with suppress(psycopg.OperationalError):
            found = stored(home)
            if set(found.values()) == {expected}:
                return
        time.sleep(1)
    assert found == dict.fromkeys(PLACES, expected)


def begin_of_trace() -> str:
    """An hour that is over, all of it in one UTC day, so that days and months can be compared too."""
    return (datetime.now(UTC) - timedelta(days=1)).replace(hour=9, minute=0, second=0, microsecond=0).isoformat()


def assert_page_shows(expected: dict[str, int], product: tree.Product, begin: str) -> None:
    """The Overview, as somebody reads it who signs in and chooses the hours of the trace."""
    start = datetime.fromisoformat(begin)
    hours = {name: f"{start + timedelta(hours=n):%Y-%m-%dT%H:%M:%SZ}" for name, n in (("from", 0), ("to", 2))}
    page = Administrator.of(product).browser.get("/", params={"project": "replay", **hours}).text
    tiles = dict(re.findall(r'<h3>(.*?)</h3><p class="value"(.*?)</p>', page))
    assert tiles["Requests"] == f">{expected['requests']:,}"
    dollars = f"{Decimal(expected['cost_nanousd']) / 10**9:,f}"
    assert tiles["Cost"].startswith(f' title="${dollars}">')
    tokens = [f"{expected[name]:,} {name.replace('_', ' ')}" for name in ("input_tokens", "output_tokens")]
    assert tiles["Tokens"].startswith(f' title="{", ".join(tokens)}, 0 cache read tokens')


@pytest.mark.processes
@pytest.mark.timeout(600)
def test_a_whole_trace_arrives_to_the_nano_dollar_and_repeating_it_changes_nothing(product: tree.Product) -> None:
    totals_of_file = the_whole_trace()
    expected = tuple(totals_of_file.values())
    begin = begin_of_trace()
    assert "accepted 19,366" in finished(replay(product, "--from", begin))
    wait_for(expected, product.home)
    assert_page_shows(totals_of_file, product, begin)
    # Part of it says as much as all of it: the same calls have the same ids.
    finished(replay(product, "--from", begin, "--limit", "4000"))
    wait_for(expected, product.home)


@pytest.mark.long
@pytest.mark.processes
@pytest.mark.timeout(1_800)
def test_a_whole_trace_arrives_while_processes_are_being_killed(product: tree.Product) -> None:
    expected = tuple(the_whole_trace().values())
    dice = random.Random(SEED)
    replaying = replay(product, "--from", begin_of_trace())
    killed: list[str] = []
    while replaying.poll() is None and len(killed) < 40:
        time.sleep(dice.uniform(1.0, 4.0))
        name = dice.choice(["web", "worker", "beat", "postgres"])
        found = [process for label, process in tree.processes(product) if label == name]
        if found:
            # The first postgres is the postmaster; web has a parent that must come back as well.
            victim = found[0] if name == "postgres" else dice.choice(found)
            with suppress(psutil.NoSuchProcess):
                victim.send_signal(signal.SIGKILL)
                killed.append(name)
    finished(replaying)
    assert {"web", "worker", "beat", "postgres"} <= set(killed), killed
    wait_for(expected, product.home, seconds=300)
