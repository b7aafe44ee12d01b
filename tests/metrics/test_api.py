"""The read API: what the events add up to, to whom it is told, and the parameter of everything that is wrong."""

import json
import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import pytest
from django.core.cache import cache
from django.db import OperationalError
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest.models import BreakerTransition
from metrics.auth import ReadThrottle
from metrics.catalog import METRICS
from metrics.rollup import roll_up_hours, roll_up_minutes
from projects import keys
from projects.models import Project, ReadKey
from tests import factories
from tests.factories import NOW

pytestmark = pytest.mark.django_db

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "api.md"
MINUTE = timedelta(minutes=1)
# A call of 100 tokens in and 20 out.
COST = 600_000


@pytest.fixture(autouse=True)
def _still(monkeypatch: pytest.MonkeyPatch) -> None:
    """The moment of NOW, and nobody has asked before."""
    cache.clear()
    keys._cache.clear()
    monkeypatch.setattr("django.utils.timezone.now", lambda: NOW)


@pytest.fixture
def owner() -> Project:
    """Five calls in the last hour: three answered of inbox, one failed of inbox, one answered of search in staging."""
    owner = factories.project()
    at = NOW - 30 * MINUTE
    inbox = [factories.event(at + n * MINUTE, user_id=user) for n, user in enumerate(("anna", "anna", "ben"))]
    factories.stored(owner, *inbox, factories.failed(at=at + 3 * MINUTE), now=NOW - 20 * MINUTE)
    factories.stored(
        owner,
        factories.event(at + 4 * MINUTE, feature="search", duration_ms=2400),
        now=NOW - 20 * MINUTE,
        environment="staging",
    )
    factories.stored(factories.project(), at=at)
    roll_up_minutes(now=NOW)
    roll_up_hours(now=NOW)
    return owner


class Asking:
    def __init__(self, owner: Project, environment: str = "", **options: Any) -> None:
        self.key, self.token = keys.mint_of(ReadKey, owner, environment, **options)

    def __call__(self, path: str, **parameters: str) -> Any:
        query = f"?{urlencode(parameters)}" if parameters else ""
        return self.get(f"/api/v1/metrics/{path}{query}" if path else f"/api/v1/metrics{query}")

    def get(self, address: str) -> Any:
        return Client().get(address, headers={"Authorization": f"Bearer {self.token}"})


@pytest.fixture
def ask(owner: Project) -> Asking:
    return Asking(owner)


HOUR = {"from": "now-1h"}


