"""Looks into the rollup tables, for tests that must see more than the answers."""

from typing import Any

from django.db import connection

from projects.models import Project

SUMS = "requests, errors, cancelled, unpriced, input_tokens, output_tokens, cost_nanousd, infra_nanousd"
FACETS = (
    *((1, "feature_id"), (2, "prompt_type_id"), (3, "model_id"), (4, "error"), (5, "prompt_version_id")),
    *((6, "coalesce(key_id, 0)"), (7, "coalesce(release_id, 0)")),
)
OF_CALLS = """
count(*), count(*) FILTER (WHERE outcome IN (2, 3)), count(*) FILTER (WHERE outcome = 4),
count(*) FILTER (WHERE cost_nanousd IS NULL), sum(input_tokens), sum(output_tokens),
coalesce(sum(cost_nanousd), 0), sum(infra_nanousd)
"""


def rows(sql: str, *values: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        found: list[tuple[Any, ...]] = cursor.fetchall()
    return found


def of_calls(step: str, where: str = "TRUE", also: str = "") -> list[tuple[Any, ...]]:
    """Project, bucket, what else is asked, and the sums of the calls, straight from the calls."""
    return sorted(
        rows(
            f"SELECT project_id, date_trunc('{step}', started_at){also}, {OF_CALLS}"
            f" FROM request_log WHERE {where} GROUP BY 1, 2{', 3, 4' if also else ''}"
        )
    )


def of_rollup(table: str, where: str = "TRUE", bucket: str = "bucket", also: str = "") -> list[tuple[Any, ...]]:
    """The same from a rollup table."""
    sums = ", ".join(f"sum({name})" for name in SUMS.split(", "))
    return sorted(
        rows(
            f"SELECT project_id, {bucket}{also}, {sums}"
            f" FROM {table} WHERE {where} GROUP BY 1, 2{', 3, 4' if also else ''}"
        )
    )


def assert_totals_equal_the_calls(*, minutes_from: str = "-infinity") -> None:
    """Every rollup, bucket by bucket and key by key: requests, errors, tokens, nano-dollars."""
    recent = f"started_at >= '{minutes_from}'"
    for table, step, where in (
        ("facet_minute", "minute", recent),
        ("facet_hour", "hour", "TRUE"),
        ("facet_day", "day", "TRUE"),
    ):
        assert of_rollup(table, "facet = 0 AND environment_id = 0") == of_calls(step, where)
        assert of_rollup(table, "facet = 0 AND environment_id <> 0") == of_calls(step, where)
        for facet, column in FACETS:
            assert of_rollup(
                table, f"facet = {facet} AND environment_id <> 0", also=", environment_id, key"
            ) == of_calls(step, where, also=f", environment_id, {column}")
            assert of_rollup(table, f"facet = {facet} AND environment_id = 0", also=", 0, key") == of_calls(
                step, where, also=f", 0, {column}"
            )
    for table, step in (("cube_hour", "hour"), ("cube_day", "day")):
        assert of_rollup(table, also=", feature_id, prompt_version_id") == of_calls(
            step, also=", feature_id, prompt_version_id"
        )
    for table, step, where in (
        ("failure_minute", "minute", recent),
        ("failure_hour", "hour", "TRUE"),
        ("failure_day", "day", "TRUE"),
    ):
        assert rows(
            "SELECT project_id, bucket, environment_id, group_id, calls, first_at, last_call"
            f" FROM {table} ORDER BY 1, 2, 3, 4"
        ) == rows(
            f"SELECT project_id, date_trunc('{step}', started_at), environment_id, failure_group_id, count(*),"
            " min(started_at), (array_agg(id ORDER BY id DESC))[1]"
            f" FROM request_log WHERE outcome IN (2, 3) AND {where} GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4"
        )
    at = "bucket::timestamp AT TIME ZONE 'UTC'"
    known = "user_id IS NOT NULL"
    assert of_rollup("user_day", bucket=at, also=", environment_id, user_id") == of_calls(
        "day", known, also=", environment_id, user_id"
    )
    assert_months_are_the_sums_of_their_days()


def assert_months_are_the_sums_of_their_days() -> None:
    """A day that has a mark for its month is not in it yet; a month is compared when only its open day has one."""
    lacking = "SELECT project_id, (bucket AT TIME ZONE 'UTC')::date FROM rollup_dirty WHERE grain = 3"
    assert of_rollup("user_month", bucket="bucket::text", also=", environment_id, user_id") == of_rollup(
        "user_day",
        f"(project_id, bucket) NOT IN ({lacking})",
        bucket="date_trunc('month', bucket)::date::text",
        also=", environment_id, user_id",
    )


def marks() -> list[tuple[Any, ...]]:
    """Grain, bucket and project of every mark that is left."""
    return rows("SELECT grain, bucket, project_id FROM rollup_dirty ORDER BY id")


def requests_by_minute(owner: Project) -> dict[str, int]:
    """Requests by minute of the day, from the minutes."""
    return dict(
        rows(
            "SELECT to_char(bucket, 'HH24:MI'), requests FROM facet_minute"
            " WHERE project_id = %s AND facet = 0 AND environment_id = 0 ORDER BY 1",
            owner.pk,
        )
    )
