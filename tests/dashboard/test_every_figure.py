"""Every figure of every page, against plain Python over the calls."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

import pytest
from django.contrib.auth.models import User
from django.db import transaction
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoDbBlocker

from dashboard.pages import PAGES
from ingest import pricebook, pricelist
from ingest.models import Price, RequestLog
from tests.dashboard import reading
from tests.dashboard.oracle import compare, errors, limits, overview, quality, system, usage, world
from tests.dashboard.oracle.asked import ADDRESSES, Asked, File, Scene, Tile
from tests.dashboard.oracle.world import NOW, World

pytestmark = pytest.mark.django_db


class Oracle(NamedTuple):
    """What a page must say."""

    panels: Mapping[str, Callable[[Scene], File]]
    sentences: Mapping[str, Callable[[Scene], str]]
    """Of the panels."""
    tiles: Callable[[Scene], list[Tile]]
    answer: Callable[[Scene], tuple[str, str]]


ORACLES = {
    "overview": Oracle(overview.PANELS, overview.SENTENCES, overview.tiles, overview.answer),
    "limits": Oracle(limits.PANELS, limits.SENTENCES, limits.tiles, limits.answer),
    "compare": Oracle(compare.panels("spend"), compare.sentences("spend"), compare.tiles, compare.answer("spend")),
    "errors": Oracle(errors.PANELS, errors.SENTENCES, errors.tiles, errors.answer),
    "quality": Oracle(quality.PANELS, quality.SENTENCES, quality.tiles, quality.answer),
    "usage": Oracle(usage.PANELS, usage.SENTENCES, usage.tiles, usage.answer),
}
# Panels about the machine the product runs on: there is nothing in the calls to hold them against.
OF_THE_MACHINE = {("system", "size"), ("system", "work"), ("system", "versions")}


@pytest.fixture(scope="session")
def built(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[World]:
    """The world of the pages, taken back in the end: all that happens is one transaction."""
    with django_db_blocker.unblock(), transaction.atomic():
        pricebook.forget()
        if not Price.objects.exists():
            pricelist.load(pricelist.read())
        yield world.make()
        transaction.set_rollback(True)


@pytest.fixture
def viewer(built: World, monkeypatch: pytest.MonkeyPatch) -> Client:
    """Somebody who looks at the pages at one moment."""
    monkeypatch.setattr(timezone, "now", lambda: NOW)
    client = Client()
    client.force_login(User.objects.create_user("viewer"))
    return client


def written(value: object) -> object:
    """A value as a file for programs has it: quotients with all their digits, times in UTC."""
    if isinstance(value, Decimal | UUID):
        return str(value)
    return value.isoformat().replace("+00:00", "Z") if isinstance(value, datetime) else value


@pytest.mark.parametrize("page", ORACLES)
@pytest.mark.parametrize("asked", ADDRESSES.values(), ids=ADDRESSES)
def test_every_figure_agrees(built: World, viewer: Client, page: str, asked: Asked) -> None:
    scene, oracle = Scene(built, asked), ORACLES[page]
    _agree(viewer, scene, page, oracle.panels, oracle.sentences)
    query = f"?project={asked.slug}&{asked.address}"
    shown = reading.text(viewer, f"/{'' if page == 'overview' else f'{page}/'}{query}")
    assert [Tile(**tile) for tile in reading.tiles(shown)] == oracle.tiles(scene)
    assert reading.answer(shown) == oracle.answer(scene)


@pytest.mark.parametrize("slug", ["library", "workshop"])
def test_every_figure_of_the_product_itself_agrees(built: World, viewer: Client, slug: str) -> None:
    """It is about now, so one address is enough."""
    scene = Scene(built, replace(ADDRESSES["a day"], slug=slug))
    _agree(viewer, scene, "system", system.PANELS, system.SENTENCES)
    shown = reading.text(viewer, f"/system/?project={slug}")
    assert [Tile(**tile) for tile in reading.tiles(shown)][:-1] == system.tiles(scene)


@pytest.mark.parametrize("measure", compare.MEASURES)
@pytest.mark.parametrize("name", ["a day", "an hour, and the one before", "one filter", "the other project"])
def test_every_measure_of_the_comparison_agrees(built: World, viewer: Client, name: str, measure: str) -> None:
    scene = Scene(built, ADDRESSES[name])
    _agree(viewer, scene, "compare", compare.panels(measure), compare.sentences(measure), f"&metric={measure}")
    query = f"?project={scene.asked.slug}&{scene.asked.address}&metric={measure}"
    assert reading.answer(reading.text(viewer, f"/compare/{query}")) == compare.answer(measure)(scene)


@pytest.mark.parametrize("cut", usage.CUTS)
@pytest.mark.parametrize("name", ["a day", "calls that came late, of an environment", "the other project"])
def test_every_cut_of_the_table_of_usage_agrees(built: World, viewer: Client, name: str, cut: str) -> None:
    scene = Scene(built, ADDRESSES[name])
    _agree(viewer, scene, "usage", {"parts": usage.parts_by(cut)}, {}, f"&g={cut}")


def _agree(
    viewer: Client,
    scene: Scene,
    page: str,
    panels: Mapping[str, Callable[[Scene], File]],
    sentences: Mapping[str, Callable[[Scene], str]],
    more: str = "",
) -> None:
    for panel, expected in panels.items():
        address = f"/{page}/{panel}.json?project={scene.asked.slug}&{scene.asked.address}{more}"
        document: dict[str, Any] = viewer.get(address).json()
        labels, rows = expected(scene)
        assert [column["label"] for column in document["columns"]] == list(labels), panel
        assert document["rows"] == [[written(value) for value in row] for row in rows], panel
        if panel in sentences:
            assert document["takeaway"] == sentences[panel](scene), panel


def test_the_world_has_in_it_what_can_go_wrong(built: World) -> None:
    """Late calls, repeats that were counted once, a change of clocks, calls of unknown cost, an empty day."""
    for owner in (built.library, built.workshop):
        calls = [call for call in built.calls if call.project_id == owner.pk]
        assert RequestLog.objects.filter(project=owner).count() == len(calls) == 770
        late = [call for call in calls if world.LATE.contains(call.at) and built.received[call.id] == NOW]
        assert len(late) > 10
        assert sum(1 for call in calls if world.CLOCKS.contains(call.at)) == 110
        assert not any(world.EMPTY.contains(call.at) for call in calls)
        assert {call.cost is None for call in calls if call.model == "nobody-knows-me" and call.is_billed} == {True}
        assert any(call.cost is None and call.model != "nobody-knows-me" for call in calls)
    assert world.CLOCKS.seconds == 49 * 3600


def test_no_panel_is_left_out() -> None:
    panels = {(page.key, panel.key) for page in PAGES for panel in page.panels}
    known = {(page, panel) for page, oracle in ORACLES.items() for panel in oracle.panels}
    known |= {("system", panel) for panel in system.PANELS}
    assert known | OF_THE_MACHINE == panels
    assert not known & OF_THE_MACHINE
    assert all(oracle.panels.keys() == oracle.sentences.keys() for oracle in ORACLES.values())
    assert system.PANELS.keys() == system.SENTENCES.keys()
