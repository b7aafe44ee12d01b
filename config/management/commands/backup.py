"""`manage.py backup FILE`."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from config import dump


class Command(BaseCommand):
    help = "Save the whole database to a new file, while the product runs or not."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path)

    def handle(self, *_args: Any, **options: Any) -> None:
        file: Path = options["file"]
        dump.backup(settings.DATABASE_URL, file)
        self.stdout.write(f"Saved to {file} ({file.stat().st_size:,} bytes).")
