"""Limits by hand, and against an oracle in plain Python over the events that were sent."""

import random
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone

from ingest.models import ProviderLimit
from metrics.limit_rows import REFUSED, Share
from metrics.limits import Headroom, Limit, Told, headroom
from metrics.rollup import rebuild, roll_up_hours, roll_up_minutes
from metrics.windows import Window, floor
from projects.models import Project
from tests import factories
from tests.factories import NOW
from tests.metrics import rollups

pytestmark = [pytest.mark.django_db, pytest.mark.storage]
MINUTE, SECOND = timedelta(minutes=1), timedelta(seconds=1)
DAY = Window(NOW - timedelta(days=1), NOW)
SONNET, HAIKU = "claude-sonnet-4-5-20250929", "claude-haiku-4-5-20251001"


def limits(requests: int | None = None, input_: int | None = None, output: int | None = None) -> dict[str, int]:
    """The headers of limits of 100 requests, 10,000 input and 2,000 output tokens, with so many left."""
    left = {"requests": (100, requests), "input": (10_000, input_), "output": (2_000, output)}
    return {
        f"{name}_{what}": value
        for name, (limit, remaining) in left.items()
        if remaining is not None
        for what, value in (("limit", limit), ("remaining", remaining))
    }


def look(owner: Project, window: Window = DAY, bucket: timedelta = 15 * MINUTE, **asked: Any) -> Headroom:
    return headroom(owner.pk, window, bucket, **({"now": NOW} | asked))


def of(found: Headroom, group: str, limiter: str) -> Limit:
    [limit] = [one for one in found.limits if (one.group, one.limiter) == (group, limiter)]
    return limit


def send(owner: Project, *events: dict[str, Any], now: datetime = NOW, **origin: Any) -> None:
    factories.stored(owner, *events, now=now, **origin)
    roll_up_minutes(now=now)


def test_the_newest_answer_says_what_the_limit_is_and_what_is_left() -> None:
    owner = factories.project()
    # The longer call began first and was answered last: 20 s before now, 700 of 2,000 left.
    send(
        owner,
        factories.event(NOW - 50 * SECOND, duration_ms=30_000, ttft_ms=None, limits=limits(90, 9_000, 700)),
        factories.event(NOW - 40 * SECOND, duration_ms=1_000, ttft_ms=None, limits=limits(80, 8_000, 500)),
    )
    found = look(owner)
    assert [(one.group, one.limiter) for one in found.limits] == [
        ("sonnet-4", name) for name in ("requests", "input", "output")
    ]
    assert of(found, "sonnet-4", "output").told == Told(2_000, NOW - 20 * SECOND, "headers", 700)
    # The fullest of the minute is another one: 1,500 of 2,000 used. Counted are 2 x 20 tokens.
    assert of(found, "sonnet-4", "output").now == Share(Fraction(3, 4), Fraction(1, 50))
    assert of(found, "sonnet-4", "requests").now == Share(Fraction(1, 5), Fraction(1, 50))


def test_use_is_counted_by_the_minute_without_what_the_cache_read() -> None:
    owner = factories.project()
    usage = {
        "input_tokens": 1_000,
        "output_tokens": 300,
        "cache_read_input_tokens": 50_000,
        "cache_creation": {"ephemeral_5m_input_tokens": 200, "ephemeral_1h_input_tokens": 50},
    }
    at = NOW - 10 * MINUTE
    events = [factories.event(at + n * SECOND, usage=usage, limits=limits(99, 10_000, 2_000)) for n in range(3)]
    send(owner, *events, factories.event(NOW - 2 * MINUTE, limits=limits(99, 10_000, 2_000)))
    found = look(owner)
    # Three calls of 1,250 in one minute: 3,750 of 10,000; 900 of 2,000; and 3 of 100.
    assert of(found, "sonnet-4", "input").peak.counted == Fraction(375, 1_000)
    assert of(found, "sonnet-4", "output").peak.counted == Fraction(45, 100)
    assert of(found, "sonnet-4", "requests").peak == Share(Fraction(1, 100), Fraction(3, 100))
    # In the last five minutes there was one call of 100 tokens.
    assert of(found, "sonnet-4", "input").now == Share(Fraction(0), Fraction(1, 100))


