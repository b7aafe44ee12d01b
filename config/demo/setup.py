"""The demonstration's project: its people, its limits of money, its alert rules. Safe to run again."""

from typing import Final

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from alerting import starter_rules
from budgets.models import Budget, Severity, Threshold
from config.demo import story
from projects import keys
from projects.models import IngestKey, Project, Recipient

NANO_PER_DOLLAR: Final = 1_000_000_000
ON_CALL: Final = "oncall@demo.example"
PEOPLE: Final = (("On call", ON_CALL), ("Owner of the budget", "budget@demo.example"))
LIVE_KEY: Final = "live traffic of the demonstration"


def project() -> Project:
    """The project `demo`, made with its people and its budgets when it is not there."""
    with transaction.atomic():
        found, made = Project.objects.get_or_create(slug=story.SLUG, defaults={"name": story.NAME})
        if made:
            _furnish(found)
    return found


def rules(of: Project) -> None:
    """The starter rules, for the person on call."""
    starter_rules.install(of)
    for rule in of.alert_rules.all():
        rule.recipients.set(of.recipients.filter(email=ON_CALL))


def live_key(of: Project) -> str:
    """A fresh key for live traffic; the ones of earlier runs are revoked, because their text is lost."""
    now = timezone.now()
    for old in IngestKey.objects.filter(project=of, label=LIVE_KEY, revoked_at=None):
        keys.revoke(old, now)
    _, token = keys.mint(of, story.ENVIRONMENT, label=LIVE_KEY)
    return token


def dsn(token: str) -> str:
    scheme, _, host = settings.BASE_URL.partition("://")
    return f"{scheme}://{token}@{host}"


def _furnish(made: Project) -> None:
    people = [Recipient.objects.create(project=made, name=name, email=email) for name, email in PEOPLE]
    _budget(made, people, "All of it, per month", "", Budget.Period.MONTH, dollars=900)
    _budget(made, people, "Document summaries, per day", "doc-summary", Budget.Period.DAY, dollars=12)


def _budget(made: Project, people: list[Recipient], name: str, feature: str, period: str, *, dollars: int) -> None:
    budget = Budget.objects.create(
        project=made, name=name, feature=feature, period=period, amount_nanousd=dollars * NANO_PER_DOLLAR
    )
    budget.recipients.set(people)
    Threshold.objects.create(budget=budget, percent=80, severity=Severity.WARNING)
    Threshold.objects.create(budget=budget, percent=100, severity=Severity.CRITICAL)
