"""`manage.py demo_history`: the demonstration's project with four weeks of made-up calls and their rollups."""

from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone
from tqdm import tqdm

from config.demo import alarms, history, setup
from metrics import rollup


class Command(BaseCommand):
    help = "Makes the project of the demonstration and writes four weeks of history. Running it again changes nothing."

    def handle(self, *_: Any, **options: Any) -> None:  # noqa: ARG002
        project = setup.project()
        with tqdm(desc="Four weeks of history", unit="call", dynamic_ncols=True, leave=False, disable=None) as bar:

            def show(done: int, total: int) -> None:
                bar.total = total
                bar.update(done - bar.n)

            stored = history.write(project, now=timezone.now(), progress=show)
        rollup.roll_up_minutes(now=timezone.now())
        rollup.roll_up_hours(now=timezone.now())
        alarms.sound(project)
        self.stdout.write(
            f"History of the project {project.slug}: {stored:,} calls written."
            if stored
            else f"The history of the project {project.slug} is complete."
        )
