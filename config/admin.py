"""The periodic jobs in the admin: when each ran, who holds it, and what went wrong. Nothing to edit."""

from typing import TYPE_CHECKING

from django.contrib import admin
from django.http import HttpRequest

from config.models import Job

if TYPE_CHECKING:
    JobAdminBase = admin.ModelAdmin[Job]
else:
    JobAdminBase = admin.ModelAdmin  # Subscriptable for the type checker only.


@admin.register(Job)
class JobAdmin(JobAdminBase):
    list_display = [
        "name",
        "due_at",
        "started_at",
        "finished_at",
        "duration_ms",
        "lease_until",
        "failures",
        "last_error",
    ]
    ordering = ["name"]

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002  Django's signature
        return False

    def has_change_permission(self, request: HttpRequest, obj: Job | None = None) -> bool:  # noqa: ARG002  Django's signature
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Job | None = None) -> bool:  # noqa: ARG002  Django's signature
        return False
