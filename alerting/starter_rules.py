"""The rules a project has from its first day (starter_rules.toml)."""

import tomllib
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

from alerting.models import AlertRule
from projects.models import Project

_FILE = Path(__file__).with_name("starter_rules.toml")


@cache
def starter_rules() -> tuple[dict[str, Any], ...]:
    """The shipped rules as field values of AlertRule."""
    rules = tomllib.loads(_FILE.read_text())["rule"]
    exact = {"threshold", "recovery_threshold"}
    return tuple({key: Decimal(value) if key in exact else value for key, value in rule.items()} for rule in rules)


def install(project: Project) -> int:
    """Give a project the starter rules it does not have yet, by name; return how many were added.

    Safe to run again: a rule that was changed stays as it is. One that was deleted comes back.
    """
    before = AlertRule.objects.filter(project=project).count()
    AlertRule.objects.bulk_create(
        [AlertRule(project=project, **rule) for rule in starter_rules()], ignore_conflicts=True
    )
    return AlertRule.objects.filter(project=project).count() - before
