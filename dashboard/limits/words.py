"""Limits in words: what each is called, how far it is used under the traffic assumed, and which is nearest."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from math import ceil
from typing import Final, Literal

from dashboard.look import Look
from ingest.model_groups import spoken
from metrics import units
from metrics.limit_rows import Share
from metrics.limits import Limit

WARN: Final = Fraction(80, 100)
CRITICAL: Final = Fraction(95, 100)
# Two measures of the same thing that are further apart are both shown.
APART: Final = Fraction(10, 100)
LIMITERS: Final = {"requests": "requests", "input": "input tokens", "output": "output tokens"}
REFUSALS: Final = {
    "rate_limits": "rate limit",
    "ramp_limits": "ramp limit",
    "spend_limits": "spend limit",
    "own_refusals": "own limiter",
}
SOURCES: Final = {"headers": "answers", "api": "Rate Limits API"}
Tone = Literal["", "warn", "bad"]


@dataclass(frozen=True, slots=True)
class Standing:
    """One limit under the traffic assumed."""

    limit: Limit
    share: Share
    """Of the last minutes the fullest, by each measure."""
    peak: Fraction | None
    full_at: datetime | None
    """About when it is full, at this rate; None: not in sight."""

    @property
    def now(self) -> Fraction | None:
        """Return how far it is used now; None: unknown."""
        return self.share.larger

    @property
    def group(self) -> str:
        return spoken(self.limit.group)

    @property
    def limiter(self) -> str:
        return LIMITERS[self.limit.limiter]

    @property
    def name(self) -> str:
        return f"{self.group} {self.limiter}"

    @property
    def tone(self) -> Tone:
        return tone(self.now)

    @property
    def amount(self) -> str:
        return amount(self.limit.told.limit, self.limit.limiter)


def standings(look: Look) -> list[Standing]:
    """Return all limits, the fullest first."""
    factor = Fraction(look.query.factor)
    found = [_standing(limit, factor, look.headroom.at) for limit in look.headroom.limits]
    return sorted(found, key=lambda one: (-(one.now or -1), -(one.peak or -1), one.limit.group, one.limit.limiter))


def _standing(limit: Limit, factor: Fraction, at: datetime) -> Standing:
    left = limit.minutes_left(factor)
    # A minute that has begun is not told as if it were certain: the time is rounded up.
    full_at = None if left is None else at + timedelta(minutes=ceil(left))
    return Standing(limit, _times(limit.now, factor), _times(limit.peak, factor).larger, full_at)


def _times(share: Share, factor: Fraction) -> Share:
    return Share(*(None if measure is None else measure * factor for measure in share))


def tone(share: Fraction | None) -> Tone:
    if share is None or share < WARN:
        return ""
    return "bad" if share >= CRITICAL else "warn"


def amount(number: int, limiter: str) -> str:
    """A number of requests or of tokens, without digits nobody has set: 400 k, 4,000."""
    text = units.count(number) if limiter == "requests" else units.tokens(number)
    whole, point, rest = text.partition(".")
    digits, space, letter = rest.partition(units.SPACE)
    return f"{whole}{space}{letter}" if point and not digits.strip("0") else text


def clock(at: datetime, now: datetime) -> str:
    """A time of day, with its day when that is another."""
    utc = at.astimezone(UTC)
    day = "" if utc.date() == now.astimezone(UTC).date() else f"{utc:%-d %b }"
    return f"{day}{utc:%H:%M}"


def age(at: datetime, now: datetime) -> str:
    return units.duration(max((now - at) // timedelta(milliseconds=1), 0)) + " ago"


def decimal(share: Fraction | None) -> Decimal | None:
    """A share as tables and series keep it."""
    return None if share is None else Decimal(share.numerator) / Decimal(share.denominator)


def assumed(look: Look) -> str:
    """The traffic assumed, at the beginning of a sentence; empty for the traffic that is."""
    factor = look.query.factor
    return "" if factor == 1 else f"At {factor.normalize():f} times the traffic: "


def listed(counts: Sequence[tuple[int, str]]) -> str:
    """Numbers with their words, without those of nothing: 12 by the rate limit, 1 by the ramp limit."""
    return ", ".join(f"{units.count(number)} by the {words}" for number, words in counts if number > 0)
