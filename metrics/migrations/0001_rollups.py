"""The rollup tables. They hold only what can be recomputed from the calls, whole buckets at a time."""

from django.db import migrations

# What every rollup row knows of its calls. Percentiles are stored because merging histograms at reading time is the
# slowest part of a dashboard; the histograms are stored because percentiles cannot be merged.
FACTS = """
  requests int NOT NULL,
  errors int NOT NULL,
  cancelled int NOT NULL,
  degraded int NOT NULL,
  unpriced int NOT NULL,
  retries int NOT NULL,
  truncated int NOT NULL,
  refused int NOT NULL,
  input_tokens bigint NOT NULL,
  output_tokens bigint NOT NULL,
  cache_read_tokens bigint NOT NULL,
  cache_write_5m_tokens bigint NOT NULL,
  cache_write_1h_tokens bigint NOT NULL,
  cost_nanousd bigint NOT NULL,
  infra_nanousd bigint NOT NULL,
  queue_ms bigint NOT NULL,
  latency_ms bigint NOT NULL,
  latency_p50 int,
  latency_p95 int,
  latency_p99 int,
  ttft_p50 int,
  ttft_p95 int,
  latency_buckets smallint[] NOT NULL,
  latency_counts int[] NOT NULL,
  ttft_buckets smallint[] NOT NULL,
  ttft_counts int[] NOT NULL"""

# environment_id 0 is all environments together; facet and key: metrics.facets.FACETS.
FACET = f"""
CREATE TABLE facet_{{grain}} (
  bucket timestamptz NOT NULL,
  project_id int NOT NULL,
  environment_id int NOT NULL,
  facet smallint NOT NULL,
  key int NOT NULL,{FACTS},
  PRIMARY KEY (project_id, environment_id, facet, bucket, key)
);
-- recompute and retention: "all rows of this bucket"
CREATE INDEX facet_{{grain}}_bucket ON facet_{{grain}} (bucket, project_id);
"""

CUBE = f"""
CREATE TABLE cube_{{grain}} (
  bucket timestamptz NOT NULL,
  project_id int NOT NULL,
  environment_id int NOT NULL,
  feature_id int NOT NULL,
  prompt_type_id int NOT NULL,
  prompt_version_id int NOT NULL,
  model_id int NOT NULL,
  error smallint NOT NULL,{FACTS},
  PRIMARY KEY (project_id, bucket, environment_id, feature_id, prompt_type_id, prompt_version_id, model_id, error)
);
"""

USER = """
CREATE TABLE user_{grain} (
  bucket date NOT NULL,
  project_id int NOT NULL,
  environment_id int NOT NULL,
  user_id text NOT NULL,
  requests int NOT NULL,
  errors int NOT NULL,
  cancelled int NOT NULL,
  unpriced int NOT NULL,
  input_tokens bigint NOT NULL,
  output_tokens bigint NOT NULL,
  cache_read_tokens bigint NOT NULL,
  cache_write_5m_tokens bigint NOT NULL,
  cache_write_1h_tokens bigint NOT NULL,
  cost_nanousd bigint NOT NULL,
  infra_nanousd bigint NOT NULL,
  PRIMARY KEY (project_id, bucket, environment_id, user_id)
);
-- "this user over time"
CREATE INDEX user_{grain}_user ON user_{grain} (project_id, user_id, bucket);
"""


class Migration(migrations.Migration):
    dependencies = [("ingest", "0002_storage")]

    operations = [
        migrations.RunSQL(FACET.format(grain="minute"), "DROP TABLE facet_minute"),
        migrations.RunSQL(FACET.format(grain="hour"), "DROP TABLE facet_hour"),
        migrations.RunSQL(CUBE.format(grain="hour"), "DROP TABLE cube_hour"),
        migrations.RunSQL(CUBE.format(grain="day"), "DROP TABLE cube_day"),
        migrations.RunSQL(USER.format(grain="day"), "DROP TABLE user_day"),
        migrations.RunSQL(USER.format(grain="month"), "DROP TABLE user_month"),
    ]
