"""What processes say of their limiters, added up by hand; and nonsense, which is unknown and costs nothing."""

from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any
from uuid import UUID

import pytest

from ingest.models import ClientInstance
from metrics.capacity import MOST_GROUPS, Capacity, Stand, capacity
from projects.models import Project
from tests import factories
from tests.factories import NOW

pytestmark = pytest.mark.django_db


def process(owner: Project, number: int, guards: dict[str, Any], seen: datetime = NOW) -> None:
    ClientInstance.objects.create(
        project=owner,
        instance=f"web-{number}",
        boot_id=UUID(int=number),
        first_seen_at=seen,
        last_seen_at=seen,
        guards=guards,
    )


def limiter(waiting: int, in_flight: int, **buckets: tuple[int, int]) -> dict[str, Any]:
    told = {name: {"limit": limit, "level": level, "reserved": 0} for name, (level, limit) in buckets.items()}
    return {"in_flight": in_flight, "waiting": waiting, "concurrency": 10, "blocked_for": 0.0, "buckets": told}


def test_what_processes_say_is_added_up_by_group() -> None:
    owner = factories.project()
    process(
        owner, 1, {"sonnet-5": {"breaker": "closed", "limiter": limiter(2, 3, output=(100, 400), input=(-50, 1_000))}}
    )
    process(
        owner,
        2,
        {
            "sonnet-5": {"breaker": "open", "limiter": limiter(1, 0, output=(300, 400))},
            "haiku-4": {"breaker": "half_open"},
        },
    )
    process(owner, 3, {})
    # Silent for too long, and somebody else's.
    process(owner, 4, {"sonnet-5": {"limiter": limiter(99, 99)}}, seen=NOW - timedelta(seconds=121))
    process(factories.project(), 5, {"opus-5": {"limiter": limiter(99, 99)}})
    sonnet = Stand("sonnet-5", 2, 1, 3, 3, 20, {"output": Fraction(1, 2), "input": Fraction(0)})
    haiku = Stand("haiku-4", 1, 1, None, None, None, {})
    found = capacity(owner.pk, now=NOW)
    assert found == Capacity(3, 2, (sonnet, haiku))
    assert found.waiting == 3


def test_no_process_says_nothing() -> None:
    found = capacity(factories.project().pk, now=NOW)
    assert found == Capacity(0, 0, ())
    assert found.waiting is None


def test_nonsense_is_unknown() -> None:
    owner = factories.project()
    process(owner, 1, {"a": {"limiter": {"waiting": {"x": 1}, "in_flight": "many", "concurrency": -4, "buckets": 7}}})
    process(owner, 2, {"a": {"limiter": {"buckets": {"output": {"level": 5}, "input": {"level": 9, "limit": 0}}}}})
    assert capacity(owner.pk, now=NOW).stands == (Stand("a", 2, 0, None, None, 0, {}),)


def test_only_so_many_groups_are_listed() -> None:
    owner = factories.project()
    process(owner, 1, {f"group-{n:02}": {"limiter": limiter(n, 0)} for n in range(40)})
    found = capacity(owner.pk, now=NOW)
    assert (found.groups, len(found.stands)) == (40, MOST_GROUPS)
    assert [stand.group for stand in found.stands[:2]] == ["group-39", "group-38"]
