"""Rules in the admin; alerts, their steps and the messages owed for them to look at, not to touch."""

from decimal import Decimal
from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils import timezone

from alerting import starter_rules, trial
from alerting.models import Alert, AlertRule, Notification, Transition
from budgets.names import unheard_of
from metrics import units
from metrics.catalog import METRICS
from projects.admin import ProjectAdmin
from projects.models import Project

ALERTABLE = {key: metric for key, metric in METRICS.items() if metric.alertable}


def _metric_choices() -> list[tuple[str, str]]:
    named = ((key, metric.label, units.written_unit(metric.unit)) for key, metric in ALERTABLE.items())
    return [
        ("", "Choose what to watch"),
        *((key, f"{label} ({unit})" if unit else label) for key, label, unit in named),
    ]


class AlertRuleForm(forms.ModelForm):  # type: ignore[type-arg]
    metric = forms.ChoiceField(choices=_metric_choices, help_text="In brackets: the unit to write the thresholds in.")

    class Meta:
        model = AlertRule
        fields = (
            "project", "name", "severity", "enabled", "metric", "environment", "feature", "window_minutes", "direction",
            "threshold", "for_minutes", "minimum_sample", "no_data", "recovery_threshold", "keep_firing_minutes",
            "recipients",
        )  # fmt: skip
        labels: ClassVar = {
            "window_minutes": "Over the last minutes",
            "direction": "The value",
            "for_minutes": "For at least minutes",
            "minimum_sample": "Minimum of requests",
            "no_data": "With too few requests",
            "keep_firing_minutes": "For at least minutes",
        }
        help_texts: ClassVar = {
            "name": "What people call it; mails name it.",
            "threshold": "In the unit of the metric: percent for rates, milliseconds for latencies, dollars for spend.",
            "recovery_threshold": "The alert is over when the value is back here. A gap stops flapping.",
            "environment": "As in the ingest key, for example production. Empty: all environments together.",
            "feature": "As the application names it. Empty: the whole project.",
            "window_minutes": "The value is taken over this many minutes, again every minute.",
            "minimum_sample": "With fewer requests in the window a rate or a latency says nothing. Sums need none.",
            "no_data": "What a window below the minimum means.",
            "recipients": "Who is told. Nobody chosen: everybody on the project's list of recipients.",
        }

    def clean(self) -> dict[str, Any] | None:
        data = super().clean()
        if data:
            self._check_thresholds(data)
            self._check_recipients(data)
        return data

    def _check_thresholds(self, data: dict[str, Any]) -> None:
        threshold, recovery = data.get("threshold"), data.get("recovery_threshold")
        if threshold is None or recovery is None:
            return
        if data.get("direction") == AlertRule.Direction.ABOVE and recovery > threshold:
            self.add_error("recovery_threshold", f"Write {_plain(threshold)} or less: the rule fires above it.")
        if data.get("direction") == AlertRule.Direction.BELOW and recovery < threshold:
            self.add_error("recovery_threshold", f"Write {_plain(threshold)} or more: the rule fires below it.")
        metric = ALERTABLE.get(data.get("metric", ""))
        if metric is not None and metric.unit is units.Unit.RATIO and not 0 <= threshold <= 100:
            self.add_error("threshold", "A share is between 0 and 100 percent.")

    def _check_recipients(self, data: dict[str, Any]) -> None:
        project = data.get("project")
        strangers = [person for person in data.get("recipients", ()) if project and person.project_id != project.pk]
        if strangers:
            self.add_error("recipients", f"{strangers[0].email} belongs to another project.")


class MetricFilter(admin.SimpleListFilter):
    title = "metric"
    parameter_name = "metric"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:  # noqa: ARG002 Django's
        used = AlertRule.objects.order_by().values_list("metric", flat=True).distinct()
        return sorted((key, METRICS[key].label if key in METRICS else key) for key in used)

    def queryset(self, request: HttpRequest, queryset: QuerySet[AlertRule]) -> QuerySet[AlertRule]:  # noqa: ARG002 Django's
        return queryset if self.value() is None else queryset.filter(metric=self.value())


