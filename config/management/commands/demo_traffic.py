"""`manage.py demo_traffic`: live calls of the demonstration, until it is told to stop."""

import logging
import signal
import threading
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import connection

import llmclient
from config.demo import live, setup, story
from config.replay.fake_process import FakeNotRunningError, fake_process


class Command(BaseCommand):
    help = "Drives live calls through the real client against a fake Claude into the running product, until Ctrl-C."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--rate", type=float, default=story.LIVE_PER_SECOND, help="calls per second (default: %(default)s)"
        )

    def handle(self, *_: Any, **options: Any) -> None:
        if options["rate"] <= 0:
            raise CommandError("--rate: must be above 0")
        stop = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stop.set())
        logging.getLogger("httpx2").setLevel(logging.WARNING)  # two calls a second are nothing to write home about
        project = setup.project()
        setup.rules(project)
        token = setup.live_key(project)
        connection.close()  # from here on everything goes over HTTP
        spool = Path(settings.VITALS_HOME) / "demo-spool"
        llmclient.configure(setup.dsn(token), app="demo-product", release="2026.11.2", spool=spool)
        try:
            with fake_process(limits=story.LIMITS) as url:
                made = live.run(url, per_second=options["rate"], stop=stop)
                llmclient.close()
        except FakeNotRunningError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"Live traffic ended after {made:,} calls.")
