# ruff: noqa: S608 — the names come from the declarations below, values are always parameters
"""The SQL that writes rollups, put together from the declared facts and facets. Names come from code, values never.

Every statement recomputes whole buckets of one project from the level below. Histograms are merged here, once, because
merging them at reading time is the slowest part of a dashboard; so are the percentiles, which cannot be merged later.
"""

from collections.abc import Iterable, Mapping
from string import Template
from typing import Final

from ingest.vocabulary import Grain
from metrics.facets import CUBE_DIMENSIONS, FACETS
from metrics.facts import CALLS_AND_PRICES, FACTS, HISTOGRAMS, USER_FACTS, Fact, money
from metrics.ranks import cumulated, percentile


def _merged(facts: Iterable[Fact]) -> str:
    sums = {fact.name: money(fact.name) if fact.name.endswith("_nanousd") else f"sum({fact.name})" for fact in facts}
    return ", ".join(f"{expression} AS {name}" for name, expression in sums.items())


_FACT_COLUMNS: Final = ", ".join(fact.name for fact in FACTS)
_USER_COLUMNS: Final = ", ".join(fact.name for fact in USER_FACTS)
_OF_CALLS: Final = ", ".join(f"{fact.of_calls} AS {fact.name}" for fact in FACTS)
_USER_OF_CALLS: Final = ", ".join(f"{fact.of_calls} AS {fact.name}" for fact in USER_FACTS)
_MERGED: Final = _merged(FACTS)
_USER_MERGED: Final = _merged(USER_FACTS)
_CUBE: Final = ", ".join(CUBE_DIMENSIONS.values())
# Column of a rollup's basis → SQL for one call.
_OF_FACETS: Final = {"environment_id": "environment_id"} | {each.column: each.of_call for each in FACETS if each.column}
_OF_ALL: Final = {column: column for column in CUBE_DIMENSIONS.values()} | _OF_FACETS

_HISTOGRAM_COLUMNS: Final = ", ".join(
    name
    for histogram in HISTOGRAMS
    for name in (*histogram.columns, f"{histogram.name}_buckets", f"{histogram.name}_counts")
)

# Calls per histogram and place in it, as rows (histogram, place, calls), read from the calls in one scan.
_PLACES: Final = Template("""
  SELECT bucket, $dimensions, CASE $which END AS histogram, coalesce($names) AS place, count(*)::int AS calls
    FROM (SELECT date_bin($step, started_at, 'epoch') AS bucket, $selected, $of_call
            FROM request_log
           WHERE project_id = %(project)s AND id >= %(first)s AND id < %(end)s) AS call
   GROUP BY GROUPING SETS ($sets)
  HAVING coalesce($names) IS NOT NULL""")

# One row per group of keys with the sparse arrays and the percentiles.
_HISTOGRAMS: Final = Template("""
  SELECT $keys, $arrays
    FROM (SELECT $keys, histogram, place, calls, $cumulated
            FROM $places) AS cumulated
   GROUP BY $keys""")

_SUMS: Final = Template("""
  SELECT date_bin($step, started_at, 'epoch') AS bucket, $selected, $facts
    FROM $calls
   WHERE project_id = %(project)s AND id >= %(first)s AND id < %(end)s
   GROUP BY bucket, $dimensions""")

# The same cuts of the sums and of the histogram places, by environment.
_CUT: Final = Template("""
  SELECT bucket, environment_id AS environment, CASE $numbers ELSE 0 END AS facet, CASE $columns ELSE 0 END AS key,
         $values
    FROM $base
   GROUP BY GROUPING SETS ($sets)""")

_JOINED: Final = Template("""
  SELECT $columns, $facts, $histograms
    FROM $sums AS sums LEFT JOIN $merged AS merged USING ($keys)""")


def _histograms(keys: str, places: str) -> str:
    arrays = []
    for number, histogram in enumerate(HISTOGRAMS):
        mine = f"histogram = {number}"
        arrays += [f"{percentile(percent, also=mine)} AS {column}" for column, percent in histogram.columns.items()]
        arrays += [
            f"array_agg({what} ORDER BY place) FILTER (WHERE {mine}) AS {histogram.name}_{name}"
            for what, name in (("place::smallint", "buckets"), ("calls::int", "counts"))
        ]
    return _HISTOGRAMS.substitute(
        keys=keys, places=places, cumulated=cumulated(f"{keys}, histogram"), arrays=", ".join(arrays)
    )


