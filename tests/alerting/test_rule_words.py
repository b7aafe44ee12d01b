from decimal import Decimal

import pytest

from alerting import rules
from alerting.letters import compose
from alerting.models import Alert, AlertRule
from alerting.wording import Row, minutes, plain
from metrics.catalog import METRICS
from metrics.rollup import roll_up_minutes
from metrics.windows import Window
from projects.models import Project
from tests.alerting.conftest import at, traffic

pytestmark = pytest.mark.django_db

ALERTABLE = sorted(key for key, metric in METRICS.items() if metric.alertable)


def firing(project: Project, metric: str, direction: str = "above") -> tuple[str, dict[str, object]]:
    """What a rule on this metric would write about 40 calls, four of which failed."""
    traffic(project, 0, ok=36, failed=4)
    roll_up_minutes(now=at(5))
    rule = AlertRule.objects.create(
        project=project,
        name="A rule",
        metric=metric,
        direction=direction,
        threshold=Decimal(1),
        recovery_threshold=Decimal(1),
        minimum_sample=1,
    )
    finding = rules.look_at(rule, Window(at(0), at(5)), now=at(5))
    alert = Alert(
        pk=1,
        project=project,
        rule=rule,
        title=finding.title,
        severity="warning",
        opened_at=at(5),
        fired_at=at(5),
        facts=finding.facts | {"firing": finding.snapshot() | finding.context()},
    )
    return compose(alert, "firing", "anna@example.com")


@pytest.mark.parametrize("direction", ["above", "below"])
@pytest.mark.parametrize("metric", ALERTABLE)
def test_every_metric_can_be_written_about(project: Project, metric: str, direction: str) -> None:
    subject, context = firing(project, metric, direction)
    assert METRICS[metric].label in subject
    assert f" {'over' if direction == 'above' else 'under'} " in subject or "unknown" in subject
    assert len(subject) <= 78
    assert str(context["lead"]).endswith(".")


@pytest.mark.parametrize(
    ("metric", "lead"),
    [
        ("error_rate", "4 of 40 requests got no answer in the 5 minutes to 13:05 UTC."),
        ("errors", "4 of 40 requests got no answer in the 5 minutes to 13:05 UTC."),
        ("spend", "$0.02 was spent in the 5 minutes to 13:05 UTC, on 40 requests."),
        ("requests", "Requests: 40 in the 5 minutes to 13:05 UTC."),
        ("latency_p95", "Every twentieth answer took longer than 1.2 s in the 5 minutes to 13:05 UTC."),
    ],
)
def test_the_first_line_says_what_it_means(project: Project, metric: str, lead: str) -> None:
    assert plain(str(firing(project, metric)[1]["lead"])) == lead


@pytest.mark.parametrize(
    ("length", "words"), [(1, "minute"), (5, "5 minutes"), (60, "hour"), (90, "90 minutes"), (120, "2 hours")]
)
def test_a_window_is_named_as_people_say_it(length: int, words: str) -> None:
    assert minutes(length) == words


def test_a_rule_without_a_band_does_not_repeat_its_limit(project: Project) -> None:
    rows = firing(project, "requests")[1]["rows"]
    assert isinstance(rows, list)
    assert [plain(row.value) for row in rows if isinstance(row, Row) and row.label == "Limit"] == ["above 1 for 2 min"]
