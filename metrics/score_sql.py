# ruff: noqa: S608 — the names come from declarations in this package, values are always parameters
"""The SQL of scores: each beside its call, and what becomes of them per hour and day.

A score says which call it is about and nothing else, so what it is counted under is read from the call; one whose call
has not come is not counted. Its time is that of the call. As calls are, scores are kept by one property at a time
(`score_hour`: facets) and by all of them (`score_cube_hour`, `score_cube_day`). Every row has one name, and one word;
the word is empty where numbers were told.
"""

from typing import Final
from uuid import UUID

from metrics.facets import CUBE_DIMENSIONS, FACETS
from metrics.facts import SCORE_FACTS
from metrics.steps import Sql

LOWEST: Final = 3
"""Of each row so many of the lowest numbers are kept with their calls, to be looked at; of equal ones the newest."""

_OF_CALL: Final = ", ".join(
    ("started_at", "user_id", "environment_id", *(f"{each.of_call} AS {each.column}" for each in FACETS if each.column))
)
# Each score looks its call up by key: joined as sets, all calls of the window would be read for a few scores. The
# bounds are the same on both sides, so that only the days that can match are opened.
_SCORED: Final = f"""(
  SELECT told.*, call.*
    FROM (SELECT project_id, call_id AS id, name, value, label FROM score
           WHERE project_id = {{project}} AND call_id >= {{first}} AND call_id < {{end}}{{newest}}) AS told
   CROSS JOIN LATERAL (
         SELECT {_OF_CALL} FROM request_log
          WHERE project_id = told.project_id AND id = told.id AND id >= {{first}} AND id < {{end}}
          LIMIT 1) AS call) AS scored"""
_OF_RUN: Final = _SCORED.format(project="%(project)s", first="%(first)s", end="%(end)s", newest="")

_CUBE: Final = ", ".join(CUBE_DIMENSIONS.values())
_FACTS: Final = ", ".join(fact.name for fact in SCORE_FACTS)
_OF_SCORES: Final = ", ".join(f"{fact.of_calls} AS {fact.name}" for fact in SCORE_FACTS)
_MERGED: Final = ", ".join(f"sum({fact.name}) AS {fact.name}" for fact in SCORE_FACTS)
_VALUES: Final = f"{_FACTS}, lowest_values, lowest_calls"
_READ: Final = f"{_FACTS}, coalesce(lowest_values, '{{}}'), coalesce(lowest_calls, '{{}}')"


def scored(project_id: int, first: UUID, end: UUID, *, newest: int | None = None) -> Sql:
    """Return the scores of the calls of a range of ids, each beside its call; or of the `newest` so many, at most."""
    bounds = (project_id, first, end)
    if newest is None:
        return Sql(_SCORED.format(project="%s", first="%s", end="%s", newest=""), (*bounds, first, end))
    limit = " ORDER BY call_id DESC LIMIT %s"
    return Sql(_SCORED.format(project="%s", first="%s", end="%s", newest=limit), (*bounds, newest, first, end))


def lowest(value: str, call: str, *, where: str = "TRUE") -> str:
    """Return the two arrays of the lowest numbers and their calls, of some rows."""
    values, calls = (
        f"(array_agg({what} ORDER BY {value}, {call} DESC) FILTER (WHERE {where}))" for what in (value, call)
    )
    return f"{values}[:{LOWEST}] AS lowest_values, {calls}[:{LOWEST}] AS lowest_calls"


_LOWEST: Final = lowest("value", "id", where="value IS NOT NULL")
# The scores of some hours, as what follows FROM.
_OF_HOURS: Final = f"""
       (SELECT date_bin('1 hour', started_at, 'epoch') AS bucket, coalesce(label, '') AS word, scored.*
          FROM {_OF_RUN}) AS told"""


def score_hour() -> str:
    """From the scores of some hours of a project to their facets. Environment 0 is all environments together."""
    named = [facet for facet in FACETS if facet.column]
    numbers = " ".join(f"WHEN grouping({facet.column}) = 0 THEN {facet.number}" for facet in named)
    columns = " ".join(f"WHEN grouping({facet.column}) = 0 THEN {facet.column}" for facet in named)
    keys = ["bucket, name, word" + (f", {facet.column}" if facet.column else "") for facet in FACETS]
    sets = ", ".join(f"({each}), ({each}, environment_id)" for each in keys)
    return f"""
INSERT INTO score_hour (project_id, bucket, environment_id, facet, key, name, label, {_VALUES})
SELECT %(project)s, bucket, environment, facet, key, name, word, {_READ}
  FROM (SELECT bucket, CASE WHEN grouping(environment_id) = 0 THEN environment_id ELSE 0 END AS environment,
               CASE {numbers} ELSE 0 END AS facet, CASE {columns} ELSE 0 END AS key, name, word, {_OF_SCORES}, {_LOWEST}
          FROM {_OF_HOURS}
         GROUP BY GROUPING SETS ({sets})
        HAVING grouping(environment_id) = 1 OR environment_id <> 0) AS counted"""


def score_cube_hour() -> str:
    """From the same to their cube."""
    return f"""
INSERT INTO score_cube_hour (project_id, bucket, {_CUBE}, name, label, {_VALUES})
SELECT %(project)s, bucket, {_CUBE}, name, word, {_READ}
  FROM (SELECT bucket, {_CUBE}, name, word, {_OF_SCORES}, {_LOWEST}
          FROM {_OF_HOURS}
         GROUP BY bucket, {_CUBE}, name, word) AS counted"""


def score_cube_day() -> str:
    """From the cube of the hours of some days to that of the days."""
    keys = f"{_CUBE}, name, label"
    day = "date_bin('1 day', bucket, 'epoch')"
    hours = "score_cube_hour WHERE project_id = %(project)s AND bucket >= %(start)s AND bucket < %(stop)s"
    return f"""
INSERT INTO score_cube_day (project_id, bucket, {keys}, {_VALUES})
SELECT %(project)s, bucket, {keys}, {_READ}
  FROM (SELECT {day} AS bucket, {keys}, {_MERGED} FROM {hours} GROUP BY {day}, {keys}) AS sums
  LEFT JOIN (
       SELECT {day} AS bucket, {keys}, {lowest("low", "call")}
         FROM (SELECT bucket, {keys}, unnest(lowest_values) AS low, unnest(lowest_calls) AS call FROM {hours}) AS each
        GROUP BY {day}, {keys}) AS lows USING (bucket, {keys})"""
