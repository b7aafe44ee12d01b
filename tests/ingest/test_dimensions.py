"""Interned names: one number each, a limit, and no number that points at nothing."""

import threading

import pytest
from django.db import connections, transaction

from ingest import dimensions
from ingest.models import Dimension
from ingest.vocabulary import DimensionKind
from tests import factories

FEATURE, MODEL = DimensionKind.FEATURE, DimensionKind.MODEL


@pytest.mark.django_db
def test_a_name_keeps_its_number() -> None:
    owner = factories.project()
    first = dimensions.ids(owner.pk, FEATURE, ["inbox", "search"])
    assert set(first) == {"inbox", "search"}
    assert len(set(first.values())) == 2
    assert dimensions.ids(owner.pk, FEATURE, ["search", "inbox"]) == first
    assert dimensions.names(owner.pk, FEATURE) == {number: name for name, number in first.items()}


@pytest.mark.django_db
def test_kinds_and_projects_do_not_share_numbers() -> None:
    one, two = factories.project(), factories.project()
    numbers = {dimensions.ids(owner.pk, kind, ["same"])["same"] for owner in (one, two) for kind in (FEATURE, MODEL)}
    assert len(numbers) == 4


@pytest.mark.django_db
def test_looking_for_a_name_does_not_make_it() -> None:
    owner = factories.project()
    assert dimensions.find(owner.pk, FEATURE, "inbox") is None
    [number] = dimensions.ids(owner.pk, FEATURE, ["inbox"]).values()
    assert dimensions.find(owner.pk, FEATURE, "inbox") == number
    assert Dimension.objects.filter(project=owner).count() == 1


@pytest.mark.django_db
def test_no_row_has_the_number_of_no_name() -> None:
    owner = factories.project()
    assert dimensions.ABSENT not in dimensions.ids(owner.pk, FEATURE, map(str, range(50))).values()


@pytest.mark.django_db(transaction=True)
def test_beyond_the_limit_new_names_are_counted_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dimensions, "MOST_NAMES", 3)
    owner = factories.project()
    known = dimensions.ids(owner.pk, FEATURE, ["a", "b"])
    found = dimensions.ids(owner.pk, FEATURE, ["a", "c", "d", "e"])
    other = dimensions.find(owner.pk, FEATURE, dimensions.OTHER_NAME)
    assert found["a"] == known["a"]
    assert found["c"] == dimensions.find(owner.pk, FEATURE, "c")
    assert (found["d"], found["e"]) == (other, other)
    assert dimensions.ids(owner.pk, FEATURE, ["c", "f"]) == {"c": found["c"], "f": other}
    assert sorted(dimensions.names(owner.pk, FEATURE).values()) == ["(other)", "a", "b", "c"]


@pytest.mark.django_db(transaction=True)
def test_a_flood_of_names_leaves_sums_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dimensions, "MOST_NAMES", 10)
    owner = factories.project()
    events = [factories.event(feature=f"feature-{number:03}") for number in range(100)]
    assert factories.stored(owner, *events).accepted == 100
    assert len(dimensions.names(owner.pk, FEATURE)) == 11


@pytest.mark.django_db(transaction=True)
def test_a_number_is_remembered_only_when_its_row_was_committed() -> None:
    owner = factories.project()

    class RolledBackError(Exception):
        pass

    def intern_and_roll_back() -> None:
        with transaction.atomic():
            dimensions.ids(owner.pk, FEATURE, ["inbox"])
            raise RolledBackError

    with pytest.raises(RolledBackError):
        intern_and_roll_back()
    [number] = dimensions.ids(owner.pk, FEATURE, ["inbox"]).values()
    assert dimensions.names(owner.pk, FEATURE) == {number: "inbox"}


@pytest.mark.django_db(transaction=True)
def test_threads_that_meet_the_same_new_names_agree() -> None:
    owner = factories.project()
    names = [f"name-{number}" for number in range(50)]
    found: list[dict[str, int]] = []
    start = threading.Barrier(4)

    def intern(turn: int) -> None:
        start.wait()
        try:
            found.append(dimensions.ids(owner.pk, FEATURE, names[turn:] + names[:turn]))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=intern, args=[turn * 10]) for turn in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [one == found[0] for one in found] == [True] * 4
    assert Dimension.objects.filter(project=owner).count() == 50
