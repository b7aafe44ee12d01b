"""A small world of calls: two projects, several environments, everything a call can be, over seven weeks."""

import random
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from metrics.rollup import roll_up_hours, roll_up_minutes
from metrics.windows import Window
from projects.models import Project
from tests import factories
from tests.factories import NOW
from tests.metrics.oracle import Call

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
MIDNIGHT = NOW.replace(hour=0)
# A closed month, days without minutes, days with minutes, the last hours with the open one. Days between are empty.
ERAS = (
    (Window(MIDNIGHT - 43 * DAY, MIDNIGHT - 40 * DAY), 150),
    (Window(MIDNIGHT - 5 * DAY, MIDNIGHT - 3 * DAY), 150),
    (Window(MIDNIGHT - 3 * DAY, MIDNIGHT), 200),
    (Window(NOW - 3 * HOUR, NOW), 200),
)
# Error categories of failed calls, with the status the provider answered; without one nobody knows what was billed.
FAILURES = (
    ("error", "overloaded", 529),
    ("error", "rate_limit", 429),
    ("error", "timeout", None),
    ("error", "truncated", None),
    ("error", "stream_interrupted", 200),
    ("rejected", "budget_exceeded", None),
    ("cancelled", "cancelled", None),
)


STATUSES = {
    "overloaded": 529,
    "rate_limit": 429,
    "ramp_limit": 429,
    "spend_limit": 429,
    "server_error": 500,
    **dict.fromkeys(("stream_interrupted", "invalid_output", "refusal"), 200),
}
HEADERS = tuple(f"{limiter}_{what}" for limiter in ("requests", "input", "output") for what in ("limit", "remaining"))


# Who may have answered: the model asked for or the client's cache; a stand-in.
SOURCES = {
    "ok": ("api", "api", "api", "cache"),
    "degraded": ("model_fallback", "model_fallback", "stale_cache", "rule", "deferred", "notice"),
}


def projects() -> list[Project]:
    """Two projects; the second one adds its own costs to each call."""
    return [
        factories.project("reading"),
        factories.project("writing", infra_nanousd_per_request=1_000, infra_nanousd_per_token=7),
    ]


Eras = Sequence[tuple[Window, int]]
"""How many calls are made in which time."""


def calls(owners: Sequence[Project], seed: int = 7, eras: Eras = ERAS) -> list[Call]:
    """The same calls for the same seed, in no order of time."""
    dice = random.Random(seed)
    made = [
        _call(dice, owner, window.start + timedelta(milliseconds=dice.randrange(int(window.seconds * 1000))))
        for owner in owners
        for window, count in eras
        for _ in range(count)
    ]
    dice.shuffle(made)
    return made


