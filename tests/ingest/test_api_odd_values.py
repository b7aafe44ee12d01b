"""The door under odd values: whatever stands in a field, the answer is documented and a good sibling is stored."""

import json
import random
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from ingest import wire
from metrics.rollup import roll_up_minutes
from tests import factories

ROUNDS = 300
FIELDS = sorted(wire.Event.__struct_fields__)
ODD: tuple[Any, ...] = (
    *(None, True, -1, 0, 2**31 - 1, 2**31, 2**63 - 1, 2**63, 10**30, 1e308, -5e-324, float("nan"), float("inf")),
    *("", "x" * 300, "\x00", "\ud800", "2026-11-22T10:00:00+25:00", "ffffffff-ffff-7fff-bfff-ffffffffffff"),
    *([], [1], {}, {"a": 1}, {"\x00": "\x00"}, {"\ud800": float("nan")}, {"k" * 64: 1e308}),
    {"input_tokens": 2**31 - 1, "output_tokens": 2**31 - 1, "cache_creation_input_tokens": 2**31 - 1},
    {"iterations": [{"type": "advisor_message", "model": "\ud800", "input_tokens": 2**31 - 1}] * 2},
    {"server_tool_use": {"web_search_requests": 40_000}},
    [{"n": 1, "wait_ms": 2**31 - 1, "retry_after_s": 1e9, "category": "\x00"}] * 20,
    {"input": "\x00", "output": "{not json", "redactions": {"e": 2**63 - 1}},
    {"category": "overloaded", "message": "\ud800" * 500, "status": 999},
    {"valid": True, "repairs": 100},
    {"key": "\x00", "unit": "tokens", "spent": 2**63 - 1, "limit": 0},
    {"input": "f" * 64, "output": "0" * 64},
    {"sonnet\x00": {"breaker": "open", "limiter": {"\ud800": 1e308, "b": {"c": 10**400}}}, "": 5, "x" * 200: {}},
    [{"at": "2026-11-22T10:00:00Z", "group": "\ud800", "before": "open", "after": "closed", "retry_in_s": 1e308}],
)


def odd_batches(now: datetime) -> Iterator[dict[str, Any]]:
    """A bad event and a good one; every third batch with a report that may be as odd."""
    dice = random.Random(20261123)
    for number in range(ROUNDS):
        bad = factories.event(now) | {name: dice.choice(ODD) for name in dice.sample(FIELDS, dice.choice((1, 1, 2, 3)))}
        batch: dict[str, Any] = {"events": [bad, factories.event(now)]}
        if number % 3 == 0:
            dropped = dice.choice(({}, {"a": 2**63 - 1}, {"\x00": 1}, {"\ud800": 1}, {"a": -1}, dice.choice(ODD)))
            report = {"instance": "a", "boot_id": batch["events"][1]["id"], "emitted": 2**63 - 1, "dropped": dropped}
            report |= {name: dice.choice(ODD) for name in ("guards", "transitions")}
            batch["client"] = dice.choice((report, report, dice.choice(ODD)))
        if number % 2 == 0:
            score = {"call_id": bad["id"], "name": "liked", "value": 1, "at": bad["started_at"]}
            odd = {name: dice.choice(ODD) for name in dice.sample((*score, "label", "comment"), 2)}
            good = score | {"call_id": batch["events"][1]["id"], "at": batch["events"][1]["started_at"]}
            batch["scores"] = [score | odd, good]
        yield batch


@pytest.mark.django_db
def test_whatever_stands_in_a_field_the_answer_is_documented_and_the_good_sibling_is_stored() -> None:
    now = timezone.now()
    _, token = factories.key(factories.project())
    client = Client(raise_request_exception=False, headers={"Authorization": f"Bearer {token}"})
    seen = {200: 0, 400: 0}
    for batch in odd_batches(now):
        answer = client.post("/api/v1/events", json.dumps(batch), content_type="application/json")
        assert answer.status_code in seen, batch
        seen[answer.status_code] += 1
        told = answer.json()
        if answer.status_code == 400:
            assert told["field"].startswith("client"), batch
            continue
        bad_scores = [one for one in told["rejected"] if one["field"].startswith("scores")]
        bad_events = [one for one in told["rejected"] if one not in bad_scores]
        assert told.get("scores_accepted", 0) + len(bad_scores) == len(batch.get("scores", ())), batch
        assert "scores" not in batch or told["scores_accepted"] >= 1, batch
        others = told["duplicates"] + told["conflicts"] + told["quarantined"] + len(bad_events)
        assert told["accepted"] >= 1, batch
        assert told["accepted"] + others == 2, batch
        assert all(one["index"] == 0 and one["field"] and one["reason"] for one in told["rejected"]), batch
    assert min(seen.values()) > 0
    assert roll_up_minutes(now=now) > 0
