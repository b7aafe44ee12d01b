"""The periodic work, as data: what runs, how often, and how long one run may hold its lease.

Celery beat only wakes a worker; what is due is found in PostgreSQL (`config.models.Job`), so a lost or wiped broker
costs latency and never work.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class PeriodicJob:
    """One kind of periodic work. `verb` is a dotted path to a function called as `verb(now=now)`."""

    name: str
    verb: str
    every: int
    """Seconds between the starts of two runs."""
    lease: int
    """Seconds after which a run that has not finished is taken for dead and may be started again."""


JOBS: Final = (
    PeriodicJob("rollup_minutes", "metrics.rollup.roll_up_minutes", every=5, lease=120),
    PeriodicJob("rollup_hours", "metrics.rollup.roll_up_hours", every=60, lease=600),
    PeriodicJob("evaluate", "alerting.evaluate.evaluate", every=15, lease=120),
    PeriodicJob("deliver", "alerting.notify.deliver", every=5, lease=120),
    PeriodicJob("provider_limits", "ingest.provider_limits.refresh", every=900, lease=120),
    PeriodicJob("heartbeat", "config.heartbeat.send", every=60, lease=60),
    PeriodicJob("failure_groups", "ingest.ungrouped.group_ungrouped", every=60, lease=120),
    PeriodicJob("partitions", "ingest.partitions.ensure_ahead", every=3_600, lease=120),
    PeriodicJob("seal", "ingest.seal.seal_closed_days", every=3_600, lease=3_600),
    PeriodicJob("retention", "ingest.retention.drop_expired", every=3_600, lease=3_600),
    PeriodicJob("rollup_retention", "metrics.retention.drop_expired", every=3_600, lease=3_600),
)

# One tick serves all jobs; a tick nobody took within its period is worthless.
TICK_SECONDS: Final = 2
BEAT_SCHEDULE: Final = {
    "tick": {"task": "config.tasks.run_due", "schedule": TICK_SECONDS, "options": {"expires": TICK_SECONDS * 5}},
}
