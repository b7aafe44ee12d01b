"""Has the totals of a span counted again from the calls, for instance after a facet was added."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand
from django.db import transaction
from django.utils import timezone

from ingest.management import options as shared
from metrics.rollup import rebuild
from metrics.windows import Window


class Command(BaseCommand):
    help = (
        "Marks every hour of a span to be counted again from the calls; the worker does it within minutes. "
        "Days whose calls are no longer kept stay as they are."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--since", required=True, help="first moment, for example 2026-10-07 or 2026-10-07T12:00Z")
        parser.add_argument("--until", help="first moment that is left alone; now when not given")
        parser.add_argument("--project", help="slug of one project; all of them when not given")

    def handle(self, **options: Any) -> None:
        now = timezone.now()
        window = Window(*shared.span(options["since"], options["until"], now))
        with transaction.atomic():
            marked = sum(rebuild(project.pk, window, now=now) for project in shared.projects(options["project"]))
        if marked == 0:
            self.stdout.write("Nothing to count: no calls are kept of this span.")
        else:
            self.stdout.write(
                f"{marked:,} hours and minutes are marked. The totals on the pages follow within minutes."
            )