def _sums(step: str, dimensions: Mapping[str, str]) -> str:
    return _SUMS.substitute(
        step=step,
        dimensions=", ".join(dimensions),
        selected=_selected(dimensions),
        facts=_OF_CALLS,
        calls=CALLS_AND_PRICES,
    )


def _places(step: str, of_calls: Mapping[str, str]) -> str:
    names = [histogram.name for histogram in HISTOGRAMS]
    dimensions = ", ".join(of_calls)
    return _PLACES.substitute(
        step=step,
        dimensions=dimensions,
        selected=_selected(of_calls),
        names=", ".join(names),
        which=" ".join(f"WHEN grouping({name}) = 0 THEN {number}" for number, name in enumerate(names)),
        of_call=", ".join(f"{histogram.of_call} AS {histogram.name}" for histogram in HISTOGRAMS),
        sets=", ".join(f"(bucket, {dimensions}, {name})" for name in names),
    )


def _selected(dimensions: Mapping[str, str]) -> str:
    return ", ".join(f"{of_call} AS {column}" for column, of_call in dimensions.items())


def _cut(base: str, *, values: str, also: str = "") -> str:
    named = [facet for facet in FACETS if facet.column]
    sets = [", ".join(part for part in ("bucket", also, "environment_id", facet.column) if part) for facet in FACETS]
    return _CUT.substitute(
        base=base,
        values=values,
        numbers=" ".join(f"WHEN grouping({facet.column}) = 0 THEN {facet.number}" for facet in named),
        columns=" ".join(f"WHEN grouping({facet.column}) = 0 THEN {facet.column}" for facet in named),
        sets=", ".join(f"({each})" for each in sets),
    )


def _joined(columns: str, sums: str, merged: str, keys: str) -> str:
    histograms = ", ".join(
        f"coalesce({name}, '{{}}') AS {name}" if name.endswith(("_buckets", "_counts")) else name
        for name in _HISTOGRAM_COLUMNS.split(", ")
    )
    return _JOINED.substitute(
        columns=columns, facts=_FACT_COLUMNS, histograms=histograms, sums=sums, merged=merged, keys=keys
    )


def _insert(table: str, keys: str) -> str:
    return f"INSERT INTO {table} ({keys}, {_FACT_COLUMNS}, {_HISTOGRAM_COLUMNS})"


# Environment 0 is all environments together. Where a key has calls in one environment only, which is nearly
# everywhere, its row is that one's; the others are merged from those of their environments.
_FACETS: Final = f""",
facet_sums AS ({_cut("sums", values=_MERGED)}),
facet_places AS ({_cut("places", values="histogram, place, sum(calls)::int AS calls", also="histogram, place")}),
facet_histograms AS ({_histograms("bucket, environment, facet, key", "facet_places")}),
of_one AS ({
    _joined("bucket, environment, facet, key", "facet_sums", "facet_histograms", "bucket, environment, facet, key")
}),
shared AS (SELECT bucket, facet, key FROM facet_sums GROUP BY bucket, facet, key HAVING count(*) > 1),
shared_sums AS (
  SELECT bucket, facet, key, {_MERGED} FROM facet_sums JOIN shared USING (bucket, facet, key)
   GROUP BY bucket, facet, key),
shared_places AS (
  SELECT bucket, facet, key, histogram, place, sum(calls)::int AS calls
    FROM facet_places JOIN shared USING (bucket, facet, key)
   GROUP BY bucket, facet, key, histogram, place),
shared_histograms AS ({_histograms("bucket, facet, key", "shared_places")})"""
_FACET_TARGET: Final = "bucket, environment_id, facet, key, project_id"
_FACET_ROWS: Final = f"""
SELECT bucket, environment, facet, key, %(project)s, {_FACT_COLUMNS}, {_HISTOGRAM_COLUMNS}
  FROM of_one WHERE environment <> 0
 UNION ALL
SELECT bucket, 0, facet, key, %(project)s, {_FACT_COLUMNS}, {_HISTOGRAM_COLUMNS}
  FROM of_one WHERE NOT EXISTS (
       SELECT FROM shared WHERE (shared.bucket, shared.facet, shared.key) = (of_one.bucket, of_one.facet, of_one.key))
 UNION ALL
{_joined("bucket, 0, facet, key, %(project)s", "shared_sums", "shared_histograms", "bucket, facet, key")}"""


