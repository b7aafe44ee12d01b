"""Metrics of scores, against plain Python over the same scores, which came late and some of them twice."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Context, Decimal
from typing import Any

import pytest
from django.db import transaction
from pytest_django import DjangoDbBlocker

from metrics import queries
from metrics.readings import Value
from metrics.scores import scores
from metrics.slices import NONE, OTHER, Dimension, Slice
from metrics.steps import alone
from metrics.windows import Window
from projects.models import Project
from tests import factories
from tests.factories import NOW
from tests.metrics import oracle, world
from tests.metrics.conftest import World
from tests.metrics.test_queries import RAGGED, SLICES, STEPS, WINDOWS
from tests.metrics.world import DAY, HOUR, MIDNIGHT

pytestmark = pytest.mark.django_db

MINUTE = timedelta(minutes=1)
GRADES = (1.0, 2.5, 0.1, 0.2, -3.0, 4.0, 1e-9)
WORDS = ("kind", "kind", "curt")


@dataclass(frozen=True)
class Told:
    """The newest score of one name and call."""

    call: oracle.Call
    name: str
    said: float | str


@dataclass(frozen=True)
class Judged:
    """The scores that were told, and whose they are."""

    scores: list[Told]
    reading: Project
    writing: Project


@pytest.fixture(scope="module")
def judged(built: World, django_db_blocker: DjangoDbBlocker) -> Iterator[Judged]:
    """Many calls of the world with scores, told in three goes, some again; taken back when the module is done."""
    owners = built.reading, built.writing
    dice = random.Random(11)
    told = {
        (call.id, name): Told(call, name, dice.choice(WORDS) if name == "tone" else dice.choice(GRADES))
        for call in built.calls
        for name in ("grade", "tone", "checked")
        if dice.random() < 0.2
    }
    listed = list(told.values())
    with django_db_blocker.unblock(), transaction.atomic():
        _tell(listed[::2], owners)
        world.settle()
        # What is told of the first ones again counts, what is told of them with an older time does not.
        again = [Told(one.call, one.name, _other(one.said)) for one in listed[:90:3]]
        _tell(again, owners, minutes=5)
        _tell([Told(one.call, one.name, 99.0) for one in listed[:30:3]], owners, minutes=-5)
        _tell(listed[1::2], owners)
        world.settle()
        yield Judged(list((told | {(one.call.id, one.name): one for one in again}).values()), *owners)
        transaction.set_rollback(True)


def _other(said: float | str) -> float | str:
    return "kind" if isinstance(said, str) else said + 1


def _tell(told: Sequence[Told], owners: Sequence[Project], minutes: int = 0) -> None:
    at = (NOW - 10 * MINUTE + minutes * MINUTE).isoformat()
    for owner in owners:
        documents: list[dict[str, Any]] = [
            {
                "call_id": one.call.id,
                "name": one.name,
                "at": at,
                ("label" if isinstance(one.said, str) else "value"): one.said,
            }
            for one in told
            if one.call.project_id == owner.pk
        ]
        factories.scored(owner, *documents)


def pick(judged: Judged, window: Window, slice_: Slice) -> list[Told]:
    """The scores that a slice and a window mean."""
    of_name = [one for one in judged.scores if slice_.score in ("", one.name)]
    calls = oracle.pick([one.call for one in of_name], window, replace(slice_, score=""))
    meant = {call.id for call in calls}
    return [one for one in of_name if one.call.id in meant]


def mean(told: Sequence[Told]) -> tuple[Value, int]:
    numbers = [Decimal(repr(one.said)) for one in told if isinstance(one.said, float)]
    return (Context(prec=28).divide(sum(numbers, Decimal(0)), len(numbers)) if numbers else None), len(numbers)


# Of each way to answer one: by one property or several, in an environment or in all, by a name nobody used.
KNOWN = {
    name: SLICES[name]
    for name in (
        *("everything", "an environment", "no feature", "a feature in an environment", "an error"),
        *("a release in an environment", "several at once", "all that rollups know", "a feature nobody used"),
    )
}


@pytest.mark.parametrize("slice_", KNOWN.values(), ids=KNOWN)
@pytest.mark.parametrize("window", WINDOWS.values(), ids=WINDOWS)
def test_how_many_and_their_mean_are_exact(judged: Judged, window: Window, slice_: dict[str, str]) -> None:
    for project, name in ((judged.reading, "grade"), (judged.writing, "tone"), (judged.writing, "nobody told this")):
        asked = Slice(project.pk, **slice_, score=name)
        readings = queries.values(("scores", "score_mean"), window, asked, now=NOW)
        told = pick(judged, window, asked)
        assert (readings["scores"].value, readings["scores"].sample) == (len(told), len(told))
        assert (readings["score_mean"].value, readings["score_mean"].sample) == mean(told)


def test_scores_of_a_users_calls_are_read_one_by_one_for_two_days(judged: Judged) -> None:
    asked = Slice(judged.reading.pk, user_id="ada", score="grade")
    for window in (Window.last(DAY, NOW), Window.last(2 * DAY, NOW - RAGGED)):
        found = queries.value("score_mean", window, asked, now=NOW)
        assert (found.value, found.sample) == mean(pick(judged, window, asked))
    with pytest.raises(queries.WindowTooWideError, match="this question reads scores one by one"):
        queries.value("score_mean", Window.last(3 * DAY, NOW), asked, now=NOW)


@pytest.mark.parametrize(
    ("window", "step"), [pytest.param(*one, id=name) for name, one in STEPS.items() if one[1] != MINUTE]
)
@pytest.mark.parametrize("filters", [{}, {"environment": "staging"}, {"prompt_type": "prompt-1", "feature": "search"}])
def test_a_series_is_exact_in_every_bucket(
    judged: Judged, window: Window, step: timedelta, filters: dict[str, str]
) -> None:
    asked = Slice(judged.reading.pk, **filters, score="grade")
    if step < HOUR and filters:
        window = Window(NOW - DAY, NOW)
    found = queries.several_series(("score_mean", "scores"), window, asked, bucket=step, now=NOW)
    told = [pick(judged, cut, asked) for cut in oracle.grid(window, step)]
    (means,), (counts,) = found["score_mean"], found["scores"]
    assert list(zip(means.values, means.samples, strict=True)) == [mean(of_bucket) for of_bucket in told]
    assert list(counts.values) == [len(of_bucket) for of_bucket in told]


@pytest.mark.parametrize(
    "dimension",
    ["environment", "feature", "prompt_type", "prompt_version", "model", "error", "key", "release", "score"],
)
def test_a_breakdown_lists_the_parts_with_most_scores_and_the_rest(judged: Judged, dimension: Dimension) -> None:
    window, asked = Window(NOW - 4 * DAY - RAGGED, NOW - RAGGED), Slice(judged.writing.pk)
    found = queries.breakdown(dimension, ("scores",), window, asked, top=2, now=NOW)
    parts: dict[str, list[Told]] = {}
    for one in pick(judged, window, asked):
        name = one.name if dimension == "score" else getattr(one.call, dimension)
        if name or dimension != "error":
            parts.setdefault(name or NONE, []).append(one)
    sizes = sorted((len(told) for told in parts.values()), reverse=True)
    assert [part.readings["scores"].value for part in found.parts] == sizes[:2]
    assert [len(parts[part.key]) for part in found.parts] == sizes[:2]
    assert found.total.readings["scores"].value == sum(sizes)
    assert (found.other is None) == (len(parts) <= 2)
    if found.other is not None:
        assert (found.other.key, found.other.readings["scores"].value) == (OTHER, sum(sizes[2:]))


def test_the_lines_of_names_are_those_of_each_name(judged: Judged) -> None:
    window = Window.last(7 * DAY, NOW - RAGGED)
    asked = Slice(judged.reading.pk)
    found = queries.series("score_mean", window, asked, bucket=HOUR, by="score", top=5, now=NOW)
    assert {line.key for line in found} == {"grade", "tone", "checked"}
    for line in found:
        of_name = Slice(judged.reading.pk, score=line.key)
        assert list(line.values) == [mean(pick(judged, cut, of_name))[0] for cut in oracle.grid(window, HOUR)]


@pytest.mark.parametrize(
    "filters",
    [
        {},
        {"environment": "staging"},
        {"feature": "search"},
        {"feature": "chat", "model": "claude-haiku-4-5-20251001"},
        {"key": "main"},
        # No rollup knows these two together, or users.
        {"key": "main", "prompt_version": "2"},
        {"user_id": "bea"},
    ],
    ids=lambda filters: ", ".join(filters) or "all",
)
@pytest.mark.parametrize(
    "window",
    [WINDOWS["three hours to now"], WINDOWS["ragged, across a closed month"], Window(MIDNIGHT - 60 * DAY, NOW)],
    ids=["hours", "a closed month", "everything"],
)
def test_the_page_of_scores_tells_the_same(judged: Judged, window: Window, filters: dict[str, str]) -> None:
    asked, earlier = Slice(judged.writing.pk, **filters), window.shift(-DAY)
    found = alone(scores(window, earlier, asked, now=NOW))
    assert not found.is_cut
    assert not found.are_versions_cut
    for names, told in ((found.names, pick(judged, window, asked)), (found.earlier, pick(judged, earlier, asked))):
        assert names.keys() == {one.name for one in told}
        for name, one in names.items():
            mine = [each for each in told if each.name == name]
            assert (one.mean, one.numbers) == mean(mine)
            assert sorted(one.words.elements()) == sorted(each.said for each in mine if isinstance(each.said, str))
    for name, one in found.names.items():
        numbers = [
            (each.said, each.call.id)
            for each in pick(judged, window, asked)
            if each.name == name and isinstance(each.said, float)
        ]
        newest_first = sorted(numbers, key=lambda number: number[1], reverse=True)
        assert [(value, str(call)) for value, call in one.lowest] == sorted(newest_first, key=lambda low: low[0])[:3]
    for key, one in found.versions.items():
        mine = [
            each
            for each in pick(judged, window, asked)
            if (each.name, each.call.prompt_type, each.call.prompt_version) == key
        ]
        assert (one.count, one.mean) == (len(mine), mean(mine)[0])
