"""Synthetic calls straight into the table: what a month of a busy product looks like, made by the database itself.

Prompt types fix feature and mostly the model, users are skewed, one call in fifty fails, latencies are log-normal.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta

from django.db import connection

from ingest.histogram import UPPER_MS
from ingest.partitions import ensure_days
from ingest.vocabulary import DimensionKind
from projects.models import Project

PROMPT_TYPES = 20
DAY = timedelta(days=1)

_FILL = """
INSERT INTO request_log (
  id, started_at, received_at, cost_nanousd, infra_nanousd, digest, project_id, price_id, environment_id, feature_id,
  prompt_type_id, prompt_version_id, model_id, requested_model_id, flags, duration_ms, ttft_ms, queue_ms, input_tokens,
  output_tokens, cache_read_tokens, cache_write_5m_tokens, cache_write_1h_tokens, outcome, error, source, attempts,
  stop_reason, latency_bucket, ttft_bucket, web_searches, user_id, session_id)
SELECT (lpad(to_hex(ms), 12, '0') || '7' || lpad(to_hex(n %% 4096), 3, '0') || '8' || substr(md5(n::text || ms), 1, 15))
         ::uuid,
       to_timestamp(ms / 1000.0), to_timestamp(ms / 1000.0 + 2), input * 3000 + output * 15000, 0, n, %(project)s, 1,
       %(environment)s, 1000 + prompt_type / 3, 2000 + prompt_type, 3000 + n %% 2,
       4000 + CASE WHEN random() < 0.9 THEN prompt_type %% 3 ELSE 3 END, 4000, 1, duration, duration / 4, 0, input,
       output, 0, 0, 0, CASE WHEN failed THEN 2 ELSE 0 END, CASE WHEN failed THEN 1 + n %% 6 ELSE 0 END, 0, 1, 0,
       width_bucket(duration - 1, %(upper)s::int[]), width_bucket(duration / 4 - 1, %(upper)s::int[]), 0,
       'user-' || floor(100000 * power(random(), 4)), 'session-' || n / 5
  FROM (SELECT n,
               (extract(epoch FROM %(day)s::timestamptz) * 1000)::bigint + floor(86400000 * random())::bigint AS ms,
               floor(%(prompt_types)s * random())::int AS prompt_type,
               (1200 * exp(0.8 * sqrt(-2 * ln(1 - random())) * cos(2 * pi() * random())))::int + 2 AS duration,
               (800 * exp(random()))::int AS input, (200 * exp(random()))::int AS output, random() < 0.02 AS failed
          FROM generate_series(1, %(calls)s) AS n) AS call
 ORDER BY ms
"""


def fill(project: Project, *, first_day: datetime, days: int, calls: int) -> Iterator[datetime]:
    """Store `calls` calls evenly over `days` days, yielding each day as it is done."""
    starts = [first_day + day * DAY for day in range(days)]
    ensure_days(start.date() for start in starts)
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0; SELECT setseed(0.42)")
        cursor.execute(
            "INSERT INTO dim (id, project_id, kind, name) SELECT 1, %(project)s, %(environment)s, 'production'"
            " UNION ALL SELECT 2000 + n, %(project)s, %(kind)s, 'prompt-' || n FROM generate_series(0, %(last)s) AS n"
            " ON CONFLICT DO NOTHING",
            {
                "project": project.id,
                "environment": DimensionKind.ENVIRONMENT,
                "kind": DimensionKind.PROMPT_TYPE,
                "last": PROMPT_TYPES - 1,
            },
        )
        for start in starts:
            cursor.execute(
                _FILL,
                {
                    "project": project.id,
                    "environment": 1,
                    "day": start,
                    "prompt_types": PROMPT_TYPES,
                    "calls": calls // days,
                    "upper": list(UPPER_MS[:-1]),
                },
            )
            yield start
        cursor.execute("ANALYZE request_log")
