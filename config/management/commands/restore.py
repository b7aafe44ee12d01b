"""`manage.py restore FILE`."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from config import dump


class Command(BaseCommand):
    help = "Read a backup into a database that is still empty, all of it or nothing."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path)

    def handle(self, *_args: Any, **options: Any) -> None:
        file: Path = options["file"]
        dump.restore(settings.DATABASE_URL, file)
        self.stdout.write(f"Everything in {file} is there again.")