def test_minutes_without_a_call_are_nought_and_those_not_counted_yet_unknown() -> None:
    owner = factories.project()
    send(owner, factories.event(NOW - 3 * MINUTE, limits=limits(output=1_000)))
    limit = of(look(owner), "sonnet-4", "output")
    assert limit.minutes == (
        *[Share(counted=Fraction(0))] * 57,
        Share(Fraction(1, 2), Fraction(1, 100)),
        *[Share(counted=Fraction(0))] * 2,
    )
    # A call that came two minutes ago, and is not counted yet: nothing received since then is known.
    factories.stored(owner, factories.event(NOW - 2 * MINUTE), now=NOW - 2 * MINUTE)
    late = of(look(owner), "sonnet-4", "output")
    assert late.minutes[-2:] == (Share(), Share())
    assert late.now == limit.now


def test_models_of_a_group_share_a_limit_and_fast_calls_have_their_own() -> None:
    owner = factories.project()
    at = NOW - 2 * MINUTE
    send(
        owner,
        factories.event(at, model="claude-opus-5", usage={"output_tokens": 500}, limits=limits(output=1_500)),
        factories.event(at, model="claude-opus-5-5", usage={"output_tokens": 700}, limits=limits(output=800)),
        factories.event(
            at, model="claude-opus-5", usage={"output_tokens": 90, "speed": "fast"}, limits=limits(output=100)
        ),
        factories.event(at, model="claude-opus-5", usage={"output_tokens": 999, "service_tier": "batch"}),
    )
    found = look(owner)
    assert of(found, "opus-5", "output").now == Share(Fraction(6, 10), Fraction(6, 10))
    assert of(found, "opus-5 fast", "output").now == Share(Fraction(95, 100), Fraction(45, 1_000))
    assert {one.group for one in look(owner, model="claude-opus-5-5").limits} == {"opus-5", "opus-5 fast"}
    assert look(owner, model="claude-haiku-5").limits == ()


def test_refusals_are_told_apart_and_those_tried_again_are_counted() -> None:
    owner = factories.project()

    def attempts(*categories: str | None) -> list[dict[str, Any]]:
        return [{"n": n, "category": word} for n, word in enumerate(categories, 1)]

    at = NOW - 20 * MINUTE
    send(
        owner,
        # Answered in the end by another model, after two refusals of the one asked for.
        factories.event(at, model=HAIKU, outcome="degraded", attempts=attempts("rate_limit", "rate_limit", None)),
        factories.failed("rate_limit", 429, at, attempts=attempts("rate_limit", "overloaded", "rate_limit")),
        factories.failed("ramp_limit", 429, at + MINUTE),
        factories.failed("spend_limit", 429, NOW - MINUTE, attempts=[]),
        factories.failed("local_rate_limited", None, NOW - 4 * MINUTE, outcome="rejected", attempts=[]),
        factories.failed("overloaded", 529, at),
        factories.event(NOW - MINUTE, limits=limits(99)),
    )
    found = look(owner)
    assert found.refusals["sonnet-4"].counts == {
        "rate_limits": 4,
        "ramp_limits": 1,
        "spend_limits": 1,
        "own_refusals": 1,
    }
    assert found.refusals["haiku-4"].counts == dict.fromkeys(REFUSED, 0)
    assert found.in_range.by_provider == 6
    assert found.just_now.counts == {"rate_limits": 0, "ramp_limits": 0, "spend_limits": 1, "own_refusals": 1}
    place = found.starts.index(floor(at, 15 * MINUTE))
    assert found.refused["rate_limits"][place] == 4
    assert sum(value or 0 for value in found.refused["rate_limits"]) == 4


def test_what_waited_is_counted_with_the_longest_wait() -> None:
    owner = factories.project()
    at = NOW - 20 * MINUTE
    waits = (0, 40, 500, None)
    send(owner, *(factories.event(at + n * MINUTE, queue_ms=wait, limits=limits(9)) for n, wait in enumerate(waits)))
    found = look(owner).in_range
    assert (found.waits, found.wait_ms, found.longest_wait_ms) == (2, 540, 500)


def test_the_provider_api_knows_limits_no_answer_has_told() -> None:
    owner = factories.project()
    send(owner, factories.event(NOW - MINUTE, usage={"output_tokens": 100}, limits=limits(90)))
    read_at = NOW - 2 * MINUTE
    for limiter, value in (("requests", 100), ("output", 400), ("input", 8_000)):
        ProviderLimit.objects.create(group="sonnet-4", limiter=limiter, value=value, read_at=read_at)
    found = look(owner)
    assert of(found, "sonnet-4", "output").told == Told(400, read_at, "api")
    assert of(found, "sonnet-4", "output").now == Share(None, Fraction(1, 4))
    # Both say a hundred requests: no disagreement, and the younger one counts.
    assert of(found, "sonnet-4", "requests").told.by == "headers"
    assert of(found, "sonnet-4", "requests").disagreement is None


