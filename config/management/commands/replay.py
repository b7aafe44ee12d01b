"""`manage.py replay FILE.csv`: a trace through the real client, against a fake Claude, into the running product."""

import json
import time
import urllib.error
import urllib.request
from argparse import ArgumentParser
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError, connection, transaction
from django.utils import timezone
from tqdm import tqdm

from alerting import starter_rules
from config.replay.fake_process import FakeNotRunningError
from config.replay.run import Total, replay
from config.replay.worker import Work
from ingest.partitions import storable
from llmclient.testing.trace import Arrival, Columns, TraceError, read
from llmclient.testing.traffic import MIXED, Faults
from projects import audit, keys
from projects.models import IngestKey, Project

DEFAULT_MODEL: Final = "claude-sonnet-5-5"
KEY_LIFE: Final = timedelta(days=1)
REVOKE_TRIES: Final = 60  # one a second


class Command(BaseCommand):
    help = (
        "Replay a trace (.csv or .csv.gz: arrival time, input tokens, output tokens) through the real client. "
        "Users, features, latencies and faults are assigned by the seeded model of llmclient.testing.traffic; "
        "the same file, --from and --seed make the same calls with the same ids, so repeating it changes nothing."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument(
            "--speed", type=float, default=0.0, help="seconds of the trace per second; 0 (default): as fast as possible"
        )
        parser.add_argument(
            "--from",
            dest="start",
            help="when the first row happened, ISO 8601, or now; default: so the last row is now",
        )
        parser.add_argument("--project", default="replay", help="slug; made when it is missing (default: replay)")
        parser.add_argument("--environment", default="production")
        parser.add_argument("--url", default=settings.BASE_URL, help=f"of the product (default: {settings.BASE_URL})")
        parser.add_argument("--seed", type=int, default=0)
        parser.add_argument("--users", type=int, default=400)
        parser.add_argument("--model", default=DEFAULT_MODEL, help=f"one model, or {MIXED} (default: {DEFAULT_MODEL})")
        parser.add_argument(
            "--faults",
            choices=[mode.value for mode in Faults],
            default=Faults.RETRIED.value,
            help="retried (default): attempts fail, calls do not, and the totals are the trace's; off; all",
        )
        parser.add_argument("--columns", default="", help="time=…,input=…,output=… when they are called otherwise")
        parser.add_argument("--limit", type=int, help="only the first rows")
        parser.add_argument("--processes", type=int, default=2)
        parser.add_argument("--threads", type=int, help="per process; default: 8, or 48 with a speed")

    def handle(self, *_: Any, **options: Any) -> None:
        rows, columns = _rows(options)
        start = _start(options["start"], options["speed"], rows)
        project = self._project(options["project"])
        key, token = keys.mint(
            project, options["environment"], expires_at=timezone.now() + KEY_LIFE, label="replay of a trace"
        )
        try:
            _try_door(options["url"], token)
            work = _work(options, rows, columns, start, token)
            self.stdout.write(
                f"{len(rows):,} calls from {start:%Y-%m-%d %H:%M:%S} to {rows[-1].at + work.shift:%H:%M:%S} UTC"
                f" → {project.slug}"
            )
            total = self._replay(work, len(rows))
        except FakeNotRunningError as error:
            raise CommandError(str(error)) from error
        finally:
            # However it ended: nobody else may write with it, and it is of no use to anybody.
            self._revoke(key)
        self._report(total, len(rows), start)

    def _revoke(self, key: IngestKey) -> None:
        """The database may have gone away since the key was made, and be on its way back."""
        for _ in range(REVOKE_TRIES):
            try:
                return keys.revoke(key, timezone.now())
            except OperationalError:
                connection.close()
                time.sleep(1)
        self.stderr.write(f"The database is away, so {key} could not be revoked; it expires in a day.")
        return None

    def _project(self, slug: str) -> Project:
        with transaction.atomic():
            project, made = Project.objects.get_or_create(slug=slug, defaults={"name": slug.capitalize()})
            if made:
                starter_rules.install(project)
                audit.record(None, "create.project", project, project.slug)
                self.stdout.write(f"Project {project.slug} was made.")
        return project

    def _replay(self, work: Work, count: int) -> Total:
        with tqdm(total=count, unit="call", smoothing=0.1, dynamic_ncols=True, disable=None) as bar:

            def show(total: Total) -> None:
                bar.set_postfix_str(f"delivered {total.accepted:,}, waiting {total.waiting:,}", refresh=False)
                bar.update(total.sent - bar.n)

            return replay(work, show)

    def _report(self, total: Total, count: int, start: datetime) -> None:
        self.stdout.write(
            f"sent {total.sent:,} · accepted {total.accepted:,} · dropped {total.dropped.total():,}"
            f" · input tokens {total.input_tokens:,} · output tokens {total.output_tokens:,}"
        )
        self.stdout.write(f"Again with the same ids: --from {start.isoformat()}")
        if total.interrupted:
            raise CommandError(f"Stopped after {total.sent:,} of {count:,} calls.", returncode=130)
        problems = [f"{number:,} {reason}" for reason, number in total.dropped.items()]
        if total.unexpected:
            problems.append(f"{total.unexpected:,} calls ended otherwise than planned")
        if total.died:
            problems.append(f"{total.died} of the replaying processes died")
        if total.sent != count or not total.complete:
            raise CommandError(f"Not everything arrived: {', '.join(problems) or 'some calls were not made'}.")


def _work(options: dict[str, Any], rows: list[Arrival], columns: Columns, start: datetime, token: str) -> Work:
    """What was asked for, as the replaying processes take it."""
    return Work(
        path=options["file"],
        columns=columns,
        limit=options["limit"],
        shift=start - rows[0].at,
        seed=options["seed"],
        model=options["model"],
        faults=Faults(options["faults"]),
        users=options["users"],
        fake_url="",
        dsn=_dsn(options["url"], token),
        speed=options["speed"],
        begins=time.time() + 2.0,
        processes=max(1, min(options["processes"], len(rows))),
        threads=options["threads"] or (48 if options["speed"] else 8),
    )


def _rows(options: dict[str, Any]) -> tuple[list[Arrival], Columns]:
    if options["speed"] < 0:
        raise CommandError("--speed: must be 0 or more")
    try:
        columns = Columns.parse(options["columns"])
        return read(options["file"], columns, limit=options["limit"]), columns
    except TraceError as error:
        raise CommandError(str(error)) from error
    except OSError as error:
        raise CommandError(f"{options['file']}: {error.strerror}") from error


def _start(text: str | None, speed: float, rows: list[Arrival]) -> datetime:
    """The instant of the first row, to the millisecond; all rows must be storable when they arrive."""
    now = timezone.now()
    span = rows[-1].at - rows[0].at
    takes = span / speed if speed else timedelta()
    if text is None:
        start = now + takes - span
    elif text == "now":
        start = now
    else:
        try:
            start = datetime.fromisoformat(text)
        except ValueError as error:
            raise CommandError(f"--from: {text!r} is not a time like 2026-11-22T10:00:00") from error
        start = start.replace(tzinfo=UTC) if start.tzinfo is None else start.astimezone(UTC)
    start = start.replace(microsecond=start.microsecond // 1000 * 1000)
    first, last = storable(now)
    if start < first:
        raise CommandError(f"--from: calls are kept from {first:%Y-%m-%d} on; choose a later time")
    if start + span > last + takes:
        raise CommandError("--from: the trace would end in the future; choose an earlier time or a lower --speed")
    return start


def _dsn(url: str, token: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{token}@{parts.netloc}{parts.path.rstrip('/')}"


def _try_door(url: str, token: str) -> None:
    """Send an empty batch, so that a wrong address or key is told at once and not after a queue has filled."""
    request = urllib.request.Request(  # noqa: S310  the address is the operator's own
        f"{url.rstrip('/')}/api/v1/events",
        data=json.dumps({"events": []}).encode(),
        headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=10):  # noqa: S310
            return
    except urllib.error.HTTPError as error:
        raise CommandError(f"{url} does not take events: it answered {error.code} {error.reason}") from error
    except (urllib.error.URLError, OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise CommandError(f"Nothing answers at {url} ({reason}). Start the product with `make up`.") from error
