"""The verdict: which sentence which evidence leads to."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.http import QueryDict

from alerting.models import Alert
from dashboard.address import parse
from dashboard.look import Look
from dashboard.verdicts import Evidence, gather, verdict
from metrics.readings import Reading
from metrics.windows import Window
from projects.models import Project
from tests import factories
from tests.dashboard.conftest import count

NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
QUERY = parse(
    QueryDict(""),
    projects=[Project(pk=1, slug="x", name="X")],
    environments=lambda _: [],
    failure_group=lambda *_: None,
    now=NOW,
)


def readings(calls: int, errors: int = 0, p95: int | None = 2000) -> dict[str, Reading]:
    rate = Decimal(errors) / calls if calls else None
    values = {
        "requests": calls,
        "errors": errors,
        "error_rate": rate,
        "success_rate": None if rate is None else 1 - rate,
        "latency_p95": p95 if calls else None,
    }
    return {key: Reading(key, value, calls, NOW, 0) for key, value in values.items()}


def evidence(
    now: dict[str, Reading], usual: dict[str, Reading] | None = None, firing: tuple[Alert, ...] = ()
) -> Evidence:
    return Evidence(
        query=QUERY,
        window=Window.last(15, NOW),
        complete_to=NOW - timedelta(seconds=5),
        now=now,
        usual=readings(100) if usual is None else usual,
        firing=firing,
        last_call=NOW - timedelta(minutes=40),
    )


def test_answered_calls_at_the_usual_speed_are_healthy() -> None:
    found = verdict(evidence(readings(200, 1)))
    assert (found.kind, found.word) == ("healthy", "Healthy")
    assert found.sentence == "99.50\u202f% of calls in the last 15\u202fmin were answered."
    expected = "Last 15\u202fmin: 200 calls, 99.50\u202f% answered, p95 2.0\u202fs (usually 2.0\u202fs)."
    assert found.detail == expected


def test_few_calls_are_not_made_more_of_than_they_are() -> None:
    found = verdict(evidence(readings(3)))
    assert found.sentence == "All is well as far as 3 calls in the last 15\u202fmin can tell."


def test_numbers_that_are_not_up_to_date_are_unknown_however_good_they_look() -> None:
    found = verdict(replace(evidence(readings(200)), complete_to=NOW - timedelta(seconds=91)))
    assert found.kind == "unknown"
    assert found.sentence == "The numbers stop at 09:58:29 UTC, 1\u202fmin 31\u202fs ago."


def test_silence_where_calls_are_expected_is_unknown() -> None:
    found = verdict(evidence(readings(0), readings(412)))
    assert found.kind == "unknown"
    assert found.sentence == "No call has arrived in the last 15\u202fmin."
    assert "usually about 412. The last one came 40\u202fmin ago." in found.detail


def test_silence_at_a_quiet_hour_is_not_green_either() -> None:
    found = verdict(evidence(readings(0), readings(0)))
    assert found.kind == "unknown"
    assert found.sentence.startswith("It is quiet")


def test_p95_half_as_high_again_as_usual_is_degraded() -> None:
    slow = replace(QUERY, feature="inbox")
    found = verdict(replace(evidence(readings(200, p95=3000)), query=slow))
    assert found.kind == "degraded"
    assert found.sentence == "Answers are slow: p95 is 3.0\u202fs, 50\u202f% above its usual 2.0\u202fs."


def test_p95_a_little_above_usual_is_healthy() -> None:
    assert verdict(evidence(readings(200, p95=2999))).kind == "healthy"


def test_a_firing_alert_is_degraded_and_leads_to_it() -> None:
    alert = Alert(pk=7, title="p95 above 30 s", severity="warning", opened_at=NOW, fired_at=NOW - timedelta(minutes=9))
    worse = Alert(pk=8, title="Error rate above 5 %", severity="critical", opened_at=NOW, fired_at=NOW)
    found = verdict(evidence(readings(200), firing=(alert, worse)))
    assert (found.kind, found.sentence, found.since) == ("degraded", "Error rate above 5 %.", NOW)
    assert found.href == "/alerts/8/?project=x"
    assert found.detail.endswith("1 more alert fires.")


@pytest.mark.django_db
@pytest.mark.parametrize(("errors", "kind"), [(2, "healthy"), (3, "degraded"), (39, "degraded"), (40, "down")])
def test_the_share_of_failures_decides_between_healthy_degraded_and_down(errors: int, kind: str) -> None:
    owner = factories.project("x")
    mine = replace(QUERY, project=owner)
    calls = 80 if errors > 3 else 60
    found = verdict(replace(evidence(readings(calls, errors)), query=mine))
    assert found.kind == kind


@pytest.mark.django_db
def test_failures_are_traced_to_their_kind_and_feature(now: datetime) -> None:
    owner = factories.project("x")
    at = now - timedelta(minutes=5)
    good = [factories.event(at + timedelta(seconds=n)) for n in range(10)]
    bad = [factories.failed(at=at + timedelta(seconds=n), feature="search") for n in range(30)]
    factories.stored(owner, *good, *bad, now=now)
    count(now)
    query = parse(QueryDict(""), projects=[owner], environments=lambda _: [], failure_group=lambda *_: None, now=now)
    found = verdict(gather(query, (), Look(query)))
    assert (found.kind, found.sentence) == ("down", "75.0\u202f% of calls fail.")
    assert found.detail == "30 of 40 calls, most often because of overloaded, mostly in search."
    assert "/logs/?project=x&from=" in found.href
    assert "status=failed" in found.href