def test_the_newest_source_counts_and_the_other_is_told() -> None:
    owner = factories.project()
    send(owner, factories.event(NOW - 3 * MINUTE, ttft_ms=None, duration_ms=0, limits=limits(output=1_000)))
    limit = ProviderLimit.objects.create(group="sonnet-4", limiter="output", value=4_000, read_at=NOW - MINUTE)
    found = of(look(owner), "sonnet-4", "output")
    assert found.told == Told(4_000, NOW - MINUTE, "api")
    assert found.disagreement == Told(2_000, NOW - 3 * MINUTE, "headers", 1_000)
    limit.delete()
    ProviderLimit.objects.create(group="sonnet-4", limiter="output", value=4_000, read_at=NOW - 9 * MINUTE)
    found = of(look(owner), "sonnet-4", "output")
    assert (found.told.limit, found.disagreement) == (2_000, Told(4_000, NOW - 9 * MINUTE, "api"))


def test_projects_and_environments_are_kept_apart() -> None:
    one, two = factories.project(), factories.project()
    send(one, factories.event(NOW - MINUTE, limits=limits(output=1_000)), environment="production")
    send(one, factories.event(NOW - MINUTE, limits=limits(output=500)), environment="staging")
    send(two, factories.event(NOW - MINUTE, limits=limits(output=200)))
    assert of(look(one), "sonnet-4", "output").now.told == Fraction(3, 4)
    assert of(look(one, environment="production"), "sonnet-4", "output").now.told == Fraction(1, 2)
    assert of(look(two), "sonnet-4", "output").now.told == Fraction(9, 10)
    assert look(one, environment="nowhere").limits == ()
    assert look(factories.project()).limits == ()


def test_a_steady_rise_says_when_the_limit_is_full_and_more_traffic_sooner() -> None:
    owner = factories.project()
    # 20 tokens a minute more, a hundredth of 2,000: 1 % at minute 0, 30 % at minute 29, so 100 % at minute 99.
    events = [
        factories.event(NOW - (30 - n) * MINUTE, usage={"output_tokens": 20 * (n + 1)}, limits=limits(output=2_000))
        for n in range(30)
    ]
    send(owner, *events)
    limit = of(look(owner), "sonnet-4", "output")
    assert limit.minutes_left() == pytest.approx(99 - 30)
    # Twice the traffic: 2 % at minute 0 and 2 points a minute: full at minute 49.
    assert limit.minutes_left(Fraction(2)) == pytest.approx(49 - 30)


def test_a_range_that_is_over_is_told_as_it_stood_at_its_end() -> None:
    owner = factories.project()
    end = NOW - timedelta(hours=3)
    send(
        owner,
        factories.event(end - 2 * MINUTE, limits=limits(output=100)),
        factories.event(NOW - MINUTE, limits=limits(output=2_000)),
    )
    found = look(owner, Window(end - timedelta(hours=1), end), MINUTE)
    assert found.at == end
    assert of(found, "sonnet-4", "output").told.remaining == 100
    assert of(found, "sonnet-4", "output").now.told == Fraction(95, 100)
    assert of(found, "sonnet-4", "output").series[-2].told == Fraction(95, 100)


def test_late_calls_and_rebuilt_minutes_leave_what_the_calls_say() -> None:
    owner = factories.project()
    send(owner, factories.event(NOW - 90 * MINUTE, limits=limits(output=500)))
    send(owner, factories.event(NOW - 90 * MINUTE, limits=limits(output=100)), now=NOW + MINUTE)
    before = rollups.rows("SELECT * FROM limit_minute ORDER BY environment_id")
    # One row for its environment, one for all of them.
    assert list(rollups.rows("SELECT attempts, output_peak, output_tokens FROM limit_minute")) == [(2, 950_000, 40)] * 2
    rebuild(owner.pk, DAY, now=NOW)
    roll_up_minutes(now=NOW + MINUTE)
    assert rollups.rows("SELECT * FROM limit_minute ORDER BY environment_id") == before