def _call(dice: random.Random, owner: Project, at: datetime) -> Call:
    outcome, error, status = dice.choice(FAILURES) if dice.random() < 0.25 else ("ok", "", 200)
    answered = outcome == "ok"
    if answered and dice.random() < 0.1:
        outcome = "degraded"
    # The rest was begun, and may have been billed: half of the clients know for how much.
    source = dice.choice(SOURCES[outcome]) if answered else "api"
    is_billed = source in {"api", "model_fallback"} if answered else status in (None, 200) and dice.random() < 0.5
    is_billed = is_billed and outcome != "rejected"
    tokens = tuple(dice.randrange(most) if is_billed else 0 for most in (5_000, 900, 3_000, 500, 500))
    if is_billed and dice.random() < 0.4:
        tokens = (*tokens[:2], 0, *tokens[3:])
    attempts = 0 if outcome == "rejected" or source not in {"api", "model_fallback"} else dice.choice((1, 1, 1, 2, 3))
    prompt = dice.randrange(6)
    return Call(
        id=str(factories.call_id(at)),
        project_id=owner.pk,
        at=at,
        environment=dice.choice(("production", "production", "staging")),
        feature=("search", "chat", "")[prompt // 2],
        prompt_type=f"prompt-{prompt}",
        prompt_version=dice.choice(("1", "2")),
        model=dice.choice(("claude-sonnet-4-5-20250929", "claude-haiku-4-5-20251001", "nobody-knows-me")),
        user_id=dice.choice(("", "ada", "bea", "cid", "dan")),
        outcome=outcome,
        error=error,
        stop_reason=dice.choice(("end_turn", "end_turn", "max_tokens", "refusal", "tool_use")) if answered else "",
        attempts=attempts,
        duration_ms=int(dice.lognormvariate(7, 1.2)),
        ttft_ms=int(dice.lognormvariate(5, 1)) if answered and dice.random() < 0.7 else None,
        queue_ms=dice.choice((None, 0, 0, 40, 250)),
        tokens=tokens,
        usage_known=outcome == "rejected" or (status is not None and status >= 400),
        infra_nanousd=owner.infra_nanousd_per_request + owner.infra_nanousd_per_token * sum(tokens),
        release=dice.choice(("1.0", "1.0", "1.1", "")),
        # Named by the last attempt, so a call without one has none.
        key=dice.choice(("main", "spare", "")) if attempts else "",
        stream=dice.random() < 0.5,
        source=source,
        valid=dice.choice((None, True, True, False)) if answered else None,
        repairs=dice.choice((None, 0, 0, 1, 2)) if answered else None,
        is_billed=is_billed,
    )


def wire(call: Call) -> dict[str, Any]:
    """The call as its client would send it."""
    status = STATUSES.get(call.error)
    names = ("input_tokens", "output_tokens", "cache_read_input_tokens")
    usage: dict[str, Any] = dict(zip(names, call.tokens, strict=False))
    usage["cache_creation_input_tokens"] = call.tokens[3] + call.tokens[4]
    usage["cache_creation"] = {"ephemeral_5m_input_tokens": call.tokens[3], "ephemeral_1h_input_tokens": call.tokens[4]}
    attempt: dict[str, Any] = {"duration_ms": 10, "status": 200 if call.is_answered else status}
    if call.key:
        attempt["key_alias"] = call.key
    attempts = [{"n": n, **attempt} for n in range(1, call.attempts + 1)]
    for made, category in zip(attempts, call.tried, strict=False):
        made.update(category=category, status=STATUSES.get(category))
    return factories.event(
        call.at,
        id=call.id,
        feature=call.feature or None,
        prompt_type=call.prompt_type,
        prompt_version=call.prompt_version,
        model=call.model,
        model_requested=call.asked or call.model,
        user_id=call.user_id or None,
        outcome=call.outcome,
        error={"category": call.error, "status": status, "message": call.message} if call.error else None,
        stop_reason=call.stop_reason or None,
        attempts=attempts,
        limits=dict(zip(HEADERS, call.headers, strict=True)) if call.headers else None,
        duration_ms=call.duration_ms,
        ttft_ms=call.ttft_ms,
        queue_ms=call.queue_ms,
        usage=usage if call.is_billed else None,
        release=call.release or None,
        stream=call.stream,
        source=call.source,
        quality=None if call.valid is None and call.repairs is None else {"valid": call.valid, "repairs": call.repairs},
    )


def store(some: Iterable[Call], *, now: datetime = NOW) -> None:
    """Through the door all calls come in by, one batch per key."""
    batches: dict[tuple[int, str], list[Call]] = defaultdict(list)
    for call in some:
        batches[call.project_id, call.environment].append(call)
    for (project, environment), batch in batches.items():
        owner = Project.objects.get(pk=project)
        factories.stored(owner, *(wire(call) for call in batch), environment=environment, now=now)


def settle(*, now: datetime = NOW) -> None:
    """Roll up all there is, the open day and month included, as the periodic work does in time."""
    roll_up_minutes(now=now)
    roll_up_hours(now=now + timedelta(minutes=6))


def live_through(made: Sequence[Call]) -> None:
    """Store calls in the order given, rolling up in between, so that most are late; and a third of them twice."""
    for start in range(0, len(made), 200):
        store(made[start : start + 200])
        store(made[max(0, start - 60) : start + 60])
        settle()
