from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from budgets.estimate import estimated_nanousd
from ingest import pricebook
from ingest.models import Price
from metrics.rollup import roll_up_hours, roll_up_minutes
from metrics.slices import Slice
from metrics.windows import Window
from projects.models import Project
from tests import factories

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 22, 13, 0, tzinfo=UTC)
TODAY = Window(datetime(2026, 11, 22, tzinfo=UTC), datetime(2026, 11, 23, tzinfo=UTC))


@pytest.fixture
def project() -> Project:
    """In a world with three prices, two of them of one family."""
    Price.objects.all().delete()
    begin = datetime(2025, 1, 1, tzinfo=UTC)
    common = {"effective_from": begin, "verified_at": begin, "cache_write_5m": 0, "source": "a test"}
    for model, given, taken, read, written in (
        ("claude-sonnet-4-5", 3_000, 15_000, 300, 6_000),
        ("claude-sonnet-9", 5_000, 25_000, 500, 10_000),
        ("claude-haiku-4-5", 1_000, 5_000, 100, 2_000),
    ):
        Price.objects.create(model=model, input=given, output=taken, cache_read=read, cache_write_1h=written, **common)
    pricebook.forget()
    return factories.project("demo")


def estimate(project: Project, **filters: str) -> int:
    roll_up_minutes(now=NOW)
    roll_up_hours(now=NOW)
    return estimated_nanousd(TODAY, Slice(project.pk, **filters), now=NOW)


def calls(project: Project, number: int, model: str, **fields: Any) -> None:
    for each in range(number):
        at = NOW - timedelta(minutes=5, milliseconds=each)
        factories.stored(project, at=at, model=model, model_requested=model, **fields)


def test_priced_calls_need_no_estimate(project: Project) -> None:
    calls(project, 3, "claude-sonnet-4-5")
    assert estimate(project) == 0


def test_an_unknown_model_is_taken_for_the_dearest_of_its_family(project: Project) -> None:
    usage = {"input_tokens": 100, "output_tokens": 20, "cache_read_input_tokens": 1_000}
    calls(project, 2, "claude-sonnet-77", usage=usage)
    # 200 tokens in at 5,000, 40 out at 25,000, 2,000 read at 500.
    assert estimate(project) == 200 * 5_000 + 40 * 25_000 + 2_000 * 500


def test_cache_writes_are_taken_for_the_dearer_kind(project: Project) -> None:
    usage = {"input_tokens": 0, "output_tokens": 0, "cache_creation_input_tokens": 10}
    calls(project, 1, "claude-haiku-77", usage=usage)
    assert estimate(project) == 10 * 2_000


def test_a_family_nobody_knows_is_taken_for_the_dearest_of_all(project: Project) -> None:
    calls(project, 1, "mystery-1")
    assert estimate(project) == 100 * 5_000 + 20 * 25_000


def test_only_the_slice_is_estimated(project: Project) -> None:
    calls(project, 1, "claude-haiku-77", feature="chat")
    calls(project, 5, "claude-haiku-77", feature="search")
    assert estimate(project, feature="chat") == 100 * 1_000 + 20 * 5_000
    assert estimate(project, feature="search") == 5 * (100 * 1_000 + 20 * 5_000)


def test_a_call_nobody_knows_the_usage_of_counts_as_an_average_one(project: Project) -> None:
    calls(project, 3, "claude-haiku-4-5")
    timeout = factories.failed("timeout", None, NOW - timedelta(minutes=4), model="claude-haiku-4-5")
    factories.stored(project, timeout, now=NOW)
    # One of four calls; the other three used 300 tokens in and 60 out.
    assert estimate(project) == 75 * 1_000 + 15 * 5_000
