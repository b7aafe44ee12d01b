"""`manage.py create_project "Help desk"`: a project with its first key and its first alert rules."""

from argparse import ArgumentParser
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction
from django.utils.text import slugify

from alerting import starter_rules
from projects import audit, keys
from projects.models import Project


class Command(BaseCommand):
    help = "Makes a project, its starter alert rules and a first ingest key, and prints the key once."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="What people call it, for example: Help desk")
        parser.add_argument("--slug", help="Its name in addresses; made from the name when not given.")
        parser.add_argument("--environment", default="production", help="Where the first key may write (%(default)s).")

    def handle(self, *_args: object, **options: Any) -> None:
        environment = options["environment"]
        project = Project(name=options["name"], slug=options["slug"] or slugify(options["name"]))
        try:
            project.full_clean()
        except ValidationError as error:
            raise CommandError(
                "; ".join(f"{field}: {words[0]}" for field, words in error.message_dict.items())
            ) from error
        with transaction.atomic():
            project.save()
            starter_rules.install(project)
            key, secret = keys.mint(project, environment)
            audit.record(None, "create.project", project, project.slug)
            audit.record(None, "create.key", project, key)
        self.stdout.write(f"Project {project.name} ({project.slug}) is ready.")
        self.stdout.write(f"Its key for {environment}, shown only this once:\n\n  {secret}\n")
