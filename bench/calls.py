"""Synthetic calls straight into the table: what a month of a busy product looks like, made by the database itself.

Prompt types fix feature and mostly the model, users are skewed, one call in fifty fails, latencies are log-normal.
Failures are of six types with six messages each, so that with prompt type and version they make 1,440 failure groups.
One call in fifty is scored: whether it was valid and how helpful, and for half of them in a word.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from django.db import connection

from ingest import dimensions, failure_groups
from ingest.failure_groups import Fingerprint
from ingest.histogram import UPPER_MS
from ingest.partitions import ensure_days, lower_bound
from ingest.vocabulary import DimensionKind
from metrics.windows import Window
from projects.models import Project

PROMPT_TYPES: Final = 20
FEATURES: Final = 7
MODELS: Final = 4
VERSIONS: Final = 2
# The first categories of `ingest.vocabulary`, and the messages of each.
ERRORS: Final = 6
MESSAGES: Final = 6

_FILL: Final = f"""
INSERT INTO request_log (
  id, started_at, received_at, cost_nanousd, infra_nanousd, digest, project_id, price_id, environment_id, feature_id,
  prompt_type_id, prompt_version_id, model_id, requested_model_id, flags, duration_ms, ttft_ms, queue_ms, input_tokens,
  output_tokens, cache_read_tokens, cache_write_5m_tokens, cache_write_1h_tokens, outcome, error, source, attempts,
  stop_reason, latency_bucket, ttft_bucket, web_searches, user_id, session_id, error_message, failure_group_id)
SELECT (lpad(to_hex(ms), 12, '0') || '7' || lpad(to_hex(n %% 4096), 3, '0') || '8' || substr(md5(n::text || ms), 1, 15))
         ::uuid,
       to_timestamp(ms / 1000.0), to_timestamp(ms / 1000.0 + 2), input * 3000 + output * 15000, 0, n, %(project)s, 1,
       %(environment)s, (%(features)s::int[])[1 + prompt_type / 3], (%(prompt_types)s::int[])[1 + prompt_type],
       (%(versions)s::int[])[1 + version],
       (%(models)s::int[])[CASE WHEN random() < 0.9 THEN 1 + prompt_type %% 3 ELSE 4 END], (%(models)s::int[])[1], 1,
       duration, duration / 4, 0, input, output, 0, 0, 0,
       CASE WHEN failed THEN 2 ELSE 0 END, CASE WHEN failed THEN error ELSE 0 END, 0, 1, 0,
       width_bucket(duration - 1, %(upper)s::int[]), width_bucket(duration / 4 - 1, %(upper)s::int[]), 0,
       'user-' || floor(100000 * power(random(), 4)), 'session-' || n / 5,
       CASE WHEN failed THEN format('Trouble %%s of type %%s: %%s tokens', chr(65 + message), error, input) END,
       CASE WHEN failed
            THEN (%(groups)s::int[])[1 + ((prompt_type * {VERSIONS} + version) * {ERRORS} + error - 1) * {MESSAGES}
                                       + message] END
  FROM (SELECT n, n %% {VERSIONS} AS version, 1 + n / {VERSIONS} %% {ERRORS} AS error,
               floor({MESSAGES} * power(random(), 2))::int AS message,
               %(first_ms)s + floor(%(span_ms)s * random())::bigint AS ms,
               floor(20 * random())::int AS prompt_type,
               (1200 * exp(0.8 * sqrt(-2 * ln(1 - random())) * cos(2 * pi() * random())))::int + 2 AS duration,
               (800 * exp(random()))::int AS input, (200 * exp(random()))::int AS output, random() < 0.02 AS failed
          FROM generate_series(1, %(calls)s) AS n) AS call
 ORDER BY ms
"""

_SCORE: Final = """
INSERT INTO score (project_id, call_id, name, value, label, at, received_at)
SELECT project_id, id, name, value, label, started_at + interval '1 minute', started_at + interval '1 minute'
  FROM (SELECT project_id, id, started_at, row_number() OVER (ORDER BY id) AS n
          FROM request_log WHERE project_id = %(project)s AND id >= %(first)s AND id < %(end)s) AS call
 CROSS JOIN LATERAL (
       VALUES ('valid', (n %% 500 <> 0)::int::float8, NULL),
              ('helpful', n %% 9 / 8.0, NULL),
              ('tone', NULL, CASE WHEN n %% 300 = 0 THEN 'curt' ELSE 'kind' END)) AS told (name, value, label)
 WHERE n %% 50 = 0 AND (name <> 'tone' OR n %% 100 = 0)
"""


def fill(project: Project, window: Window, calls: int) -> None:
    """Store so many calls evenly over a window that does not reach beyond one day."""
    ensure_days([window.start.date()])

    def ids(kind: DimensionKind, word: str, count: int) -> list[int]:
        names = [f"{word}-{number}" for number in range(count)]
        found = dimensions.ids(project.pk, kind, names)
        return [found[name] for name in names]

    prompt_types = ids(DimensionKind.PROMPT_TYPE, "prompt", PROMPT_TYPES)
    versions = ids(DimensionKind.PROMPT_VERSION, "version", VERSIONS)
    (environment,) = ids(DimensionKind.ENVIRONMENT, "environment", 1)
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")
        # The same calls in each run, others on each day.
        cursor.execute("SELECT setseed(%s)", [window.start.toordinal() % 997 / 997])
        cursor.execute(
            _FILL,
            {
                "project": project.pk,
                "environment": environment,
                "features": ids(DimensionKind.FEATURE, "feature", FEATURES),
                "prompt_types": prompt_types,
                "versions": versions,
                "groups": _groups(project, prompt_types, versions),
                "models": ids(DimensionKind.MODEL, "model", MODELS),
                "first_ms": round(window.start.timestamp() * 1000),
                "span_ms": window.duration // timedelta(milliseconds=1),
                "calls": calls,
                # The last bound is larger than an integer.
                "upper": list(UPPER_MS[:-1]),
            },
        )
        bounds = {"first": lower_bound(window.start), "end": lower_bound(window.end)}
        cursor.execute(_SCORE, {"project": project.pk, **bounds})


def _groups(project: Project, prompt_types: Sequence[int], versions: Sequence[int]) -> list[int]:
    """Return the failure groups by prompt type, version, error and message."""
    fingerprints = [
        Fingerprint(error, f"Trouble {chr(65 + message)} of type #: # tokens", prompt_type, version)
        for prompt_type in prompt_types
        for version in versions
        for error in range(1, ERRORS + 1)
        for message in range(MESSAGES)
    ]
    found = failure_groups.ids(project.pk, fingerprints)
    return [found[one] for one in fingerprints]
