"""Dropping what is too old: whole days of calls, and of bodies, which are kept for a shorter time.

A day of calls goes only when they are counted, and so are its scores: its totals stay for ever, and are made from all
its calls or not at all.

What lies in quarantine may hold prompts, so it goes when a body of the same age would. What a process said about itself
goes with its last calls, and so do the changes of its breakers. A score goes with the day of its call.

Names, dictionaries and the list of sealed days stay: old totals and old bodies need them.
"""

import logging
from datetime import datetime, timedelta
from typing import Final

from django.db import OperationalError, connection, transaction
from django.db.backends.utils import CursorWrapper

from ingest.models import BreakerTransition, ClientInstance, Quarantined, Score
from ingest.partitions import TABLES, Partition, kept_from, lower_bound, midnight, partitions
from ingest.vocabulary import Grain
from projects.models import Project

LOCK_TIMEOUT_MS: Final = 1_000
# lock_not_available, deadlock_detected: somebody is reading or writing; the next run will find a moment.
_BUSY: Final = ("55P03", "40P01")

log = logging.getLogger(__name__)


def drop_expired(*, now: datetime) -> list[str]:
    """Drops the days that are wholly older than their retention; returns the names of the dropped partitions.

    Dropping locks the whole table for a moment. A reader is waited for at most a second, because everybody who comes
    after waits as well; then the table is left for the next run.
    """
    dropped = []
    for table in TABLES:
        for partition in _expired(table, now):
            if not _drop(partition):
                break
            dropped.append(partition.name)
    Quarantined.objects.filter(received_at__lt=kept_from("request_body", now)).delete()
    first_call = kept_from("request_log", now)
    ClientInstance.objects.filter(last_seen_at__lt=first_call).delete()
    BreakerTransition.objects.filter(at__lt=first_call).delete()
    first_scored = min([first_call, *(midnight(partition.day) for partition in partitions("request_log")[:1])])
    for project in Project.objects.all():
        # By project, because the key of the table begins with it.
        Score.objects.filter(project=project, call_id__lt=lower_bound(first_scored)).delete()
    return dropped


def _expired(table: str, now: datetime) -> list[Partition]:
    first_kept = kept_from(table, now).date()
    return [partition for partition in partitions(table) if partition.day < first_kept]


def _drop(partition: Partition) -> bool:
    """Whether the partition is gone. Another worker may have dropped it first. Its calls are counted before it goes."""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL lock_timeout = {LOCK_TIMEOUT_MS}")
            # As dropping does itself; now nobody is adding calls, and every mark can be seen.
            cursor.execute(f"LOCK TABLE ONLY {connection.ops.quote_name(partition.table)} IN ACCESS EXCLUSIVE MODE")
            if partition.table == "request_log" and _is_marked(cursor, partition):
                log.info("%s is not counted yet; it is dropped at the next run", partition.name)
                return False
            cursor.execute(f"DROP TABLE IF EXISTS {connection.ops.quote_name(partition.name)}")
    except OperationalError as error:
        if getattr(error.__cause__, "sqlstate", None) not in _BUSY:
            raise
        log.info("%s is in use; it is dropped at the next run", partition.name)
        return False
    log.info("%s dropped: older than its retention", partition.name)
    return True


def _is_marked(cursor: CursorWrapper, partition: Partition) -> bool:
    """Whether a rollup has yet to be made from the calls of this day."""
    cursor.execute(
        "SELECT EXISTS (SELECT FROM rollup_dirty WHERE grain <> %s AND bucket >= %s AND bucket < %s)",
        [Grain.MONTH, midnight(partition.day), midnight(partition.day + timedelta(days=1))],
    )
    (marked,) = cursor.fetchone()
    return bool(marked)