def facet_minute() -> str:
    """From the calls of some minutes of a project to their facets."""
    step = "'1 minute'"
    return f"""
WITH sums AS MATERIALIZED ({_sums(step, _OF_FACETS)}),
places AS MATERIALIZED ({_places(step, _OF_FACETS)}){_FACETS}
{_insert("facet_minute", _FACET_TARGET)} {_FACET_ROWS}"""


def facet_and_cube_hour() -> str:
    """From the calls of some hours of a project to their cube and their facets, in one statement."""
    step = "'1 hour'"
    return f"""
WITH sums AS MATERIALIZED ({_sums(step, _OF_ALL)}),
places AS MATERIALIZED ({_places(step, _OF_ALL)}),
cube_sums AS (SELECT bucket, {_CUBE}, {_MERGED} FROM sums GROUP BY bucket, {_CUBE}),
cube_places AS (
  SELECT bucket, {_CUBE}, histogram, place, sum(calls)::int AS calls FROM places
   GROUP BY bucket, {_CUBE}, histogram, place),
cube_histograms AS ({_histograms(f"bucket, {_CUBE}", "cube_places")}),
cube AS (
{_insert("cube_hour", f"bucket, {_CUBE}, project_id")}
{_joined(f"bucket, {_CUBE}, %(project)s", "cube_sums", "cube_histograms", f"bucket, {_CUBE}")}){_FACETS}
{_insert("facet_hour", _FACET_TARGET)} {_FACET_ROWS}"""


def cube_day() -> str:
    """From the hours of some days of a project to the days of its cube."""
    return _day("cube", _CUBE)


def facet_day() -> str:
    """From the hours of some days of a project to the days of its facets."""
    return _day("facet", "environment_id, facet, key")


def _day(table: str, dimensions: str) -> str:
    where = "project_id = %(project)s AND bucket >= %(start)s AND bucket < %(stop)s"
    day = "date_bin('1 day', bucket, 'epoch')"
    places = " UNION ALL ".join(
        f"SELECT {day} AS bucket, {dimensions}, {number} AS histogram, place, sum(calls)::int AS calls"
        f" FROM {table}_hour, unnest({histogram.name}_buckets, {histogram.name}_counts) AS counted (place, calls)"
        f" WHERE {where} GROUP BY {day}, {dimensions}, place"
        for number, histogram in enumerate(HISTOGRAMS)
    )
    keys = f"bucket, {dimensions}"
    return f"""
WITH sums AS (
  SELECT {day} AS bucket, {dimensions}, {_MERGED} FROM {table}_hour WHERE {where} GROUP BY {day}, {dimensions}),
places AS ({places}),
histograms AS ({_histograms(keys, "places")})
{_insert(f"{table}_day", f"{keys}, project_id")}
{_joined(f"{keys}, %(project)s", "sums", "histograms", keys)}"""


def user_day() -> str:
    """From the calls of some days of a project to what each user made of them."""
    return f"""
INSERT INTO user_day (bucket, environment_id, user_id, project_id, {_USER_COLUMNS})
SELECT (date_bin('1 day', started_at, 'epoch') AT TIME ZONE 'UTC')::date AS day,
       environment_id, user_id, %(project)s, {_USER_OF_CALLS}
  FROM {CALLS_AND_PRICES}
 WHERE project_id = %(project)s AND id >= %(first)s AND id < %(end)s AND user_id IS NOT NULL
 GROUP BY day, environment_id, user_id"""


def user_month() -> str:
    """From the days of one month of a project to the month. Cheaper than finding out which of its users changed.

    A day that has a mark for its month is left out: it is open, and counted when it is over and the mark is read.
    """
    return f"""
INSERT INTO user_month (bucket, environment_id, user_id, project_id, {_USER_COLUMNS})
SELECT %(month)s, environment_id, user_id, %(project)s, {_USER_MERGED}
  FROM user_day
 WHERE project_id = %(project)s AND bucket >= %(month)s AND bucket < %(month)s + interval '1 month'
   AND bucket NOT IN (SELECT (bucket AT TIME ZONE 'UTC')::date
                        FROM rollup_dirty
                       WHERE grain = {Grain.MONTH:d} AND project_id = %(project)s)
 GROUP BY environment_id, user_id"""


def delete(table: str) -> str:
    """Empty the buckets of a project that are about to be written again."""
    return f"DELETE FROM {table} WHERE project_id = %(project)s AND bucket >= %(start)s AND bucket < %(stop)s"
