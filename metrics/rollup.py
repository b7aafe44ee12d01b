"""Rollup — step 5 of 8: calls become facts per minute, hour and day."""

from datetime import datetime

from metrics.windows import Window


def roll_up_minutes(*, now: datetime) -> int:
    """Recompute every minute that has marks. Returns the number of buckets recomputed."""
    raise NotImplementedError


def roll_up_hours(*, now: datetime) -> int:
    """Recompute every hour, and then every day and month, that has marks. Returns the number of buckets recomputed."""
    raise NotImplementedError


def rebuild(project_id: int | None, window: Window, *, now: datetime) -> int:
    """Mark everything in the window for recomputation, for one project or for all. Returns the number of marks."""
    raise NotImplementedError
