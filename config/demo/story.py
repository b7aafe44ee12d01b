"""What happened in the demonstration: what went wrong when, and which prompts were changed. Seeded, relative to now."""

from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta, timezone
from typing import Final

from llmclient.testing import Limits
from llmclient.testing.arrivals import rhythm
from llmclient.testing.traffic import Incident, Release, Trouble

SEED: Final = 20_261_122
SLUG: Final = "demo"
NAME: Final = "Demo"
ENVIRONMENT: Final = "production"
USERS: Final = 600
HISTORY: Final = timedelta(days=28)
CALLS_PER_DAY: Final = 11_000
"""On an average working day at the end of the history."""
GROWTH: Final = 1.6
"""Times as many calls at the end of the history as at its start."""
LIVE_PER_SECOND: Final = 0.3
RAMP: Final = timedelta(hours=2)
"""So long before the end of the history calls begin to grow towards the live rate: what is live must not be a cliff."""

LIMITS: Final = Limits(requests=40, input_tokens=50_000, output_tokens=8_000)
"""What the provider allows a minute: near enough to what is used that the page of limits has something to say."""

LIVE_EVERY: Final = timedelta(minutes=15)


def intensity(at: datetime, now: datetime) -> float:
    """Calls per day at an instant of the history that ends `now`."""
    usual = CALLS_PER_DAY * GROWTH ** ((at - now) / HISTORY) * rhythm(at.astimezone(zone(now)))
    share = max(0.0, 1 - (now - at) / RAMP)
    return float(usual ** (1 - share) * (LIVE_PER_SECOND * 86_400) ** share)


def zone(now: datetime) -> timezone:
    """Where the product's users live: where it is about three in the afternoon, so that one looks at a busy time.

    Their date is always the UTC one.
    """
    return timezone(timedelta(hours=min(14, 15 - now.astimezone(UTC).hour)))


def incidents(now: datetime) -> list[Incident]:
    """The incidents of the four weeks before `now`, in their order."""
    return [
        _incident(Trouble.ERRORS, now, days=24, at=time(9, 20), minutes=40, severity=0.3),
        _incident(Trouble.RATE_LIMITS, now, days=17, at=time(14, 5), minutes=90, severity=0.35),
        _incident(Trouble.LATENCY_CREEP, now, days=10, at=time(8, 0), minutes=300, severity=3.5),
        _incident(Trouble.COST_SPIKE, now, days=6, at=time(11, 0), minutes=420, severity=7.0),
        recent_incident(now),
    ]


def recent_incident(now: datetime) -> Incident:
    """The one of two days ago, or of the working day nearest to it: at weekends too few would notice."""
    days = {5: 3, 6: 1}.get((now.astimezone(zone(now)) - timedelta(days=2)).weekday(), 2)
    return _incident(Trouble.ERRORS, now, days=days, at=time(14, 10), minutes=55, severity=0.45)


def releases(now: datetime) -> list[Release]:
    """The prompt versions that changed: one made the answers longer, one made them shorter."""
    return [
        Release(_moment(now, days=12, at=time(9, 30)), "support-chat", "answer", "4", output=1.3),
        Release(_moment(now, days=4, at=time(13, 45)), "doc-summary", "summarise", "8", output=0.75),
    ]


def live_incidents(start: datetime) -> Iterator[Incident]:
    """One after the other for as long as anybody asks: every quarter of an hour something goes wrong for a while."""
    kinds = ((Trouble.ERRORS, 0.35, 4), (Trouble.LATENCY_CREEP, 5.0, 14), (Trouble.RATE_LIMITS, 0.4, 4))
    number = 0
    while True:
        trouble, severity, minutes = kinds[number % len(kinds)]
        # The first comes after five minutes, so that nobody has to wait a quarter of an hour to see one.
        begin = start + timedelta(minutes=5) + number * LIVE_EVERY
        yield Incident(trouble, begin, begin + timedelta(minutes=minutes), severity)
        number += 1


def _incident(trouble: Trouble, now: datetime, *, days: int, at: time, minutes: int, severity: float) -> Incident:
    start = _moment(now, days=days, at=at)
    return Incident(trouble, start, start + timedelta(minutes=minutes), severity)


def _moment(now: datetime, *, days: int, at: time) -> datetime:
    """A time of day where the users live, so many days ago."""
    local = zone(now)
    return datetime.combine((now.astimezone(local) - timedelta(days=days)).date(), at, local).astimezone(UTC)
