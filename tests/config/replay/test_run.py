"""A slice of the real trace through the real client, over real sockets, into the real store."""

import re
from datetime import timedelta
from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection
from django.utils import timezone
from pytest_django.live_server_helper import LiveServer

from bench.trace_totals import text_of, totals
from projects.models import IngestKey

TRACE = Path(__file__).parents[2] / "data" / "azure_llm_conversation_2023.csv.gz"
ROWS = 300
# bench/trace_totals.py over the first 300 rows.
TOTALS = (300, 270_000, 76_870, 1_308_700_000)


def replay(server: LiveServer, **options: Any) -> str:
    out = StringIO()
    given = {"limit": ROWS, "url": server.url, "project": "trace"} | options
    call_command("replay", str(TRACE), stdout=out, **given)
    return out.getvalue()


def stored() -> tuple[int, ...]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*), sum(input_tokens), sum(output_tokens), sum(cost_nanousd)::bigint FROM request_log"
        )
        return tuple(int(value) for value in cursor.fetchone())


@pytest.mark.django_db(transaction=True)
@pytest.mark.processes
def test_what_is_stored_is_the_trace_to_the_nano_dollar_and_a_second_replay_changes_nothing(
    live_server: LiveServer,
) -> None:
    first = replay(live_server)
    assert "sent 300 · accepted 300 · dropped 0 · input tokens 270,000 · output tokens 76,870" in first
    assert stored() == TOTALS
    (again,) = re.findall(r"--from (\S+)", first)
    with connection.cursor() as cursor:
        cursor.execute("SELECT id, digest, received_at FROM request_log ORDER BY id")
        before = cursor.fetchall()
        replay(live_server, start=again)
        cursor.execute("SELECT id, digest, received_at FROM request_log ORDER BY id")
        assert cursor.fetchall() == before


@pytest.mark.django_db(transaction=True)
@pytest.mark.processes
def test_times_users_and_attempts_are_those_of_the_model(live_server: LiveServer) -> None:
    start = timezone.now().replace(microsecond=0) - timedelta(hours=2)
    replay(live_server, start=start.isoformat(), seed=7)
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT min(started_at), count(DISTINCT user_id) > 50, max(attempts), min(outcome), max(outcome),
                   min(duration_ms) > 0, percentile_disc(0.5) WITHIN GROUP (ORDER BY duration_ms) BETWEEN 800 AND 6000,
                   bool_and(ttft_ms BETWEEN 1 AND duration_ms) FILTER (WHERE flags & 1 = 1)
              FROM request_log
            """
        )
        found = cursor.fetchone()
    assert found[0] == start
    assert found[1:] == (True, 3, 0, 0, True, True, True)


@pytest.mark.django_db(transaction=True)
@pytest.mark.processes
def test_in_faster_time_the_latencies_are_the_models_all_the_same(live_server: LiveServer) -> None:
    replay(live_server, limit=20, speed=40, processes=1)
    assert stored()[0] == 20
    with connection.cursor() as cursor:
        cursor.execute("SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY duration_ms) FROM request_log")
        (median,) = cursor.fetchone()
    assert median > 800, "a call that took 50 ms of ours took 2 s of its own"


@pytest.mark.django_db(transaction=True)
def test_the_key_of_a_replay_is_revoked_afterwards(live_server: LiveServer) -> None:
    replay(live_server, limit=1, processes=1)
    (key,) = IngestKey.objects.all()
    assert key.revoked_at is not None


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"url": "http://127.0.0.1:9"}, "Nothing answers at http://127.0.0.1:9"),
        ({"file": Path("missing.csv")}, "missing.csv: No such file or directory"),
        ({"columns": "when=x"}, "columns: 'when=x' is not one of time=…, input=…, output=…"),
        ({"columns": "time=x"}, "line 1: there is no column 'x' among TIMESTAMP, ContextTokens, GeneratedTokens"),
        ({"start": "yesterday"}, "--from: 'yesterday' is not a time like 2026-11-22T10:00:00"),
        ({"start": "2001-01-01"}, "--from: calls are kept from"),
        ({"start": "2999-01-01"}, "--from: the trace would end in the future"),
        ({"speed": -1.0}, "--speed: must be 0 or more"),
    ],
)
def test_what_cannot_be_replayed_is_told_in_one_line(options: dict[str, Any], message: str) -> None:
    given = {"limit": 5, "url": "http://127.0.0.1:9", **options}
    file = str(given.pop("file", TRACE))
    with pytest.raises(CommandError) as raised:
        call_command("replay", file, **given)
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.django_db(transaction=True)
def test_a_server_that_takes_no_events_is_told(live_server: LiveServer) -> None:
    with pytest.raises(CommandError, match="does not take events: it answered 404"):
        replay(live_server, url=f"{live_server.url}/elsewhere")


@pytest.mark.django_db(transaction=True)
def test_a_replay_that_fails_leaves_no_key_that_works(live_server: LiveServer) -> None:
    with pytest.raises(CommandError):
        replay(live_server, url=f"{live_server.url}/elsewhere")
    (key,) = IngestKey.objects.all()
    assert key.revoked_at is not None


def test_the_independent_sum_agrees_with_the_published_totals() -> None:
    text = text_of(TRACE)
    whole = totals(text, Decimal(2), Decimal(10))
    assert tuple(whole.values()) == (19_366, 22_361_870, 4_088_665, 85_610_390_000)
    assert tuple(totals(text, Decimal(2), Decimal(10), ROWS).values()) == TOTALS
