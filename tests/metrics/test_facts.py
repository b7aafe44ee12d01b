"""The declared facts and facets are the columns of the tables, all of them."""

import pytest

from metrics.facets import CUBE_DIMENSIONS, FACETS, facet_of
from metrics.facts import FACTS, HISTOGRAMS, SCORE_FACTS, USER_FACTS
from tests.metrics import rollups

pytestmark = [pytest.mark.django_db, pytest.mark.storage]


def columns(table: str) -> set[str]:
    return {
        name
        for (name,) in rollups.rows("SELECT column_name FROM information_schema.columns WHERE table_name = %s", table)
    }


@pytest.mark.parametrize(
    ("table", "keys"),
    [
        ("facet_minute", {"environment_id", "facet", "key"}),
        ("facet_hour", {"environment_id", "facet", "key"}),
        ("facet_day", {"environment_id", "facet", "key"}),
        ("cube_hour", set(CUBE_DIMENSIONS.values())),
        ("cube_day", set(CUBE_DIMENSIONS.values())),
    ],
)
def test_a_rollup_row_holds_every_fact_and_histogram(table: str, keys: set[str]) -> None:
    kept = {name for each in HISTOGRAMS for name in (f"{each.name}_buckets", f"{each.name}_counts", *each.columns)}
    assert columns(table) == keys | kept | {"bucket", "project_id"} | {fact.name for fact in FACTS}


@pytest.mark.parametrize(
    ("table", "keys"),
    [
        ("score_hour", {"environment_id", "facet", "key"}),
        ("score_cube_hour", set(CUBE_DIMENSIONS.values())),
        ("score_cube_day", set(CUBE_DIMENSIONS.values())),
    ],
)
def test_a_row_of_scores_holds_every_fact_of_them_and_the_lowest(table: str, keys: set[str]) -> None:
    kept = {"bucket", "project_id", "name", "label", "lowest_values", "lowest_calls"}
    assert columns(table) == keys | kept | {fact.name for fact in SCORE_FACTS}


@pytest.mark.parametrize("table", ["user_day", "user_month"])
def test_a_users_row_holds_every_fact_kept_by_user(table: str) -> None:
    keys = {"bucket", "project_id", "environment_id", "user_id"}
    assert columns(table) == keys | {fact.name for fact in USER_FACTS}


def test_no_two_facets_share_a_number_or_a_dimension() -> None:
    assert len({facet.number for facet in FACETS}) == len({facet.dimension for facet in FACETS}) == len(FACETS)


def test_every_facet_cuts_by_a_column_of_the_calls() -> None:
    assert {facet.column for facet in FACETS} - {""} <= columns("request_log")


def test_a_facet_is_found_by_its_dimension() -> None:
    assert facet_of("model") == FACETS[3]
    assert facet_of("release") == FACETS[7]
    assert facet_of("user_id") is None
