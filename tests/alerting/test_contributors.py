import pytest

from alerting.contributors import PARTS_OF, contributors
from metrics.catalog import METRICS
from metrics.rollup import roll_up_minutes
from metrics.slices import Slice
from metrics.windows import Window
from projects.models import Project
from tests.alerting.conftest import at, traffic

pytestmark = pytest.mark.django_db

WINDOW = Window(at(0), at(5))


def named(metric: str, project: Project, **filters: str) -> list[tuple[str, str, str | None]]:
    roll_up_minutes(now=at(5))
    rows = contributors(metric, WINDOW, Slice(project.pk, **filters), now=at(5))
    return [(row["dimension"], row["name"], row["share"]) for row in rows]


def test_failures_are_told_by_error_then_feature_then_model(project: Project) -> None:
    traffic(project, 0, ok=10, failed=3)
    traffic(project, 1, failed=1, feature="search")
    assert named("error_rate", project) == [
        ("error", "overloaded", "1"),
        ("feature", "inbox", "0.75"),
        ("feature", "search", "0.25"),
        ("model", "claude-sonnet-4-5", "1"),
    ]


def test_a_dimension_that_the_rule_fixes_is_not_told(project: Project) -> None:
    traffic(project, 0, ok=3, feature="search")
    assert named("spend", project, feature="search") == [("model", "claude-sonnet-4-5-20250929", "1")]


def test_there_are_never_more_than_five(project: Project) -> None:
    for number in range(9):
        traffic(project, 0, ok=number + 1, feature=f"feature-{number}")
        traffic(project, 1, failed=number + 1, feature=f"feature-{number}")
    assert named("requests", project)[:3] == [
        ("feature", "feature-8", "0.2"),
        ("feature", "feature-7", "0.177778"),
        ("feature", "feature-6", "0.155556"),
    ]
    for metric in (key for key, metric in METRICS.items() if metric.alertable):
        assert len(named(metric, project)) <= 5


def test_latency_is_told_by_the_slowest_with_enough_calls(project: Project) -> None:
    traffic(project, 0, ok=40, feature="chat", duration_ms=1_000)
    traffic(project, 1, ok=40, feature="search", duration_ms=9_000)
    traffic(project, 2, ok=3, feature="rare", duration_ms=60_000)
    assert named("latency_p95", project)[:2] == [("feature", "search", None), ("feature", "chat", None)]


def test_of_no_calls_there_are_no_parts(project: Project) -> None:
    assert named("spend", project) == []


@pytest.mark.parametrize("rate", PARTS_OF)
def test_a_rate_is_told_by_a_sum_that_has_parts(rate: str) -> None:
    assert METRICS[rate].empty is None
    assert METRICS[PARTS_OF[rate]].empty == 0
