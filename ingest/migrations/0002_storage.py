"""The partitioned tables, which Django's schema editor cannot make. Why each choice: docs/architecture.md, Storage."""

from django.db import migrations

# Widest fixed columns first, so that no row is padded. Ranges are bounds on the UUIDv7 id: time is in the id.
REQUEST_LOG = """
CREATE TABLE request_log (
  id uuid NOT NULL,
  trace_id uuid,
  started_at timestamptz NOT NULL,
  received_at timestamptz NOT NULL,
  cost_nanousd bigint,
  infra_nanousd bigint NOT NULL,
  digest bigint NOT NULL,
  span_id bigint,
  project_id int NOT NULL,
  price_id int,
  environment_id int NOT NULL,
  feature_id int NOT NULL,
  prompt_type_id int NOT NULL,
  prompt_version_id int NOT NULL,
  model_id int NOT NULL,
  requested_model_id int NOT NULL,
  flags int NOT NULL,
  duration_ms int NOT NULL,
  ttft_ms int,
  queue_ms int,
  input_tokens int NOT NULL,
  output_tokens int NOT NULL,
  cache_read_tokens int NOT NULL,
  cache_write_5m_tokens int NOT NULL,
  cache_write_1h_tokens int NOT NULL,
  requests_limit int,
  requests_remaining int,
  input_limit int,
  input_remaining int,
  output_limit int,
  output_remaining int,
  outcome smallint NOT NULL,
  error smallint NOT NULL,
  source smallint NOT NULL,
  attempts smallint NOT NULL,
  http_status smallint,
  stop_reason smallint,
  latency_bucket smallint NOT NULL,
  ttft_bucket smallint,
  web_searches smallint NOT NULL,
  user_id text,
  session_id text,
  request_id text,
  error_message text,
  detail jsonb,
  PRIMARY KEY (project_id, id)
) PARTITION BY RANGE (id);
-- "what did this user get, newest first"
CREATE INDEX request_log_user ON request_log (project_id, user_id, id DESC) WHERE user_id IS NOT NULL;
-- "the whole conversation"
CREATE INDEX request_log_session ON request_log (project_id, session_id, id DESC) WHERE session_id IS NOT NULL;
-- "the failures of this feature, newest first"
CREATE INDEX request_log_failed ON request_log (project_id, feature_id, id DESC) WHERE outcome <> 0;
"""

REQUEST_BODY = """
CREATE TABLE request_body (
  id uuid NOT NULL,
  project_id int NOT NULL,
  dictionary_id smallint NOT NULL,
  body bytea NOT NULL,
  PRIMARY KEY (project_id, id)
) PARTITION BY RANGE (id);
-- Bodies arrive compressed; compressing them again costs time and saves nothing.
ALTER TABLE request_body ALTER COLUMN body SET STORAGE EXTERNAL;
"""

# Append-only and without a key: the ingest path never waits for the rollup, and a mark is deleted by its own id only
# after the bucket it names was recomputed, so a mark made meanwhile survives.
ROLLUP_DIRTY = """
CREATE TABLE rollup_dirty (
  id bigint GENERATED ALWAYS AS IDENTITY,
  bucket timestamptz NOT NULL,
  marked_at timestamptz NOT NULL,
  project_id int NOT NULL,
  grain smallint NOT NULL
);
-- "the oldest marks of this grain"
CREATE INDEX rollup_dirty_grain ON rollup_dirty (grain, id);
"""


class Migration(migrations.Migration):
    dependencies = [("ingest", "0001_initial")]

    operations = [
        migrations.RunSQL(REQUEST_LOG, "DROP TABLE request_log"),
        migrations.RunSQL(REQUEST_BODY, "DROP TABLE request_body"),
        migrations.RunSQL(ROLLUP_DIRTY, "DROP TABLE rollup_dirty"),
    ]
