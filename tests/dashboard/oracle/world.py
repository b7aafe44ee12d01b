"""The world that pages are asked about: two projects, five weeks, a change of clocks, and all that pages show of it."""

import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from budgets.models import Budget
from ingest.models import BreakerTransition, ClientInstance, ProviderLimit, Quarantined
from metrics.windows import Window
from projects.models import Project
from tests import factories
from tests.metrics import world
from tests.metrics.oracle import Call

NOW = datetime(2026, 11, 22, 10, 7, 23, tzinfo=UTC)
"""A Sunday, within a minute and within every bucket."""
MINUTE, HOUR, DAY, WEEK = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1), timedelta(days=7)


def at(written: str) -> datetime:
    """An instant, in UTC unless it says otherwise."""
    found = datetime.fromisoformat(written)
    return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)


# Germany sets its clocks back on 25 October at 01:00 UTC.
CLOCKS = Window(at("2026-10-24T00:00+02:00"), at("2026-10-26T00:00+01:00"))
LATE = Window(at("2026-11-20T06:00"), at("2026-11-20T18:00"))
"""A third of the calls of this time arrive two days later."""
EMPTY = Window(at("2026-11-05T00:00"), at("2026-11-06T00:00"))
ERAS = (
    (Window(CLOCKS.start - WEEK, CLOCKS.end - WEEK), 60),
    (CLOCKS, 110),
    (Window(NOW - 3 * WEEK - DAY, NOW - 3 * WEEK), 40),
    (Window(NOW - 2 * WEEK - DAY, NOW - WEEK - DAY), 60),
    (Window(NOW - WEEK - DAY, NOW - WEEK), 110),
    (Window(NOW - WEEK, NOW - DAY), 70),
    (LATE, 40),
    (Window(NOW - DAY - 6 * HOUR, NOW - DAY), 60),
    (Window(NOW - DAY, NOW - HOUR), 120),
    (Window(NOW - HOUR, NOW), 100),
)
RECENT = NOW - HOUR
RECEIVED_EVERY = 2 * MINUTE
"""Clients send what they have so often; calls before the last hour have all been kept somewhere for a while."""

SONNET, HAIKU = "claude-sonnet-4-5-20250929", "claude-haiku-4-5-20251001"
LIMITS = {SONNET: (4_000, 2_000_000, 400_000), HAIKU: (1_000, 500_000, 90_000)}
MESSAGES = ("Request req_{n:020} failed after {n} ms", "Model '{n}' is busy", "", "No more than {n},000 tokens")
TEMPLATES = ("Request … failed after # ms", "Model '…' is busy", "", "No more than # tokens")
"""What is left of the messages when everything that differs from call to call is taken out."""


# What else failures of a kind may be.
KINDS = {
    "overloaded": ("overloaded", "overloaded", "server_error"),
    "rate_limit": ("rate_limit", "rate_limit", "ramp_limit", "spend_limit"),
    "budget_exceeded": ("budget_exceeded", "local_rate_limited"),
    "stream_interrupted": ("stream_interrupted", "invalid_output", "refusal"),
}


class Said(NamedTuple):
    """One score: a number or a word."""

    call: str
    name: str
    value: float | None
    word: str


class Change(NamedTuple):
    """One client's breaker, in the words of the wire."""

    client: int
    group: str
    at: datetime
    before: str
    after: str
    reason: str


@dataclass(frozen=True)
class World:
    """All there is; what is not of calls is of the project `library` alone."""

    calls: Sequence[Call]
    received: dict[str, datetime]
    """When each call arrived, by its id."""
    said: Sequence[Said]
    library: Project
    workshop: Project

    def of(self, slug: str) -> Project:
        return self.workshop if slug == self.workshop.slug else self.library


