"""`manage.py up`: the whole product until Ctrl-C. manage.py goes to `config.up` before Django is loaded."""

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from config import up


class Command(BaseCommand):
    help = "Run the whole product: PostgreSQL, web, worker and beat. Ctrl-C stops everything."

    def add_arguments(self, parser: CommandParser) -> None:
        up.add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002  Django's signature
        up.run(host=options["host"], port=options["port"], demo=options["demo"])