@admin.register(AlertRule)
class AlertRuleAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    form = AlertRuleForm
    list_display = ("name", "project", "condition", "scope", "severity", "enabled", "health", "last_evaluated_at")
    list_filter = ("enabled", "severity", "project", MetricFilter)
    list_select_related = ("project",)
    list_per_page = 50
    search_fields = ("name", "feature", "project__name", "project__slug")
    filter_horizontal = ("recipients",)
    readonly_fields = ("health", "last_evaluated_at")
    actions = ("enable", "disable", "send_test_mail", "add_starter_rules")
    fieldsets = (
        (None, {"fields": ("project", "name", "severity", "enabled")}),
        ("What is watched", {"fields": ("metric", "environment", "feature", "window_minutes")}),
        ("When it fires", {"fields": ("direction", "threshold", "for_minutes", "minimum_sample", "no_data")}),
        ("When it is over", {"fields": ("recovery_threshold", "keep_firing_minutes")}),
        ("Who is told", {"fields": ("recipients",)}),
        ("How it goes", {"fields": ("health", "last_evaluated_at")}),
    )

    @admin.display(description="fires when")
    def condition(self, rule: AlertRule) -> str:
        metric = METRICS.get(rule.metric)
        if metric is None:
            return f"{rule.metric}: no such metric"
        threshold = units.limit(units.in_metric_unit(rule.threshold, metric.unit), metric.unit)
        return f"{metric.label} {rule.get_direction_display()} {threshold} over {rule.window_minutes}{units.SPACE}min"

    @admin.display(description="of")
    def scope(self, rule: AlertRule) -> str:
        return " · ".join((rule.feature or "whole project", rule.environment or "all environments"))

    @admin.display(description="health")
    def health(self, rule: AlertRule) -> str:
        if rule.last_error:
            return f"error: {rule.last_error}"
        return "good" if rule.last_evaluated_at is not None else "not evaluated yet"

    def save_model(self, request: HttpRequest, obj: AlertRule, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        for sentence in unheard_of(obj.project, environment=obj.environment, feature=obj.feature):
            messages.warning(request, sentence)

    @admin.action(description="Switch on", permissions=["change"])
    def enable(self, request: HttpRequest, queryset: QuerySet[AlertRule]) -> None:
        self.message_user(request, f"Switched on: {_several(queryset.update(enabled=True))}.")

    @admin.action(description="Switch off", permissions=["change"])
    def disable(self, request: HttpRequest, queryset: QuerySet[AlertRule]) -> None:
        self.message_user(request, f"Switched off: {_several(queryset.update(enabled=False))}.")

    @admin.action(description="Send a test mail to me", permissions=["change"])
    def send_test_mail(self, request: HttpRequest, queryset: QuerySet[AlertRule]) -> None:
        address = getattr(request.user, "email", "")
        if not address:
            self.message_user(request, "Your account has no e-mail address. Add one first.", messages.ERROR)
            return
        for rule in queryset:
            error = trial.send(rule, address, now=timezone.now())
            if error:
                self.message_user(request, f"{rule}: {error}", messages.ERROR)
            else:
                self.message_user(request, f"{rule}: sent to {address}.")

    @admin.action(description="Add the starter rules to the projects of these rules", permissions=["add"])
    def add_starter_rules(self, request: HttpRequest, queryset: QuerySet[AlertRule]) -> None:
        projects = {rule.project for rule in queryset.select_related("project")}
        added = sum(starter_rules.install(project) for project in projects)
        self.message_user(request, f"Added: {_several(added)}.")


class ReadOnlyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """What the evaluator and the delivery wrote; changing it by hand would make it untrue."""

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002 Django's
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:  # noqa: ARG002 Django's
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:  # noqa: ARG002 Django's
        return False


@admin.register(Alert)
class AlertAdmin(ReadOnlyAdmin):
    list_display = ("title", "project", "severity", "state", "opened_at", "fired_at", "resolved_at")
    list_filter = ("state", "severity", "project")
    list_select_related = ("project",)
    search_fields = ("title", "subject")
    date_hierarchy = "opened_at"


@admin.register(Transition)
class TransitionAdmin(ReadOnlyAdmin):
    list_display = ("alert", "seq", "at", "from_state", "to_state", "why")
    list_select_related = ("alert",)
    date_hierarchy = "at"
    ordering = ("-at",)


@admin.register(Notification)
class NotificationAdmin(ReadOnlyAdmin):
    list_display = ("transition", "recipient", "reason", "state", "tries", "created_at", "sent_at", "last_error")
    list_filter = ("state", "reason", "channel")
    list_select_related = ("transition", "recipient")
    search_fields = ("key", "recipient__email", "last_error")
    date_hierarchy = "created_at"


def _plain(number: Decimal) -> str:
    return f"{number.normalize():f}"


def _several(number: int) -> str:
    return "1 rule" if number == 1 else f"{number} rules"


# `projects` knows nothing of rules, so what a new project gets here is added to its page from this side.
admin.site.unregister(Project)


@admin.register(Project)
class WatchedProjectAdmin(ProjectAdmin):
    """A project made in the admin is watched from its first day, as one made on the command line is."""

    def save_model(self, request: HttpRequest, obj: Project, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        if not change:
            starter_rules.install(obj)
