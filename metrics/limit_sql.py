# ruff: noqa: S608 — the names come from the declarations below, values are always parameters
"""The SQL that writes `limit_minute`: what answers said of the provider's limits, and what was used of them.

One row per minute, environment and group of models that share limits, fast calls apart. Limits and use belong to the
model that answered; refusals to the one that was asked for, whoever answered in the end. Batches have limits of their
own and are left out.
"""

from typing import Final

from ingest.vocabulary import ErrorCategory, Flag

LIMITERS: Final = ("requests", "input", "output")
"""What the provider limits, each per minute."""
WHOLE: Final = 1_000_000
"""Peaks are kept in millionths of the limit: the fullest of a minute, by the answers' headers."""

# Column → the category it counts: attempts that were refused, those that were tried again included.
REFUSALS: Final = {
    "rate_limits": ErrorCategory.RATE_LIMIT,
    "ramp_limits": ErrorCategory.RAMP_LIMIT,
    "spend_limits": ErrorCategory.SPEND_LIMIT,
}
_OWN: Final = ErrorCategory.LOCAL_RATE_LIMITED
_WINDOW: Final = "project_id = %(project)s AND id >= %(first)s AND id < %(end)s"
_KEYS: Final = "date_bin('1 minute', started_at, 'epoch') AS bucket, environment_id"
_FAST: Final = f"flags & {Flag.FAST:d} <> 0 AS is_fast"
# The headers came with the beginning of the answer.
_ANSWERED_AT: Final = "started_at + coalesce(ttft_ms, duration_ms) * interval '1 millisecond'"
# What counts against the limit of input: reading the provider's cache does not.
_INPUT: Final = "input_tokens::bigint + cache_write_5m_tokens + cache_write_1h_tokens"
_SUMMED: Final = ("attempts", "input_tokens", "output_tokens", "wait_ms", "waits")
_REFUSED: Final = (*REFUSALS, "own_refusals")


def _of_headers(limiter: str) -> str:
    """The newest limit and what remained of it, as an array that sorts by time; and the fullest, in millionths."""
    limit, remaining = f"{limiter}_limit", f"least({limiter}_remaining, {limiter}_limit)"
    told = f"{limit} > 0 AND {remaining} IS NOT NULL"
    at = f"(extract(epoch FROM {_ANSWERED_AT}) * 1000)::bigint"
    return (
        f"max(CASE WHEN {told} THEN ARRAY[{at}, {limit}, {remaining}] END) AS {limiter}_newest,"
        f" max(CASE WHEN {told} THEN ({limit} - {remaining})::bigint * {WHOLE} / {limit} END) AS {limiter}_peak"
    )


def _refused(column: str, category: ErrorCategory) -> str:
    tried = (
        f"""jsonb_array_length(jsonb_path_query_array(detail, '$.attempts[*] ? (@.category == "{_word(category)}")'))"""
    )
    # A call that lists no attempts was refused at least once when that is how it ended.
    return f"coalesce(sum(greatest({tried}, (error = {category:d})::int)), 0) AS {column}"


def _word(category: ErrorCategory) -> str:
    return category.name.lower()


def limit_minute() -> str:
    """From the calls of some minutes of a project to the limits and their use.

    `models` and `pools` say which model draws on which pool. Environment 0 is all of them together.
    """
    headers = ", ".join(_of_headers(limiter) for limiter in LIMITERS)
    known = ", ".join(
        f"to_timestamp((max({limiter}_newest))[1] / 1000.0), (max({limiter}_newest))[2], (max({limiter}_newest))[3],"
        f" max({limiter}_peak)"
        for limiter in LIMITERS
    )
    nothing = ", ".join("NULL::bigint[], NULL::bigint" for _ in LIMITERS)
    refusals = ", ".join(_refused(column, category) for column, category in REFUSALS.items())
    categories = ", ".join(f"{category:d}" for category in (*REFUSALS.values(), _OWN))
    named = ", ".join(f"{limiter}_{what}" for limiter in LIMITERS for what in ("at", "limit", "remaining", "peak"))
    merged = ", ".join([*(f"sum({column})" for column in (*_SUMMED, *_REFUSED)), "max(longest_wait_ms)"])
    return f"""
WITH used AS (
  SELECT {_KEYS}, CASE WHEN model_id <> 0 THEN model_id ELSE requested_model_id END AS model_id, {_FAST}, {headers},
         sum(attempts) AS attempts,
         coalesce(sum({_INPUT}) FILTER (WHERE attempts > 0), 0) AS input_tokens,
         coalesce(sum(output_tokens) FILTER (WHERE attempts > 0), 0) AS output_tokens,
         coalesce(sum(queue_ms), 0) AS wait_ms, count(*) FILTER (WHERE queue_ms > 0) AS waits,
         coalesce(max(queue_ms), 0) AS longest_wait_ms
    FROM request_log WHERE {_WINDOW} AND flags & {Flag.BATCH:d} = 0
   GROUP BY 1, 2, 3, 4),
refused AS (
  SELECT {_KEYS}, requested_model_id AS model_id, {_FAST}, {refusals},
         count(*) FILTER (WHERE error = {_OWN:d}) AS own_refusals
    FROM request_log
   WHERE {_WINDOW} AND flags & {Flag.BATCH:d} = 0
     AND (error IN ({categories}) OR (attempts > 1 AND detail IS NOT NULL))
   GROUP BY 1, 2, 3, 4),
parts AS (
  SELECT bucket, environment_id, model_id, is_fast, {", ".join(f"{one}_newest, {one}_peak" for one in LIMITERS)},
         {", ".join(_SUMMED)}, {", ".join(f"0 AS {column}" for column in _REFUSED)}, longest_wait_ms FROM used
   UNION ALL
  SELECT bucket, environment_id, model_id, is_fast, {nothing}, {", ".join("0" for _ in _SUMMED)},
         {", ".join(_REFUSED)}, 0 FROM refused)
INSERT INTO limit_minute (project_id, bucket, environment_id, pool_id, is_fast, {named},
                          {", ".join((*_SUMMED, *_REFUSED))}, longest_wait_ms)
SELECT %(project)s, bucket, CASE WHEN grouping(environment_id) = 0 THEN environment_id ELSE 0 END, pool_id, is_fast,
       {known}, {merged}
  FROM parts JOIN unnest(%(models)s::int[], %(pools)s::int[]) AS pool (model_id, pool_id) USING (model_id)
 GROUP BY GROUPING SETS ((bucket, pool_id, is_fast), (bucket, pool_id, is_fast, environment_id))
HAVING grouping(environment_id) = 1 OR environment_id <> 0"""
