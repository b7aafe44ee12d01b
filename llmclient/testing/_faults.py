"""Which calls of the traffic model go wrong, how, and when: rates, modes and scheduled incidents."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Final


class Faults(StrEnum):
    """How much may go wrong.

    With OFF and RETRIED every call ends with the full usage of its trace row, so the totals are the trace's. RETRIED
    lets attempts before the answer fail (nothing is billed for those) and answers be refused or cut short (billed in
    full). ALL lets calls fail for good and streams break off, and then the totals are smaller.
    """

    OFF = "off"
    RETRIED = "retried"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class Rates:
    """Shares of calls (0..1). The first five strike an attempt, the rest the whole call."""

    rate_limit: float = 0.008
    overloaded: float = 0.010
    server_error: float = 0.003
    timeout: float = 0.002
    connection: float = 0.002
    refusal: float = 0.003
    truncated: float = 0.010
    interrupted: float = 0.002
    invalid_request: float = 0.001
    given_up: float = 0.12
    """Of the calls with a failed attempt: those where every attempt fails."""


class Trouble(StrEnum):
    """Kinds of incidents."""

    LATENCY_CREEP = "latency creep"  # severity: the factor on latency reached at the end
    RATE_LIMITS = "429 wave"  # severity: share of calls with a rate-limited attempt
    ERRORS = "error burst"  # severity: share of calls with an overloaded or failing attempt
    COST_SPIKE = "cost spike"  # severity: the factor on input tokens of one feature; only where tokens are made up


@dataclass(frozen=True, slots=True)
class Incident:
    """Something that goes wrong in [start, end)."""

    trouble: Trouble
    start: datetime
    end: datetime
    severity: float

    def runs_at(self, at: datetime) -> bool:
        return self.start <= at < self.end


@dataclass(frozen=True, slots=True)
class Fate:
    """What one call meets: failing attempts, then either its answer (`reply` laid over it) or nothing."""

    failures: tuple[Mapping[str, Any], ...] = ()
    reply: Mapping[str, Any] | None = None
    """None: it is never answered."""


FINE: Final = Fate(reply={})
# As many failing attempts as no client's patience outlasts.
FOR_GOOD: Final = 10
ATTEMPT_FAULTS: Final = ("rate_limit", "overloaded", "server_error", "timeout", "connection")
BREAKS: Final = ("error", "eof", "reset")


def rates_at(rates: Rates, incidents: Sequence[Incident], at: datetime) -> Rates:
    """The rates in force at `at`: an incident raises those of its kind, and fewer retries help."""
    for incident in incidents:
        if incident.runs_at(at) and incident.trouble is Trouble.RATE_LIMITS:
            rates = replace(rates, rate_limit=incident.severity, given_up=0.45)
        if incident.runs_at(at) and incident.trouble is Trouble.ERRORS:
            half = incident.severity / 2
            rates = replace(rates, overloaded=half, server_error=half, given_up=0.6)
    return rates


def latency_factor(incidents: Sequence[Incident], at: datetime) -> float:
    """How many times slower than usual calls are at `at`: a creep grows linearly from 1 to its severity."""
    factor = 1.0
    for incident in incidents:
        if incident.runs_at(at) and incident.trouble is Trouble.LATENCY_CREEP:
            factor *= 1 + (incident.severity - 1) * ((at - incident.start) / (incident.end - incident.start))
    return factor


def deal(faults: Faults, rates: Rates, dice: random.Random, *, stream: bool) -> Fate:
    """Draw what one call meets. Always rolls the same number of times before the first branch."""
    roll, depth, final = dice.random(), dice.random(), dice.random()
    if faults is Faults.OFF:
        return FINE
    for name in ATTEMPT_FAULTS:
        chance = getattr(rates, name)
        if roll < chance:
            if faults is Faults.ALL and final < rates.given_up:
                return Fate((_failure(name),) * FOR_GOOD, None)
            # A timeout may be billed, so it is tried again once only.
            return Fate((_failure(name),) * (2 if depth < 0.2 and name != "timeout" else 1), {})
        roll -= chance
    if roll < rates.refusal:
        return Fate(reply={"stop_reason": "refusal", "stop_category": "general_harms", "text": ""})
    roll -= rates.refusal
    if roll < rates.truncated:
        return Fate(reply={"stop_reason": "max_tokens"})
    roll -= rates.truncated
    if faults is Faults.RETRIED:
        return FINE
    if roll < rates.interrupted and stream:
        return Fate(reply={"breaks": BREAKS[int(depth * len(BREAKS))], "break_after": 1 + int(final * 3)})
    roll -= rates.interrupted
    if 0 <= roll < rates.invalid_request:
        too_long = "prompt is too long: 1000112 tokens > 1000000 maximum"
        return Fate(({"status": 400, "message": too_long, "delay": 0.08},) * FOR_GOOD, None)
    return FINE


def _failure(name: str) -> Mapping[str, Any]:
    steps: dict[str, Mapping[str, Any]] = {
        "rate_limit": {"status": 429, "retry_after": 1.0, "delay": 0.09},
        "overloaded": {"status": 529, "delay": 0.25},
        "server_error": {"status": 500, "delay": 1.4},
        "timeout": {"status": 504, "delay": 8.0},
        "connection": {"hang_up": True, "delay": 0.5},
    }
    return steps[name]
