"""Pricing stored calls again."""

from datetime import datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from ingest import pricebook, reprice
from ingest.models import Dimension, Price, RequestLog
from ingest.reprice import Difference, Span
from ingest.vocabulary import DimensionKind, Grain
from projects.models import Project
from tests import factories
from tests.factories import NOW

pytestmark = [pytest.mark.django_db, pytest.mark.storage]

MINUTE = timedelta(minutes=1)
MODEL = "claude-sonnet-4-5"


@pytest.fixture
def project() -> Project:
    return factories.project("shop")


def correct(model: str = MODEL, **columns: Any) -> None:
    """Somebody corrects the newest price of a model."""
    newest = Price.objects.filter(model=model).latest("effective_from")
    Price.objects.filter(pk=newest.pk).update(**columns)
    pricebook.forget()


def run(*options: str) -> str:
    out = StringIO()
    call_command("reprice", *options, stdout=out)
    return out.getvalue()


def again(
    project: Project, *, is_applied: bool, since: datetime = NOW - MINUTE, until: datetime = NOW + 9 * MINUTE
) -> list[Difference]:
    return reprice.reprice(Span(project.pk, since, until), pricebook.current(NOW), now=NOW, is_applied=is_applied)


def costs(project: Project) -> list[int | None]:
    return list(RequestLog.objects.filter(project=project).order_by("id").values_list("cost_nanousd", flat=True))


def take_marks() -> list[tuple[datetime, int, int]]:
    """The marks for the rollup, taken away as the rollup would."""
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM rollup_dirty RETURNING bucket, project_id, grain")
        return sorted(cursor.fetchall())


def test_the_preview_shows_the_difference_and_writes_nothing(project: Project) -> None:
    factories.stored(project, at=NOW)
    factories.stored(project, at=NOW + MINUTE)
    take_marks()
    correct(input=4_000)
    # Each call: 100 × 3,000 + 20 × 15,000 = 600,000 before; 100 × 4,000 + 20 × 15,000 = 700,000 after.
    expected = Difference(f"{MODEL}-20250929", 2, 2, 1_200_000, 1_400_000, 0, 0)
    assert again(project, is_applied=False) == [expected]
    assert costs(project) == [600_000, 600_000]
    assert take_marks() == []


def test_applying_writes_the_costs_and_marks_each_touched_minute_once(project: Project) -> None:
    for seconds in (0, 1, 59, 60):
        factories.stored(project, at=NOW + timedelta(seconds=seconds))
    factories.stored(project, at=NOW + timedelta(seconds=180), model="claude-haiku-4-5")
    take_marks()
    correct(input=4_000)
    again(project, is_applied=True)
    # Haiku 4.5: 100 × 1,000 + 20 × 5,000, unchanged and its minute unmarked.
    assert costs(project) == [700_000, 700_000, 700_000, 700_000, 200_000]
    assert take_marks() == [(NOW, project.pk, Grain.MINUTE), (NOW + MINUTE, project.pk, Grain.MINUTE)]
    # Once more finds nothing to do.
    assert [difference.changed for difference in again(project, is_applied=True)] == [0, 0]
    assert take_marks() == []


def test_a_call_gets_the_row_of_its_own_time(project: Project) -> None:
    factories.stored(project, at=NOW)
    factories.stored(project, at=NOW + MINUTE)
    old = Price.objects.filter(model=MODEL).latest("effective_from")
    new = Price.objects.get(pk=old.pk)
    new.pk, new.effective_from, new.output = None, NOW + MINUTE, 20_000
    new.save()
    pricebook.forget()
    again(project, is_applied=True)
    found = RequestLog.objects.filter(project=project).order_by("id").values_list("cost_nanousd", "price_id")
    # 100 × 3,000 + 20 × 20,000
    assert list(found) == [(600_000, old.pk), (700_000, new.pk)]


def test_a_new_row_at_the_same_price_is_recorded_without_a_mark(project: Project) -> None:
    factories.stored(project)
    take_marks()
    row = Price.objects.filter(model=MODEL).latest("effective_from")
    row.pk, row.effective_from = None, NOW
    row.save()
    pricebook.forget()
    assert again(project, is_applied=True)[0].changed == 1
    assert RequestLog.objects.get(project=project).price_id == row.pk
    assert take_marks() == []


@pytest.mark.parametrize(
    ("usage", "cost"),
    [
        ({"input_tokens": 1000, "service_tier": "batch"}, 2_000_000),
        ({"input_tokens": 1000, "speed": "fast"}, 8_000_000),
        ({"input_tokens": 1000, "inference_geo": "us"}, 4_400_000),
        ({"input_tokens": 1000, "service_tier": "priority"}, 0),
        ({"input_tokens": 1000, "server_tool_use": {"web_search_requests": 2}}, 24_000_000),
        ({"cache_read_input_tokens": 1000, "cache_creation_input_tokens": 10}, 250_000),
        (
            {
                "output_tokens": 10,
                "cache_creation": {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 20},
            },
            410_000,
        ),
        (
            {
                "input_tokens": 1000,
                "iterations": [
                    {"type": "compaction", "input_tokens": 500, "output_tokens": 100},
                    {"type": "advisor_message", "model": "claude-sonnet-5", "input_tokens": 10},
                ],
            },
            8_020_000,  # 1,500 × 4,000 + 100 × 20,000 + 10 × 2,000
        ),
    ],
)
def test_the_same_price_book_gives_the_same_cost_again(project: Project, usage: dict[str, Any], cost: int) -> None:
    factories.stored(project, model="claude-opus-5-5", usage=usage)
    assert costs(project) == [cost]
    [difference] = again(project, is_applied=True)
    assert (difference.changed, difference.after_nanousd) == (0, cost)


