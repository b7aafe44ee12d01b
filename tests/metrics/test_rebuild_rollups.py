"""`rebuild_rollups`: the totals of a span are counted again from the calls."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from tests import factories
from tests.factories import NOW
from tests.metrics import rollups
from tests.metrics.world import DAY, MIDNIGHT, settle

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("django.utils.timezone.now", lambda: NOW)


def run(*options: str) -> str:
    out = StringIO()
    call_command("rebuild_rollups", *options, stdout=out)
    return out.getvalue()


def spoil() -> None:
    for table in ("facet_hour", "cube_day"):
        rollups.rows(f"UPDATE {table} SET requests = requests + 7 RETURNING 1")


def test_what_somebody_spoiled_is_right_again_after_a_rebuild() -> None:
    owner = factories.project()
    factories.stored(owner, at=MIDNIGHT - 5 * DAY, now=NOW)
    settle()
    spoil()
    # Two days of hours; then three days and ten hours of minutes, which are kept for three days: 48 + 4,320 + 600.
    assert run("--since", f"{MIDNIGHT - 5 * DAY:%Y-%m-%d}").startswith("4,968 hours and minutes are marked.")
    settle()
    for table in ("facet_hour", "cube_day"):
        assert rollups.rows(f"SELECT DISTINCT requests FROM {table}") == [(1,)]


def test_only_the_project_that_was_named_is_marked() -> None:
    owner = factories.project("shop")
    factories.project("desk")
    assert run("--since", "2026-11-10", "--until", "2026-11-11", "--project", "shop").startswith("24 hours")
    assert {project for _, _, project in rollups.marks()} == {owner.pk}


def test_a_span_whose_calls_are_gone_is_told() -> None:
    factories.project()
    said = run("--since", "2026-01-01", "--until", "2026-01-02")
    assert said == "Nothing to count: no calls are kept of this span.\n"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--since", "lately"], "--since: lately is neither a day like 2026-10-07 nor a time"),
        (["--since", "2026-11-11", "--until", "2026-11-11"], "--since must be before --until"),
        (["--since", "2026-11-11", "--project", "nobody"], "there is no project nobody; there are: shop"),
    ],
)
def test_a_mistake_is_told_in_one_line(options: list[str], words: str) -> None:
    factories.project("shop")
    with pytest.raises(CommandError, match=words):
        run(*options)
