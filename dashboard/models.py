"""What people keep of the pages: views under a name."""

from django.conf import settings
from django.db import models
from django.db.models import Q

from projects.models import Project

LONGEST_ADDRESS = 2_000


class SavedView(models.Model):
    """A page with its filters, range and comparison, under a name. The range stays relative when it was."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="saved_views")
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="saved_views")
    name = models.CharField(max_length=60)
    page = models.CharField(max_length=20, help_text="The name of the page's address.")
    query = models.CharField(max_length=LONGEST_ADDRESS, help_text="Its query string, as the pages write it.")
    shared = models.BooleanField(default=False, help_text="Everyone who may see the project finds it.")
    created_at = models.DateTimeField()

    class Meta:
        db_table = "saved_view"
        ordering = ["name", "pk"]
        constraints = [models.UniqueConstraint(fields=["project", "owner", "name"], name="saved_view_once")]

    def __str__(self) -> str:
        return self.name


def seen_by(user_id: int) -> Q:
    """Select a user's own views and those that others share."""
    return Q(owner_id=user_id) | Q(shared=True)