def test_every_compaction_keeps_its_own_cliff_when_priced_again(project: Project) -> None:
    compaction = {"type": "compaction", "input_tokens": 150_000, "output_tokens": 2000}
    usage = {"input_tokens": 20_000, "output_tokens": 1000, "iterations": [compaction]}
    factories.stored(project, model="claude-haiku-5-5", usage=usage)
    correct("claude-haiku-5-5", long_output=3_000)
    again(project, is_applied=True)
    # 20,000 × 100 + 1,000 × 500, and 150,000 × 500 + 2,000 × 3,000
    assert costs(project) == [83_500_000]


def test_a_model_that_has_a_price_now_is_no_longer_unpriced(project: Project) -> None:
    factories.stored(project, model="claude-opus-6")
    assert costs(project) == [None]
    row = Price.objects.get(model="claude-opus-5-5")
    row.pk, row.model = None, "claude-opus-6"
    row.save()
    pricebook.forget()
    # 100 × 4,000 + 20 × 20,000
    assert again(project, is_applied=True) == [Difference("claude-opus-6", 1, 1, 0, 800_000, 1, 0)]
    assert costs(project) == [800_000]


def test_a_model_whose_price_was_withdrawn_becomes_unpriced(project: Project) -> None:
    factories.stored(project)
    correct(effective_until=NOW)
    assert again(project, is_applied=True) == [Difference(f"{MODEL}-20250929", 1, 1, 600_000, 0, 0, 1)]
    assert costs(project) == [None]
    correct(effective_until=None)
    again(project, is_applied=True)
    assert costs(project) == [600_000]


def test_calls_that_were_not_bought_or_that_nobody_can_know_stay_as_they_are(project: Project) -> None:
    factories.stored(project, source="cache", at=NOW)
    factories.stored(project, factories.failed(at=NOW + timedelta(seconds=1)))
    factories.stored(project, factories.failed("timeout", None, at=NOW + timedelta(seconds=2)))
    factories.stored(project, operation="count_tokens", at=NOW + timedelta(seconds=3))
    before = costs(project)
    assert before == [0, 0, None, 0]
    correct(input=4_000)
    assert again(project, is_applied=True) == []
    assert costs(project) == before


def test_a_model_that_was_one_too_many_to_keep_its_name_stays_as_it_is(project: Project) -> None:
    factories.stored(project)
    other = Dimension.objects.create(project=project, kind=DimensionKind.MODEL, name="(other)")
    with connection.cursor() as cursor:
        cursor.execute("UPDATE request_log SET model_id = %s", [other.pk])
    correct(input=4_000)
    assert again(project, is_applied=True) == []
    assert costs(project) == [600_000]


def test_only_calls_inside_the_time_and_the_project_are_touched(project: Project) -> None:
    neighbour = factories.project("neighbour")
    factories.stored(neighbour)
    for seconds in (0, 60, 119, 120):
        factories.stored(project, at=NOW + timedelta(seconds=seconds))
    correct(input=4_000)
    again(project, is_applied=True, since=NOW + MINUTE, until=NOW + 2 * MINUTE)
    assert costs(project) == [600_000, 700_000, 700_000, 600_000]
    assert costs(neighbour) == [600_000]


def test_calls_of_many_pages_are_all_priced_once(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reprice, "BATCH", 2)
    factories.stored(project, *[factories.event(NOW + timedelta(seconds=number)) for number in range(6)])
    correct(input=4_000)
    assert again(project, is_applied=True) == [Difference(f"{MODEL}-20250929", 6, 6, 3_600_000, 4_200_000, 0, 0)]
    assert costs(project) == [700_000] * 6


def test_the_command_tells_the_difference_in_dollars_and_writes_when_told_to(project: Project) -> None:
    factories.project("empty")
    factories.stored(project)
    correct(input=2_000)
    shown = (
        "  claude-sonnet-4-5-20250929: 1 call, 1 changed, $0.000600000 → $0.000500000 (-$0.000100000), unpriced 0 → 0\n"
    )
    assert run("--since", "2026-11-22", "--until", "2026-11-23T00:00+00:00") == (
        "empty\n  no calls with a known usage in this time\nshop\n"
        + shown
        + "1 call would change. Nothing was written; add --apply to write it.\n"
    )
    assert costs(project) == [600_000]
    assert run("--since", "2026-11-22", "--until", "2026-11-23", "--project", "shop", "--apply") == (
        "shop\n" + shown + "1 call changed. The totals on the pages follow within minutes.\n"
    )
    assert costs(project) == [500_000]
    again_shown = run("--since", "2026-11-22T09:00", "--until", "2026-11-22T11:00+01:00", "--project", "shop")
    assert again_shown == "shop\n  no calls with a known usage in this time\nNothing to change.\n"


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--since", "yesterday"], "--since: yesterday is neither a day like 2026-10-07 nor a time like"),
        (["--since", "2026-11-22", "--until", "soon"], "--until: soon is neither a day"),
        (["--since", "2026-11-22", "--until", "2026-11-22"], "--since must be before --until"),
        (["--since", "2026-11-01", "--project", "shoe"], "--project: there is no project shoe; there are: shop"),
    ],
)
def test_the_command_names_the_option_that_is_wrong(project: Project, options: list[str], complaint: str) -> None:
    with pytest.raises(CommandError) as refused:
        run(*options)
    assert str(refused.value).startswith(complaint)
