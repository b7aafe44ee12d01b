"""`manage.py openapi`: the API as an OpenAPI document, as docs/openapi.json has it."""

import json

from django.core.management.base import BaseCommand

from config.openapi import document


class Command(BaseCommand):
    help = "Print the API as an OpenAPI 3.1 document."
    requires_system_checks = ()

    def handle(self, *args: object, **options: object) -> None:  # noqa: ARG002 - Django's signature
        self.stdout.write(json.dumps(document(), indent=1, ensure_ascii=False))
