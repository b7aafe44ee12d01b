from decimal import Decimal

import pytest

from alerting.models import AlertRule
from alerting.starter_rules import install, starter_rules
from metrics.catalog import METRICS
from tests import factories

pytestmark = pytest.mark.django_db


def test_a_project_is_watched_for_errors_latency_and_spend_from_its_first_day() -> None:
    project = factories.project()
    assert install(project) == 3
    rules = {rule.metric: rule for rule in project.alert_rules.all()}
    assert {key: (rule.threshold, rule.recovery_threshold, rule.window_minutes) for key, rule in rules.items()} == {
        "error_rate": (Decimal(5), Decimal(2), 5),
        "latency_p95": (Decimal(30_000), Decimal(25_000), 10),
        "spend": (Decimal(50), Decimal(40), 60),
    }


def test_installing_again_changes_nothing() -> None:
    project, other = factories.project(), factories.project()
    install(project)
    AlertRule.objects.filter(metric="spend").update(threshold=Decimal(500), enabled=False)
    assert install(project) == 0
    assert install(other) == 3
    assert AlertRule.objects.get(project=project, metric="spend").threshold == 500


@pytest.mark.parametrize("rule", starter_rules(), ids=lambda rule: str(rule["metric"]))
def test_a_starter_rule_is_a_valid_rule(rule: dict[str, object]) -> None:
    assert METRICS[str(rule["metric"])].alertable
    AlertRule(project=factories.project(), **rule).full_clean()
