"""Projects, keys, recipients and the audit trail, as the people who run the product see them."""

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html

from projects import audit, keys
from projects.models import Annotation, AuditEvent, IngestKey, Key, Project, ReadKey, Recipient

if TYPE_CHECKING:
    ProjectFormBase = forms.ModelForm[Project]
    ProjectAdminBase = admin.ModelAdmin[Project]
    KeyAdminBase = admin.ModelAdmin[Any]
    RecipientAdminBase = admin.ModelAdmin[Recipient]
    AuditEventAdminBase = admin.ModelAdmin[AuditEvent]
    AnnotationAdminBase = admin.ModelAdmin[Annotation]
    RecipientInlineBase = admin.TabularInline[Recipient, Project]
    IngestKeyInlineBase = admin.TabularInline[IngestKey, Project]
else:  # Subscriptable for the type checker only.
    ProjectFormBase = forms.ModelForm
    ProjectAdminBase = KeyAdminBase = RecipientAdminBase = admin.ModelAdmin
    AnnotationAdminBase = AuditEventAdminBase = admin.ModelAdmin
    RecipientInlineBase = IngestKeyInlineBase = admin.TabularInline

_NANO_HELP = "Nano-dollars, whole: 1,000,000,000 are one dollar, 1,000,000 a tenth of a cent. 0 when it is not counted."


def _actor(request: HttpRequest) -> User | None:
    return request.user if isinstance(request.user, User) else None


class ProjectForm(ProjectFormBase):
    """The two rates are bounded so that no call's sum leaves the column it is stored in."""

    infra_nanousd_per_request = forms.IntegerField(
        label="Own infrastructure per request",
        min_value=0,
        max_value=1_000_000_000_000,
        initial=0,
        help_text=f"Added to every call's price for its fully loaded cost. {_NANO_HELP}",
    )
    infra_nanousd_per_token = forms.IntegerField(
        label="Own infrastructure per token",
        min_value=0,
        max_value=100_000_000,
        initial=0,
        help_text=f"Times all tokens of a call, in and out, cached or not. {_NANO_HELP}",
    )

    class Meta:
        model = Project
        fields = ["name", "slug", "infra_nanousd_per_request", "infra_nanousd_per_token"]


class RecipientInline(RecipientInlineBase):
    model = Recipient
    extra = 0


class IngestKeyInline(IngestKeyInlineBase):
    """The project's keys, to look at. Making one has a page of its own, because its text is shown once."""

    model = IngestKey
    extra = 0
    can_delete = False
    show_change_link = True
    readonly_fields = ["key_id", "environment", "label", "created_at", "last_used_at", "expires_at", "revoked_at"]
    fields = ("key_id", "environment", "label", "created_at", "last_used_at", "expires_at", "revoked_at")

    def has_add_permission(self, request: HttpRequest, obj: Project | None = None) -> bool:  # noqa: ARG002
        return False


@admin.register(Project)
class ProjectAdmin(ProjectAdminBase):
    form = ProjectForm
    list_display = ["name", "slug", "created_at"]
    search_fields = ["name", "slug"]
    prepopulated_fields = {"slug": ["name"]}
    inlines = [RecipientInline, IngestKeyInline]

    def save_model(self, request: HttpRequest, obj: Project, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        audit.record(_actor(request), "change.project" if change else "create.project", obj, obj.slug)


class KeyAdmin(KeyAdminBase):
    """A key is made once and shown once. Of what it may do nothing can be changed, and it is never deleted."""

    list_display = ["__str__", "project", "environment", "label", "last_used_at", "expires_at", "revoked_at"]
    list_filter = ["project", "environment"]
    search_fields = ["key_id", "label"]
    actions = ["revoke"]
    noun = "key"
    """What the audit trail calls it."""

    def get_fields(self, request: HttpRequest, obj: Key | None = None) -> list[Any]:  # noqa: ARG002
        given = ["project", "environment", "label", "expires_at"]
        return given if obj is None else [*given, *self._kept]

    def get_readonly_fields(self, request: HttpRequest, obj: Key | None = None) -> list[str]:  # noqa: ARG002
        # A key's project and environment are what it was made for; another place needs another key.
        return [] if obj is None else ["project", "environment", *self._kept]

    _kept = ["key_id", "created_at", "created_by", "last_used_at", "revoked_at"]

    def has_delete_permission(self, request: HttpRequest, obj: Key | None = None) -> bool:  # noqa: ARG002
        # A revoked key stays, so that it can be told who had it.
        return False

    def save_model(self, request: HttpRequest, obj: Key, form: Any, change: bool) -> None:
        if change:
            super().save_model(request, obj, form, change)
            audit.record(_actor(request), f"change.{self.noun}", obj.project, obj)
            return
        key, secret = keys.mint_of(
            type(obj),
            obj.project,
            obj.environment,
            created_by=_actor(request),
            expires_at=obj.expires_at,
            label=obj.label,
        )
        obj.__dict__.update(key.__dict__)
        audit.record(_actor(request), f"create.{self.noun}", key.project, key)
        text = "Copy this key now. It is not stored and cannot be shown again: {}"
        messages.warning(request, format_html(text, format_html("<code>{}</code>", secret)))

    @admin.action(description="Revoke the selected keys", permissions=["change"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        now = timezone.now()
        live = queryset.filter(revoked_at=None).select_related("project")
        for key in live:
            keys.revoke(key, now)
            audit.record(_actor(request), f"revoke.{self.noun}", key.project, key)
        seconds = keys.CACHED_FOR.seconds
        self.message_user(
            request, f"Revoked. Every process refuses the key within {seconds} seconds.", messages.SUCCESS
        )


@admin.register(IngestKey)
class IngestKeyAdmin(KeyAdmin):
    pass


@admin.register(ReadKey)
class ReadKeyAdmin(KeyAdmin):
    noun = "read_key"


@admin.register(Recipient)
class RecipientAdmin(RecipientAdminBase):
    list_display = ["email", "name", "project", "active"]
    list_filter = ["project", "active"]
    search_fields = ["email", "name"]


@admin.register(Annotation)
class AnnotationAdmin(AnnotationAdminBase):
    list_display = ["at", "kind", "title", "environment", "project"]
    list_filter = ["kind", "project"]
    search_fields = ["title"]


@admin.register(AuditEvent)
class AuditEventAdmin(AuditEventAdminBase):
    """To read only: what was done stays what was done."""

    list_display = ["at", "actor", "action", "project", "target"]
    list_filter = ["action", "project"]
    date_hierarchy = "at"

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002
        return False

    def has_change_permission(self, request: HttpRequest, obj: AuditEvent | None = None) -> bool:  # noqa: ARG002
        return False

    def has_delete_permission(self, request: HttpRequest, obj: AuditEvent | None = None) -> bool:  # noqa: ARG002
        return False
