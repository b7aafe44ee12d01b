"""Budgets in the admin: set an amount, see how far it is used up, pause it."""

from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.forms.models import BaseInlineFormSet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from budgets import periods, progress, spending
from budgets.dollars import DollarField
from budgets.models import Budget, Severity, Threshold
from budgets.names import unheard_of
from metrics import units
from projects import audit

DEFAULT_THRESHOLDS = (
    {"percent": 80, "severity": Severity.WARNING},
    {"percent": 100, "severity": Severity.CRITICAL},
)


class BudgetForm(forms.ModelForm):  # type: ignore[type-arg]
    amount_nanousd = DollarField(
        label="Amount in US dollars", help_text="For one whole period, for example 500 or 12.50."
    )

    class Meta:
        model = Budget
        fields = (
            "project", "name", "environment", "feature", "period", "zone", "amount_nanousd", "recipients", "active",
        )  # fmt: skip
        help_texts: ClassVar = {
            "name": "What people call it; it is in the subject of the mails.",
            "environment": "As in the ingest key, for example production. Empty: all environments together.",
            "feature": "As the application names it. Empty: the whole project.",
            "zone": "The period begins at midnight of this zone, for example Europe/Berlin. The provider bills in UTC.",
            "recipients": "Who is told. Nobody chosen: everybody on the project's list of recipients.",
            "active": "A paused budget is not measured and tells nobody.",
        }

    def clean(self) -> dict[str, Any] | None:
        data = super().clean()
        if data and (project := data.get("project")) is not None:
            strangers = [person for person in data.get("recipients", ()) if person.project_id != project.pk]
            if strangers:
                self.add_error("recipients", f"{strangers[0].email} belongs to another project.")
        return data


class ThresholdForm(forms.ModelForm):  # type: ignore[type-arg]
    """A threshold offered on a new budget is saved unless its percent is emptied."""

    def has_changed(self) -> bool:
        if self.instance.pk is None:
            # Django takes a row left as it was offered for an empty one, and would drop the defaults.
            return bool(self["percent"].data)
        return super().has_changed()


class ThresholdFormSet(BaseInlineFormSet):  # type: ignore[type-arg]
    """Offers 80 % and 100 % on a new budget."""

    def __init__(self, *args: Any, **options: Any) -> None:
        if getattr(options.get("instance"), "pk", None) is None:
            options["initial"] = list(DEFAULT_THRESHOLDS)
        super().__init__(*args, **options)


class ThresholdInline(admin.TabularInline):  # type: ignore[type-arg]
    model = Threshold
    form = ThresholdForm
    formset = ThresholdFormSet
    verbose_name_plural = "thresholds: at which shares of the amount people are told, once per period"

    def get_extra(self, request: HttpRequest, obj: Budget | None = None, **kwargs: Any) -> int:  # noqa: ARG002 Django's
        return len(DEFAULT_THRESHOLDS) if obj is None else 0


class MeasuredChangeList(ChangeList):
    """Measures all budgets of a page together, instead of one by one while the rows are drawn."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        measured = spending.statuses(self.result_list, timezone.now())
        for budget in self.result_list:
            budget.measured = measured[budget.pk]


class ScopeFilter(admin.SimpleListFilter):
    title = "what counts"
    parameter_name = "scope"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:  # noqa: ARG002 Django's
        return [("project", "Whole project"), ("feature", "One feature")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Budget]) -> QuerySet[Budget]:  # noqa: ARG002 Django's
        if self.value() == "project":
            return queryset.filter(feature="")
        return queryset.exclude(feature="") if self.value() == "feature" else queryset


@admin.register(Budget)
class BudgetAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    form = BudgetForm
    inlines = (ThresholdInline,)
    list_display = ("name", "project", "scope", "spent", "used", "state", "period_now")
    list_filter = ("active", ScopeFilter, "period", "project")
    list_select_related = ("project",)
    list_per_page = 50
    search_fields = ("name", "feature", "project__name", "project__slug")
    filter_horizontal = ("recipients",)
    actions = ("pause", "resume")
    fieldsets = (
        (None, {"fields": ("project", "name", "amount_nanousd", "period", "zone", "active")}),
        ("What counts", {"fields": ("environment", "feature")}),
        ("Who is told", {"fields": ("recipients",)}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Budget]:
        return super().get_queryset(request).prefetch_related("thresholds")

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:  # noqa: ARG002 Django's
        return MeasuredChangeList

    @admin.display(description="counts")
    def scope(self, budget: Budget) -> str:
        return " · ".join((budget.feature or "whole project", budget.environment or "all environments"))

    @admin.display(description="spent")
    def spent(self, budget: Budget) -> str:
        return progress.sentence(_measured(budget))

    @admin.display(description="used")
    def used(self, budget: Budget) -> SafeString:
        status = _measured(budget)
        return format_html("{} {}", progress.bar(status), units.ratio(status.share))

    @admin.display(description="state")
    def state(self, budget: Budget) -> str:
        return progress.word(budget, _measured(budget))

    @admin.display(description="period")
    def period_now(self, budget: Budget) -> str:
        name = periods.label(budget.period, budget.zone, _measured(budget).period)
        return name if budget.zone == "UTC" else f"{name} ({budget.zone})"

    def save_model(self, request: HttpRequest, obj: Budget, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        _note(request, "change.budget" if change else "create.budget", obj)
        for sentence in unheard_of(obj.project, environment=obj.environment, feature=obj.feature):
            messages.warning(request, sentence)

    @admin.action(description="Pause the selected budgets", permissions=["change"])
    def pause(self, request: HttpRequest, queryset: QuerySet[Budget]) -> None:
        self.message_user(request, f"Paused: {_several(_switch(request, queryset, active=False))}.")

    @admin.action(description="Resume the selected budgets", permissions=["change"])
    def resume(self, request: HttpRequest, queryset: QuerySet[Budget]) -> None:
        self.message_user(request, f"Active again: {_several(_switch(request, queryset, active=True))}.")

    def delete_model(self, request: HttpRequest, obj: Budget) -> None:
        _note(request, "delete.budget", obj)
        super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Budget]) -> None:
        for budget in queryset.select_related("project"):
            _note(request, "delete.budget", budget)
        super().delete_queryset(request, queryset)


def _switch(request: HttpRequest, budgets: QuerySet[Budget], *, active: bool) -> int:
    """Pause or resume, and return how many; charts mark when."""
    for budget in budgets.select_related("project"):
        _note(request, "resume.budget" if active else "pause.budget", budget)
    return budgets.update(active=active)


def _note(request: HttpRequest, action: str, budget: Budget) -> None:
    audit.record(request.user if isinstance(request.user, User) else None, action, budget.project, budget.name)


def _measured(budget: Budget) -> spending.BudgetStatus:
    status: spending.BudgetStatus = budget.measured  # type: ignore[attr-defined]
    return status


def _several(number: int) -> str:
    return "1 budget" if number == 1 else f"{number} budgets"
