"""Prices stored calls again. Without --apply it only shows the difference."""

from argparse import ArgumentParser
from decimal import Decimal
from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from ingest import pricebook
from ingest.management import options as shared
from ingest.models import NANO_PER_DOLLAR
from ingest.reprice import Difference, Span, reprice
from projects.models import Project


class Command(BaseCommand):
    help = "Prices stored calls again with the present price book and shows the difference, in dollars, by model."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--since", required=True, help="first moment, for example 2026-10-07 or 2026-10-07T12:00Z")
        parser.add_argument("--until", help="first moment that no longer counts; now when not given")
        parser.add_argument("--project", help="slug of one project; all of them when not given")
        parser.add_argument("--apply", action="store_true", help="write the new costs and have the totals follow")

    def handle(self, **options: Any) -> None:
        now = timezone.now()
        since, until = shared.span(options["since"], options["until"], now)
        is_applied: bool = options["apply"]
        # Somebody has just corrected a price, perhaps in another process.
        pricebook.forget()
        book = pricebook.current(now)
        changed = 0
        for project in shared.projects(options["project"]):
            found = reprice(Span(project.pk, since, until), book, now=now, is_applied=is_applied)
            changed += sum(difference.changed for difference in found)
            self._print(project, found)
        self.stdout.write(_conclusion(changed, is_applied=is_applied))

    def _print(self, project: Project, found: list[Difference]) -> None:
        self.stdout.write(f"{project.slug}")
        if not found:
            self.stdout.write("  no calls with a known usage in this time")
        for each in found:
            delta = each.after_nanousd - each.before_nanousd
            self.stdout.write(
                f"  {each.model or '(no model)'}: {_calls(each.calls)}, {each.changed:,} changed, "
                f"{_dollars(each.before_nanousd)} → {_dollars(each.after_nanousd)} ({_dollars(delta, signed=True)}), "
                f"unpriced {each.unpriced_before:,} → {each.unpriced_after:,}"
            )


def _conclusion(changed: int, *, is_applied: bool) -> str:
    if changed == 0:
        return "Nothing to change."
    if not is_applied:
        return f"{_calls(changed)} would change. Nothing was written; add --apply to write it."
    return f"{_calls(changed)} changed. The totals on the pages follow within minutes."


def _calls(number: int) -> str:
    return f"{number:,} call" if number == 1 else f"{number:,} calls"


def _dollars(nanousd: int, *, signed: bool = False) -> str:
    """Exact: to the nano-dollar, which is nine decimals."""
    sign = "-" if nanousd < 0 else "+" if signed else ""
    return f"{sign}${abs(Decimal(nanousd)) / NANO_PER_DOLLAR:,.9f}"
