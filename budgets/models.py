"""Limits of money: what may be spent, on what, in which period, and at which shares of it people are told."""

from zoneinfo import available_timezones

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from projects.models import Project, Recipient


def validate_zone(name: str) -> None:
    if name not in available_timezones():
        raise ValidationError(f"{name!r} is not a time zone; write one like Europe/Berlin or UTC.")


class Severity(models.TextChoices):
    INFO = "info", "Info"
    WARNING = "warning", "Warning"
    CRITICAL = "critical", "Critical"


class Budget(models.Model):
    """An amount of dollars for a project, or for one feature of it, per calendar day or month of a named zone."""

    class Period(models.TextChoices):
        DAY = "day", "Day"
        MONTH = "month", "Month"

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="budgets")
    name = models.CharField(max_length=120)
    environment = models.CharField(max_length=64, blank=True, help_text="Empty: all environments together.")
    feature = models.CharField(max_length=200, blank=True, help_text="Empty: the whole project.")
    period = models.CharField(max_length=8, choices=Period.choices, default=Period.MONTH)
    zone = models.CharField(
        max_length=64,
        default="UTC",
        validators=[validate_zone],
        help_text="The period begins at midnight of this zone.",
    )
    amount_nanousd = models.BigIntegerField("amount", validators=[MinValueValidator(1)])
    recipients = models.ManyToManyField(Recipient, blank=True)
    active = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["project", "name"]
        constraints = [models.UniqueConstraint(fields=["project", "name"], name="budget_name_once")]

    def __str__(self) -> str:
        return self.name


class Threshold(models.Model):
    """A share of a budget at which its recipients are told, once per period."""

    budget = models.ForeignKey(Budget, on_delete=models.CASCADE, related_name="thresholds")
    percent = models.PositiveIntegerField(validators=[MinValueValidator(1), MaxValueValidator(1000)])
    severity = models.CharField(max_length=8, choices=Severity.choices, default=Severity.WARNING)

    class Meta:
        ordering = ["percent"]
        constraints = [models.UniqueConstraint(fields=["budget", "percent"], name="threshold_once")]

    def __str__(self) -> str:
        return f"{self.percent} %"