BOOTS = [UUID(int=(7 << 76) | (2 << 62) | number) for number in range(1, 4)]
STATES = ("closed", "open", "half_open")
CHANGES = (
    Change(0, "sonnet-4", NOW - 5 * HOUR, "closed", "open", "failure_share"),
    Change(0, "sonnet-4", NOW - 5 * HOUR + 40 * MINUTE, "open", "half_open", ""),
    Change(1, "sonnet-4", NOW - 5 * HOUR + 10 * MINUTE, "closed", "open", "shared"),
    Change(1, "sonnet-4", NOW - 5 * HOUR + 55 * MINUTE, "open", "closed", ""),
    Change(0, "sonnet-4", NOW - 5 * HOUR + 41 * MINUTE, "half_open", "closed", ""),
    Change(1, "haiku-4", NOW - 20 * MINUTE, "closed", "open", "overloaded"),
    Change(2, "haiku-4", NOW - 3 * DAY, "closed", "open", "rate_limit"),
)
GUARDS: tuple[dict[str, Any], ...] = (
    {
        "sonnet-4": {
            "breaker": "closed",
            "limiter": {
                "in_flight": 3,
                "waiting": 2,
                "concurrency": 8,
                "buckets": {"requests": {"limit": 400, "level": 100}, "input": {"limit": 9_000, "level": -5}},
            },
        }
    },
    {
        "sonnet-4": {
            "breaker": "closed",
            "limiter": {"in_flight": 4, "waiting": 0, "buckets": {"requests": {"limit": 600, "level": 500}}},
        },
        "haiku-4": {"breaker": "open"},
    },
    {"haiku-4": {"breaker": "open", "limiter": {"waiting": 7}}},
)


class Client(NamedTuple):
    """One process: first and last heard, events made, arrived, and given up by reason."""

    first: datetime
    last: datetime
    made: int
    here: int | None
    dropped: dict[str, int]


CLIENTS = (
    Client(NOW - 5 * DAY, NOW - timedelta(seconds=10), 1_000, 990, {"buffer_full": 4, "too_large": 1}),
    Client(NOW - 6 * HOUR, NOW - MINUTE, 500, 500, {}),
    Client(NOW - 4 * DAY, NOW - 50 * MINUTE, 70, None, {"buffer_full": 2, "gave_up": 9, "too_old": 0}),
)
# When, and why, an event was put aside.
ASIDE = ((NOW - HOUR, "too old"), (NOW - 2 * HOUR, "too old"), (NOW - 3 * HOUR, "in the future"), (NOW - 2 * DAY, "x"))
# Group and limiter, the limit, and when the Rate Limits API said so.
BY_API = (("sonnet-4", "output", 450_000, NOW - 20 * MINUTE), ("nobody-knows", "requests", 50, NOW - 2 * HOUR))
# Name, environment, feature, zone, amount. America sets its clocks back on 1 November, within the month.
BUDGETS = (
    ("All", "", "", "UTC", 4_000_000_000),
    ("Chat", "", "chat", "America/New_York", 900_000_000),
    ("Production search", "production", "search", "Europe/Berlin", 600_000_000),
)


def make() -> World:
    """Store everything through the doors it comes in by."""
    owners = [
        factories.project("library"),
        factories.project("workshop", infra_nanousd_per_request=1_000, infra_nanousd_per_token=7),
    ]
    calls = list(_dressed(world.calls(owners, seed=11, eras=ERAS)))
    said = list(_said(calls))
    received: dict[str, datetime] = {}
    _tell(owners, said[::3])
    older = [call for call in calls if call.at < RECENT]
    dice = random.Random(5)
    late = {call.id for call in older if LATE.contains(call.at) and dice.random() < 0.4}
    for start in range(0, len(older), 250):
        # A third of them twice; and all but the first ones after others of their time have been counted.
        _store([call for call in older[start : start + 250] if call.id not in late], RECENT, received)
        _store([call for call in older[max(0, start - 80) : start] if call.id not in late], RECENT, received)
        if start == 0:
            world.settle(now=RECENT)
    batches: dict[datetime, list[Call]] = defaultdict(list)
    for call in calls:
        if call.at >= RECENT:
            ended = call.at + timedelta(milliseconds=call.duration_ms)
            batches[min(ended + RECEIVED_EVERY - (ended - RECENT) % RECEIVED_EVERY, NOW)].append(call)
    for when, batch in sorted(batches.items()):
        _store(batch, when, received)
    _tell(owners, said)
    world.settle(now=NOW)
    _store([call for call in older if call.id in late], NOW, received)
    _beside(owners[0])
    world.settle(now=NOW)
    return World(calls, received, said, *owners)


