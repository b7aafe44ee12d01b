"""Whether this process lives, and whether the product behind it can do its work."""

from datetime import datetime, timedelta
from typing import Final

from django.core.cache import cache
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor

from metrics import queries
from projects.models import Project

LATE: Final = timedelta(minutes=5)


def ready(now: datetime) -> dict[str, str]:
    """Return the state of each part in a word or a sentence; every part says "ok" when all is well."""
    database = _database()
    if database != "ok":
        return {"database": database}
    parts = {"database": database, "migrations": _migrations()}
    return parts | {"counting": _counting(now)} if parts["migrations"] == "ok" else parts


def _database() -> str:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        # The driver's text names hosts and users; whoever asks this page may be a stranger.
        return "not reachable"
    return "ok"


def _migrations() -> str:
    # A process whose tables are up to date stays so until it is replaced.
    if cache.get("migrations"):
        return "ok"
    executor = MigrationExecutor(connection)
    missing = executor.migration_plan(executor.loader.graph.leaf_nodes())
    if missing:
        return f"{len(missing)} not applied; run manage.py migrate"
    cache.set("migrations", True, 60)
    return "ok"


def _counting(now: datetime) -> str:
    behind = [now - queries.complete_to(pk, now=now) for pk in Project.objects.values_list("pk", flat=True)]
    worst = max(behind, default=timedelta(0))
    return "ok" if worst <= LATE else f"{int(worst.total_seconds())} s behind; is the worker running?"
