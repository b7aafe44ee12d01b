"""What the provider's limits were and how far they were used, by the minute and group of models; kept for days.

The minutes of the last days are marked, so that the worker counts the new table from the calls that are kept: a minute
that was never counted must not look like one in which nothing was used.
"""

from django.db import migrations

# environment_id 0 is all environments together; a pool is named by the first of its models (metrics.pools).
LIMIT_MINUTE = """
CREATE TABLE limit_minute (
  bucket timestamptz NOT NULL,
  requests_at timestamptz,
  input_at timestamptz,
  output_at timestamptz,
  input_tokens bigint NOT NULL,
  output_tokens bigint NOT NULL,
  wait_ms bigint NOT NULL,
  project_id int NOT NULL,
  pool_id int NOT NULL,
  environment_id int NOT NULL,
  attempts int NOT NULL,
  requests_limit int,
  requests_remaining int,
  requests_peak int,
  input_limit int,
  input_remaining int,
  input_peak int,
  output_limit int,
  output_remaining int,
  output_peak int,
  rate_limits int NOT NULL,
  ramp_limits int NOT NULL,
  spend_limits int NOT NULL,
  own_refusals int NOT NULL,
  waits int NOT NULL,
  longest_wait_ms int NOT NULL,
  is_fast boolean NOT NULL,
  PRIMARY KEY (project_id, environment_id, pool_id, is_fast, bucket)
);
-- recompute and retention: "all rows of this bucket"
CREATE INDEX limit_minute_bucket ON limit_minute (bucket, project_id);
-- "when was the spend limit met last"
CREATE INDEX limit_minute_spend ON limit_minute (project_id, environment_id, bucket) WHERE spend_limits > 0;
"""

MARK = """
INSERT INTO rollup_dirty (project_id, bucket, marked_at, grain)
WITH kept AS (
  SELECT to_date(right(child.relname, 8), 'YYYYMMDD') AS day
    FROM pg_inherits JOIN pg_class child ON child.oid = inhrelid
   WHERE inhparent = 'request_log'::regclass)
SELECT project_id, bucket + minute * interval '1 minute', now(), 0
  FROM facet_hour CROSS JOIN generate_series(0, 59) AS minute
 WHERE facet = 0 AND environment_id = 0 AND bucket >= now() - interval '9 days'
   AND (bucket AT TIME ZONE 'UTC')::date IN (SELECT day FROM kept)
 UNION
SELECT project_id, bucket, now(), 0
  FROM facet_minute
 WHERE facet = 0 AND environment_id = 0 AND (bucket AT TIME ZONE 'UTC')::date IN (SELECT day FROM kept)
"""


class Migration(migrations.Migration):
    dependencies = [("metrics", "0004_attempts_answers_and_waste")]

    operations = [
        migrations.RunSQL(LIMIT_MINUTE, "DROP TABLE limit_minute"),
        migrations.RunSQL(MARK, migrations.RunSQL.noop),
    ]
