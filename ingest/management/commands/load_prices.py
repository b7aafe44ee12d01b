"""Brings the price book to the shipped price list. Costs already stored do not change; `reprice` does that."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand
from django.db import transaction

from ingest import pricebook, pricelist


class Command(BaseCommand):
    help = "Loads the shipped price list. Rows you added yourself stay. Calls already stored keep their cost."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="show what would change and change nothing")

    def handle(self, *, dry_run: bool, **_options: Any) -> None:
        rows = pricelist.read()
        with transaction.atomic():
            changes = pricelist.changes(rows) if dry_run else pricelist.load(rows)
        pricebook.forget()
        for change in changes:
            self.stdout.write(str(change))
        if not changes:
            self.stdout.write(f"All {len(rows)} prices are up to date.")
        elif dry_run:
            self.stdout.write(f"{len(changes)} of {len(rows)} prices would change. Nothing was changed.")
        else:
            self.stdout.write(
                f"{len(changes)} of {len(rows)} prices changed. Stored calls: manage.py reprice --since …"
            )