def _dressed(calls: Sequence[Call]) -> Iterator[Call]:
    """More kinds of failures, attempts that failed on the way, other models that helped out, and headers."""
    dice = random.Random(3)
    for call in calls:
        error = dice.choice(KINDS.get(call.error, (call.error,)))
        message = dice.choice(MESSAGES).format(n=dice.randrange(1, 90)) if error else ""
        is_helped = call.source == "model_fallback"
        model, asked = (HAIKU, SONNET) if is_helped else (call.model, "")
        dressed = replace(call, error=error, message=message, model=model, asked=asked)
        yield replace(dressed, tried=_tried(dressed, dice), headers=_headers(dressed, dice))


def _tried(call: Call, dice: random.Random) -> tuple[str, ...]:
    """All attempts of a call that was refused in the end, and all but the last one of others."""
    is_refused = not call.is_answered and world.STATUSES.get(call.error) == 429
    number = call.attempts if is_refused else max(call.attempts - 1, 0)
    return tuple(dice.choice(("overloaded", "rate_limit", "ramp_limit")) for _ in range(number))


def _headers(call: Call, dice: random.Random) -> tuple[int, ...]:
    """Most answers tell the limits; in the last half hour more of them is used every minute."""
    limits = LIMITS.get(call.model, ()) if call.is_answered and call.attempts and dice.random() < 0.7 else ()
    used = 0.3 + 0.6 * max(0.0, 1 - (NOW - call.at) / (40 * MINUTE)) + 0.05 * dice.random()
    parts = (used, 0.4 * used, used)
    return tuple(
        number for limit, part in zip(limits, parts, strict=False) for number in (limit, limit - int(limit * part))
    )


def _said(calls: Sequence[Call]) -> Iterator[Said]:
    dice = random.Random(9)
    for call in calls:
        if dice.random() < 0.25:
            yield Said(call.id, "grade", dice.choice((1, 2.5, 4.1, 4.2, 5)), "")
        if dice.random() < 0.15:
            yield Said(call.id, "tone", None, dice.choice(("kind", "kind", "rude", "odd")))
        if dice.random() < 0.1:
            yield Said(call.id, "accepted", dice.choice((0, 1, 1)), "")


def _tell(owners: Sequence[Project], said: Sequence[Said]) -> None:
    """Told to both projects: that of the call counts it, in the other one there is no such call."""
    told = [
        {"call_id": one.call, "name": one.name, "at": NOW.isoformat()}
        | ({"label": one.word} if one.word else {"value": one.value})
        for one in said
    ]
    for owner in owners:
        factories.scored(owner, *told, now=NOW)


def _store(calls: Sequence[Call], now: datetime, received: dict[str, datetime]) -> None:
    world.store(calls, now=now)
    for call in calls:
        received.setdefault(call.id, now)


def _beside(owner: Project) -> None:
    """What is not of calls."""
    for number, client in enumerate(CLIENTS):
        ClientInstance.objects.create(
            project=owner,
            instance=f"web-{number}",
            boot_id=BOOTS[number],
            sdk="anthropic/2.12.0",
            first_seen_at=client.first,
            last_seen_at=client.last,
            emitted=client.made,
            received=client.here,
            dropped=client.dropped,
            guards=GUARDS[number],
        )
    for change in CHANGES:
        BreakerTransition.objects.create(
            project=owner,
            boot_id=BOOTS[change.client],
            instance=f"web-{change.client}",
            group=change.group,
            at=change.at,
            before=STATES.index(change.before),
            after=STATES.index(change.after),
            reason=change.reason,
        )
    for when, why in ASIDE:
        Quarantined.objects.create(
            project=owner, event_id=factories.call_id(when), received_at=when, reason=why, event=b"{}"
        )
    for group, limiter, limit, when in BY_API:
        ProviderLimit.objects.create(group=group, limiter=limiter, value=limit, read_at=when)
    for name, environment, feature, zone, amount in BUDGETS:
        Budget.objects.create(
            project=owner, name=name, environment=environment, feature=feature, zone=zone, amount_nanousd=amount
        )
