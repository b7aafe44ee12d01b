"""What was paid for nothing, what the prompt cache saved, and who answered: by hand, in every table that knows it."""

from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection

from metrics import queries
from metrics.facts import MOST_MONEY
from metrics.slices import NONE, Slice
from metrics.windows import Window
from projects.models import Project
from tests import factories
from tests.factories import NOW
from tests.metrics import rollups
from tests.metrics.world import DAY, HOUR, settle

pytestmark = [pytest.mark.django_db, pytest.mark.storage]

# claude-sonnet-4-5 costs 3,000 nano-dollars for a token in, 15,000 for one out: 600,000 for each of these calls.
USED = {"input_tokens": 100, "output_tokens": 20}
BROKEN: dict[str, Any] = {"outcome": "error", "usage": USED, "error": {"category": "stream_interrupted"}}
CUT_OFF: dict[str, Any] = {"stop_reason": "max_tokens"}
INVALID: dict[str, Any] = {"quality": {"valid": False, "repairs": 2}}
VALID: dict[str, Any] = {"quality": {"valid": True, "repairs": 0}}
TABLES = ("facet_minute", "facet_hour", "facet_day", "cube_hour", "cube_day", "user_day", "user_month")
# Of the last hours, of minutes, of hours, of days: the first is read from the calls.
PLACES = (NOW - HOUR / 60, NOW - HOUR, NOW - 5 * HOUR, NOW - 9 * DAY)


@pytest.fixture
def owner() -> Project:
    return factories.project()


def asked(owner: Project, at: datetime, *metrics: str, **filters: str) -> list[object]:
    """The values of the hour from a time on, which only the calls, or rollups as well, may answer for."""
    window = Window(at.replace(minute=0), at.replace(minute=0) + HOUR)
    readings = queries.values(metrics, window, Slice(owner.pk, **filters), now=NOW + HOUR)
    return [readings[metric].value for metric in metrics]


@pytest.mark.parametrize("at", PLACES)
def test_each_call_is_wasted_for_one_reason_and_the_reasons_add_up(owner: Project, at: datetime) -> None:
    calls: list[dict[str, Any]] = [{}, VALID, BROKEN, BROKEN | CUT_OFF | INVALID, CUT_OFF, CUT_OFF | INVALID, INVALID]
    factories.stored(owner, *(factories.event(at, **call) for call in calls), now=NOW)
    factories.stored(factories.project(), factories.event(at, **INVALID), now=NOW)
    settle()
    spends = ("failed_spend", "truncated_spend", "invalid_spend", "cost_of_waste", "spend")
    assert asked(owner, at, *spends) == [1_200_000, 1_200_000, 600_000, 3_000_000, 4_200_000]
    # Five answers, and what failed is in the price of each. Four calls were checked, and one had the right form.
    wasted, per_answer, valid, repairs = asked(owner, at, "waste_share", "cost_per_success", "valid_rate", "repairs")
    assert (str(wasted)[:6], per_answer, valid, repairs) == ("0.7142", 840_000, Decimal("0.25"), 6)


def test_nobody_checked_is_not_all_valid(owner: Project) -> None:
    factories.stored(owner, at=NOW - HOUR, now=NOW)
    settle()
    assert asked(owner, NOW - HOUR, "valid_rate", "repairs", "cost_of_waste") == [None, 0, 0]


@pytest.mark.parametrize("at", PLACES)
def test_a_cache_that_is_written_and_hardly_read_costs_more_than_it_saves(owner: Project, at: datetime) -> None:
    # A token read costs 300 instead of 3,000; written for five minutes 3,750, for an hour 6,000.
    read = USED | {"cache_read_input_tokens": 1_000}
    written = USED | {
        "cache_creation_input_tokens": 5_000,
        "cache_creation": {"ephemeral_5m_input_tokens": 4_000, "ephemeral_1h_input_tokens": 1_000},
    }
    events = [factories.event(at, usage=usage) for usage in (read, written)]
    unpriced = factories.event(at, usage=read, model="nobody-knows-me")
    factories.stored(owner, *events, unpriced, now=NOW)
    settle()
    assert asked(owner, at, "cache_savings") == [1_000 * 2_700 - 4_000 * 750 - 1_000 * 3_000]
    assert asked(owner, at, "cache_savings", user_id="user-1") == [-3_300_000]


def test_savings_beyond_all_measure_end_where_the_column_ends(owner: Project) -> None:
    yesterday = NOW - DAY
    written = {"cache_creation_input_tokens": 2_000_000_000}
    factories.stored(owner, *(factories.event(yesterday, usage=written) for _ in range(3)), now=NOW)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE ingest_price SET cache_write_5m = %s", [2**62])
    settle()
    for table in TABLES:
        assert rollups.rows(f"SELECT DISTINCT cache_saved_nanousd FROM {table}") == [(-MOST_MONEY,)]


@pytest.mark.parametrize("at", PLACES)
def test_attempts_are_counted_apart_from_calls(owner: Project, at: datetime) -> None:
    two = [{"n": 1, "status": 529}, {"n": 2, "status": 200}]
    events = [
        factories.event(at),
        factories.event(at, attempts=two, stream=True),
        factories.failed(at=at),
        factories.event(at, source="cache", attempts=[], usage=None),
        factories.event(at, source="model_fallback", outcome="degraded", attempts=two),
        factories.event(at, source="notice", outcome="degraded", attempts=[], usage=None),
    ]
    factories.stored(owner, *events, now=NOW)
    settle()
    # Six attempts, three of which brought an answer.
    assert asked(owner, at, "attempts", "attempt_error_rate") == [6, Decimal("0.5")]
    shares = asked(owner, at, "retry_rate", "fallback_rate", "streamed_share", "client_cache_rate")
    assert [str(share)[:5] for share in shares] == ["0.333", "0.333", "0.166", "0.166"]


def test_calls_stored_before_keys_and_releases_had_columns_named_none(owner: Project) -> None:
    attempt = {"n": 1, "status": 200, "key_alias": "main"}
    for at in PLACES:
        factories.stored(owner, at=at, now=NOW, attempts=[attempt])
        factories.stored(owner, at=at, now=NOW, attempts=[attempt])
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE request_log SET key_id = NULL, release_id = NULL WHERE id IN"
            " (SELECT min(id::text)::uuid FROM request_log GROUP BY started_at)"
        )
    settle()
    for at in PLACES:
        hour = asked(owner, at, "requests")[0]
        assert isinstance(hour, int)
        assert asked(owner, at, "requests", key="main") == [hour // 2]
        assert asked(owner, at, "requests", key=NONE) == [hour // 2]
        assert asked(owner, at, "requests", release="1.4.2") == [hour // 2]
        assert asked(owner, at, "requests", release=NONE, feature="inbox") == [hour // 2]
