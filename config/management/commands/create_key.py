"""`manage.py create_key help-desk --environment staging`: one more key for a project, to write or (--read) to read."""

from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction
from django.utils import timezone

from projects import audit, keys
from projects.models import IngestKey, Key, Project, ReadKey


class Command(BaseCommand):
    help = "Makes an ingest key for a project, or a read key, and prints it once."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("project", help="The project's slug.")
        parser.add_argument("--read", action="store_true", help="A key for the read API instead: docs/api.md.")
        parser.add_argument(
            "--environment",
            help="Where the key may write (production), or the only environment it may read (all of them).",
        )
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
        kind: type[Key] = ReadKey if options["read"] else IngestKey
        given = options["environment"]
        environment = given if given is not None else "" if options["read"] else "production"
        with transaction.atomic():
            key, secret = keys.mint_of(kind, project, environment, expires_at=expires_at, label=options["label"])
            audit.record(None, "create.read_key" if options["read"] else "create.key", project, key)
        end = "" if expires_at is None else f", valid until {expires_at:%Y-%m-%d %H:%M} UTC"
        what = "A key that reads" if options["read"] else "A key for"
        where = environment or "all environments"
        self.stdout.write(f"{what} {project.name}, {where}{end}, shown only this once:\n\n  {secret}\n")