def test_the_examples_of_the_documentation_are_true(ask: Asking) -> None:
    blocks = re.findall(r"```\nGET (\S+)\n```\n\n```json\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    assert len(blocks) == 3
    for address, expected in blocks:
        answer = ask.get(address)
        assert answer.status_code == 200, answer.content
        assert answer.json() == json.loads(expected)


def test_a_value_is_what_the_events_add_up_to(ask: Asking) -> None:
    def value(metric: str, **filters: str) -> Any:
        found = ask(metric, **HOUR, **filters).json()
        return found["value"], found["calls"]

    assert value("requests") == (5, 5)
    assert value("spend") == (4 * COST, 5)
    assert value("spend", feature="inbox") == (3 * COST, 4)
    assert value("spend", environment="staging") == (COST, 1)
    assert value("spend", user_id="anna") == (2 * COST, 2)
    assert value("error_rate") == ("0.2", 5)
    assert value("errors", error="overloaded") == (1, 1)
    assert value("error_rate", feature="nobody") == (None, 0)
    assert value("requests", feature="nobody") == (0, 0)


def test_a_series_by_parts_has_their_names(ask: Asking) -> None:
    found = ask("requests/series", **HOUR, bucket="30m", by="feature", top="1").json()
    assert found["by"] == "feature"
    assert found["bucket_seconds"] == 1800
    assert found["starts"] == ["2026-11-22T09:00:00Z", "2026-11-22T09:30:00Z"]
    assert found["series"] == [
        {"name": "inbox", "values": [0, 4], "calls": [0, 4]},
        {"name": "(other)", "values": [0, 1], "calls": [0, 1]},
    ]


def test_a_series_of_what_nobody_named_has_no_values(ask: Asking) -> None:
    found = ask("spend/series", **HOUR, feature="nobody").json()
    assert found["starts"] == ["2026-11-22T09:00:00Z"]
    assert found["series"] == [{"values": [0], "calls": [0]}]


def test_parts_by_user_are_those_of_calls_that_have_one(ask: Asking) -> None:
    found = ask("spend/breakdown", **HOUR, by="user_id").json()
    by_name = {part["name"]: part["value"] for part in found["parts"]}
    assert by_name == {"anna": 2 * COST, "ben": COST, "user-1": COST}
    assert found["other"] is None
    assert found["total"]["value"] == 4 * COST


def test_all_metrics_are_listed(ask: Asking) -> None:
    found = ask("").json()
    assert [one["metric"] for one in found["metrics"]] == list(METRICS)
    assert found["metrics"][0] == {
        "metric": "requests",
        "label": "Requests",
        "unit": "count",
        "better": "higher",
        "description": "Calls the application made, whatever became of them.",
        "of": "calls",
        "dimensions": [name for name in found["dimensions"] if name != "score"],
    }
    assert "feature" in found["dimensions"]
    assert ask("", q="x").json()["field"] == "q"


def test_scores_are_read_by_name_and_are_no_property_of_calls(owner: Project, ask: Asking) -> None:
    calls = [factories.event(NOW - n * MINUTE, feature=feature) for n, feature in enumerate(("a", "a", "b"), start=1)]
    factories.stored(owner, *calls, now=NOW)
    said: list[dict[str, Any]] = [
        {"name": "grade", "value": 4},
        {"name": "grade", "value": 1},
        {"name": "tone", "label": "kind"},
    ]
    told = [{"call_id": call["id"], "at": NOW.isoformat(), **one} for call, one in zip(calls, said, strict=True)]
    factories.scored(owner, *told)
    found = ask("score_mean", **HOUR, score="grade").json()
    assert {name: found[name] for name in ("unit", "filters", "value", "calls")} == {
        "unit": "number",
        "filters": {"score": "grade"},
        "value": "2.5",
        "calls": 2,
    }
    assert ask("score_mean", **HOUR, score="tone").json()["value"] is None
    (line,) = ask("score_mean/series", **HOUR, score="grade", bucket="30m").json()["series"]
    assert line == {"values": [None, "2.5"], "calls": [0, 2]}
    names = ask("scores/breakdown", **HOUR, by="score").json()
    assert [(part["name"], part["value"]) for part in names["parts"]] == [("grade", 2), ("tone", 1)]
    features = ask("scores/breakdown", **HOUR, by="feature").json()["parts"]
    assert [(part["name"], part["value"]) for part in features] == [("a", 2), ("b", 1)]


def test_breaker_time_is_read_by_group_of_models(owner: Project, ask: Asking) -> None:
    for group, minute in (("sonnet-5", 40), ("haiku-5", 30)):
        for before, after, at in ((0, 1, minute), (1, 0, 20)):
            BreakerTransition.objects.create(
                project=owner,
                boot_id=UUID(int=1),
                group=group,
                at=NOW - at * MINUTE,
                before=before,
                after=after,
            )
    found = ask("breaker_open_ms", **HOUR).json()
    # From 40 to 20 minutes ago one of the two was open.
    assert (found["value"], found["calls"], found["unit"]) == (20 * 60_000, 2, "milliseconds")
    assert ask("breaker_open_ms", **HOUR, model="claude-haiku-5").json()["value"] == 10 * 60_000
    parts = ask("breaker_open_ms/breakdown", **HOUR, by="model").json()
    assert [(part["name"], part["value"]) for part in parts["parts"]] == [("sonnet-5", 1_200_000), ("haiku-5", 600_000)]
    assert parts["total"]["value"] == 1_200_000
    refused = Asking(owner, "staging")("breaker_open_ms", **HOUR)
    assert (refused.status_code, refused.json()["field"]) == (400, "environment")


def test_a_key_of_one_environment_reads_no_other(owner: Project) -> None:
    ask = Asking(owner, "staging")
    assert ask("requests", **HOUR).json()["value"] == 1
    assert ask("requests", **HOUR).json()["filters"] == {"environment": "staging"}
    assert ask("requests", **HOUR, environment="staging").json()["value"] == 1
    refused = ask("requests", **HOUR, environment="production")
    assert (refused.status_code, refused.json()) == (
        400,
        {"error": "this key reads staging only", "field": "environment"},
    )
    parts = ask("requests/breakdown", **HOUR, by="environment").json()["parts"]
    assert [part["name"] for part in parts] == ["staging"]


def test_a_key_of_another_project_sees_its_own(owner: Project) -> None:
    assert Asking(factories.project())("requests", **HOUR).json()["value"] == 0


@pytest.mark.parametrize(
    ("path", "parameters", "field", "reason"),
    [
        ("requests", {"from": "yesterday"}, "from", "must be a time like 2026-11-22T14:00:00Z or now-6h"),
        ("requests", {"to": "2026-11-22T10:00:00"}, "to", "must be a time like 2026-11-22T14:00:00Z or now-6h"),
        ("requests", {"from": "1999-01-01T00:00:00Z"}, "from", "must lie between the years 2000 and 9000"),
        ("requests", {"from": "now", "to": "now-1h"}, "from", "must be before to"),
        ("requests", {"from": "now-397d"}, "from", "at most 396 days can be asked for at once"),
        ("requests", {"from": "now-99999d"}, "from", "at most 396 days can be asked for at once"),
        ("requests", {"error": "joy"}, "error", "must be one of (none), authentication, "),
        ("requests", {"feature": "a\x00b"}, "feature", "must be at most 200 printable characters"),
        ("requests", {"feature": "x" * 201}, "feature", "must be at most 200 printable characters"),
        ("requests", {"by": "feature"}, "by", "is not a parameter here; there are from, to, environment, "),
        ("requests", {"q": "1"}, "q", "is not a parameter here"),
        ("requests/series", {"bucket": "soon"}, "bucket", "must be a span like 5m, 1h or 1d"),
        ("requests/series", {"bucket": "0m"}, "bucket", "must be a span like 5m, 1h or 1d"),
        ("requests/series", {"bucket": "1m", "from": "now-30d"}, "bucket", "makes 43,200 points; at most 1,500"),
        ("requests/series", {"top": "3"}, "top", "is for a series by something: give by, too"),
        ("requests/series", {"by": "feature", "top": "21"}, "top", "must be a whole number from 1 to 20"),
        ("requests", {"score": "grade"}, "score", "is not known of calls, which requests is about"),
        ("score_mean", {}, "score", "must be the name of a score: score_mean of several means nothing"),
        ("breaker_open_ms", {"feature": "a"}, "feature", "is not known of breakers, which breaker_open_ms is about"),
        ("breaker_open_ms", {"from": "now-91d"}, "from", "changes of breakers are kept since 24 August 2026: ask for"),
        ("breaker_open_ms/breakdown", {"by": "feature"}, "by", "must be one of model"),
        ("requests/breakdown", {"by": "score"}, "by", "must be one of environment, feature, "),
        ("requests/breakdown", {}, "by", "must be one of environment, feature, "),
        ("requests/breakdown", {"by": "colour"}, "by", "must be one of environment, feature, "),
        ("requests/breakdown", {"by": "model", "top": "0"}, "top", "must be a whole number from 1 to 100"),
        ("error_rate/breakdown", {"by": "user_id"}, "by", "users can be ordered by a sum only, and error_rate is none"),
        (
            "latency_p95/series",
            {"from": "now-30d", "feature": "inbox", "release": "1.4.2"},
            "from",
            "this question reads calls one by one",
        ),
    ],
)
def test_what_is_wrong_is_named(ask: Asking, path: str, parameters: dict[str, str], field: str, reason: str) -> None:
    answer = ask(path, **parameters)
    assert answer.status_code == 400, answer.content
    assert answer.json()["field"] == field
    assert answer.json()["error"].startswith(reason)


def test_a_parameter_given_twice_is_named(ask: Asking) -> None:
    answer = ask.get("/api/v1/metrics/requests?feature=a&feature=b")
    assert (answer.status_code, answer.json()["field"]) == (400, "feature")


def test_a_metric_nobody_declared_is_not_found(ask: Asking) -> None:
    for path in ("joy", "joy/series", "joy/breakdown", "%00"):
        answer = ask(path)
        assert (answer.status_code, answer.json()["field"]) == (404, "metric")


def test_only_a_live_read_key_reads(owner: Project, admin_client: Client) -> None:
    _, writing = factories.key(owner)
    revoked, expired = Asking(owner), Asking(owner, expires_at=NOW - MINUTE)
    keys.revoke(revoked.key, NOW)
    for token, said in (
        ("", "Send a read key: Authorization: Bearer llv_read_…"),
        (writing, "This is not a read key."),
        (revoked.token, "This key is unknown, revoked or expired."),
        (expired.token, "This key is unknown, revoked or expired."),
        (revoked.token[:-1] + "!", "This is not a read key."),
    ):
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        answer = admin_client.get("/api/v1/metrics/requests", headers=headers)
        assert answer.status_code == 401
        assert answer.json()["error"].startswith(said)
        assert answer.json()["field"] == "Authorization"


def test_a_read_key_writes_nothing(ask: Asking) -> None:
    for door in ("events", "scores", "annotations"):
        answer = Client().post(
            f"/api/v1/{door}", b"{}", content_type="application/json", headers={"Authorization": f"Bearer {ask.token}"}
        )
        assert answer.status_code == 401
        assert answer.json()["error"].startswith("This is not an ingest key.")
    assert (
        Client().post("/api/v1/metrics/requests", headers={"Authorization": f"Bearer {ask.token}"}).status_code == 405
    )


def test_a_flood_of_one_key_is_held_up_and_others_are_not(
    ask: Asking, owner: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ReadThrottle, "rate", "3/min")
    assert [ask("requests").status_code for _ in range(4)] == [200, 200, 200, 429]
    assert int(ask("requests")["Retry-After"]) > 0
    assert Asking(owner)("requests").status_code == 200


def test_the_use_of_a_key_is_noted(ask: Asking) -> None:
    assert ReadKey.objects.get(pk=ask.key.pk).last_used_at is None
    ask("requests")
    assert ReadKey.objects.get(pk=ask.key.pk).last_used_at == datetime(2026, 11, 22, 10, 0, tzinfo=NOW.tzinfo)


def test_an_answer_that_takes_too_long_says_what_to_do(ask: Asking, monkeypatch: pytest.MonkeyPatch) -> None:
    class CancelledError(Exception):
        sqlstate = "57014"

    def slow(*_: object, **__: object) -> None:
        raise OperationalError("a row of yours") from CancelledError()

    monkeypatch.setattr("metrics.queries.value", slow)
    answer = ask("requests")
    assert (answer.status_code, answer["Retry-After"]) == (503, "5")
    assert answer.json() == {"error": "The answer took too long. Ask for a shorter time or fewer filters."}


NAMES = st.sampled_from(
    ["from", "to", "environment", "feature", "model", "error", "user_id", "bucket", "by", "top", "release", "x"]
)
VALUES = st.one_of(
    st.text(max_size=30), st.sampled_from(["now", "now-1h", "now-90d", "5m", "1d", "user_id", "model", "(none)", "0"])
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(path=st.sampled_from(["", "/series", "/breakdown"]), parameters=st.lists(st.tuples(NAMES, VALUES), max_size=5))
def test_no_question_breaks_anything(ask: Asking, path: str, parameters: list[tuple[str, str]]) -> None:
    cache.clear()
    answer = ask.get(f"/api/v1/metrics/latency_p95{path}?{urlencode(parameters, errors='replace')}")
    assert answer.status_code in (200, 400)
    if answer.status_code == 400:
        assert answer.json()["field"]