def test_an_upgrade_counts_the_days_before_it() -> None:
    owner, now = factories.project(), timezone.now()
    old, recent = now - timedelta(days=6), now - 3 * MINUTE
    for at in (old, recent):
        factories.stored(owner, factories.event(at, limits=limits(output=500)), now=now)
    roll_up_minutes(now=now)
    roll_up_hours(now=now)
    call_command("migrate", "metrics", "0004", verbosity=0)
    call_command("migrate", "metrics", verbosity=0)
    roll_up_minutes(now=now)
    found = rollups.rows("SELECT bucket, output_peak FROM limit_minute WHERE environment_id = 0 ORDER BY 1")
    assert found == [(floor(at, MINUTE), 750_000) for at in (old, recent)]


# --- the oracle


def used(event: dict[str, Any], limiter: str) -> int:
    usage = event.get("usage") or {}
    if limiter == "requests":
        return len(event["attempts"])
    return int(usage.get(f"{limiter}_tokens", 0)) if event["attempts"] else 0


def told(event: dict[str, Any], limiter: str) -> Fraction | None:
    said = event.get("limits") or {}
    if f"{limiter}_limit" not in said:
        return None
    return Fraction(
        int(Fraction(1_000_000) * (said[f"{limiter}_limit"] - said[f"{limiter}_remaining"]) / said[f"{limiter}_limit"]),
        1_000_000,
    )


def fullest(events: Sequence[dict[str, Any]], limiter: str, limit: int) -> Share:
    by_minute: dict[datetime, list[dict[str, Any]]] = defaultdict(list)
    for event in events:
        by_minute[floor(datetime.fromisoformat(event["started_at"]), MINUTE)].append(event)
    said = [share for event in events if (share := told(event, limiter)) is not None]
    counted = [
        Fraction(sum(used(event, limiter) for event in minute) * 1_000_000 // limit, 1_000_000)
        for minute in by_minute.values()
    ]
    return Share(max(said, default=None), max(counted, default=Fraction(0)))


def events(dice: random.Random, number: int) -> Iterable[dict[str, Any]]:
    for _ in range(number):
        at = NOW - timedelta(milliseconds=dice.randrange(1, 6 * 3_600_000))
        usage = {"input_tokens": dice.randrange(4_000), "output_tokens": dice.randrange(900)}
        model = dice.choice((SONNET, HAIKU))
        left = (
            limits(dice.randrange(101), dice.randrange(10_001), dice.randrange(2_001)) if dice.random() < 0.8 else None
        )
        kind = dice.random()
        if kind < 0.8:
            yield factories.event(at, model=model, model_requested=model, usage=usage, limits=left)
        else:
            category, status = ("rate_limit", 429) if kind < 0.9 else ("local_rate_limited", None)
            attempts = [{"n": 1, "category": category}] if status else []
            yield factories.failed(
                category,
                status,
                at,
                model_requested=model,
                attempts=attempts,
                outcome="error" if status else "rejected",
            )


def test_a_day_of_random_calls_agrees_with_the_oracle_in_every_bucket() -> None:
    dice = random.Random(11)
    owner, other = factories.project(), factories.project()
    sent = list(events(dice, 400))
    send(owner, *sent[:250])
    send(owner, *sent[250:])
    send(other, *events(dice, 100))
    step = 15 * MINUTE
    found = look(owner, Window(NOW - timedelta(hours=8), NOW), step)
    for group, model in (("sonnet-4", SONNET), ("haiku-4", HAIKU)):
        mine = [event for event in sent if event.get("model", event["model_requested"]) == model]
        for limiter, limit in (("requests", 100), ("input", 10_000), ("output", 2_000)):
            got = of(found, group, limiter)
            for start, share in zip(found.starts, got.series, strict=True):
                inside = [e for e in mine if start <= datetime.fromisoformat(e["started_at"]) < start + step]
                assert share == fullest(inside, limiter, limit), (group, limiter, start)
            hour = [e for e in mine if datetime.fromisoformat(e["started_at"]) >= NOW - 60 * MINUTE]
            assert got.peak == fullest(hour, limiter, limit)
        refused = [e["error"]["category"] for e in mine if "error" in e]
        assert found.refusals[group].counts["rate_limits"] == refused.count("rate_limit")
        assert found.refusals[group].counts["own_refusals"] == refused.count("local_rate_limited")
    assert {start.tzinfo for start in found.starts} == {UTC}
