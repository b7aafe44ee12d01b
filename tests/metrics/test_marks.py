"""Neighbouring buckets become one range of ids."""

from datetime import timedelta

from ingest.vocabulary import Grain
from metrics.marks import Dirty, Run, runs
from metrics.windows import Window
from tests.factories import NOW

MINUTE = timedelta(minutes=1)


def dirty(project: int, *minutes: int) -> list[Dirty]:
    return [Dirty(project, NOW + minute * MINUTE, NOW, ()) for minute in minutes]


def run(project: int, first: int, end: int) -> Run:
    return Run(project, Window(NOW + first * MINUTE, NOW + end * MINUTE))


def test_neighbours_are_joined_whatever_their_order() -> None:
    assert runs(dirty(1, 3, 1, 2), Grain.MINUTE, longest=60) == [run(1, 1, 4)]


def test_a_gap_separates_runs() -> None:
    assert runs(dirty(1, 1, 2, 4), Grain.MINUTE, longest=60) == [run(1, 1, 3), run(1, 4, 5)]


def test_a_run_belongs_to_one_project() -> None:
    assert runs(dirty(2, 2) + dirty(1, 1), Grain.MINUTE, longest=60) == [run(1, 1, 2), run(2, 2, 3)]


def test_a_run_is_no_longer_than_it_may_be() -> None:
    assert runs(dirty(1, 0, 1, 2, 3, 4), Grain.MINUTE, longest=2) == [run(1, 0, 2), run(1, 2, 4), run(1, 4, 5)]


def test_nothing_makes_no_runs() -> None:
    assert runs([], Grain.MINUTE, longest=60) == []
