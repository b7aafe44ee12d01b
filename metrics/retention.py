"""Retention of the rollups: minutes and hours are kept for the days the settings say, days and months for ever."""

from datetime import datetime


def drop_expired(*, now: datetime) -> int:
    """Delete the facet rows whose day is past its retention. Returns the number of rows deleted."""
    raise NotImplementedError
