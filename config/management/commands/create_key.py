"""`manage.py create_key help-desk --environment staging`: one more ingest key for a project."""

from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction
from django.utils import timezone

from projects import audit, keys
from projects.models import Project


class Command(BaseCommand):
    help = "Makes an ingest key for a project and prints it once."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("project", help="The project's slug.")
        parser.add_argument("--environment", default="production", help="Where the key may write (%(default)s).")
        parser.add_argument("--label", default="", help="Where the key is used, for people.")
        parser.add_argument("--days", type=int, help="How long it is valid; without end when not given.")

    def handle(self, *_args: object, **options: Any) -> None:
        slug, days = options["project"], options["days"]
        project = Project.objects.filter(slug=slug).first()
        if project is None:
            known = ", ".join(Project.objects.order_by("slug").values_list("slug", flat=True)) or "none yet"
            raise CommandError(f"There is no project {slug!r}. Projects: {known}.")
        if days is not None and days < 1:
            raise CommandError("--days must be 1 or more.")
        expires_at = None if days is None else timezone.now() + timedelta(days=days)
        environment = options["environment"]
        with transaction.atomic():
            key, secret = keys.mint(project, environment, expires_at=expires_at, label=options["label"])
            audit.record(None, "create.key", project, key)
        end = "" if expires_at is None else f", valid until {expires_at:%Y-%m-%d %H:%M} UTC"
        self.stdout.write(f"A key for {project.name}, {environment}{end}, shown only this once:\n\n  {secret}\n")
