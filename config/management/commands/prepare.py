"""`manage.py prepare`: tables, jobs, static files and the first login, in one step that is quick when all is there."""

import json
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.utils import timezone

from config.prepare import prepare


class Command(BaseCommand):
    help = "Make everything ready for the web, worker and beat processes; prints who can log in, as JSON."
    requires_system_checks = []

    def handle(self, *_args: Any, **_options: Any) -> None:
        self.stdout.write(json.dumps(prepare(timezone.now(), demo=settings.DEMO)))
