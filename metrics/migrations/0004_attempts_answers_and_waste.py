"""More is counted of each call: attempts, answers without the model, checks, waste, and what the prompt cache saved.

The columns have a default, so that no row is rewritten, and a worker of the version before goes on meanwhile. Then
every bucket whose calls are still kept is marked and counted again, which brings the new columns and the new facets
(prompt version, API key, release) to the past. Buckets whose calls are gone stay as they are.
"""

from django.db import migrations

COUNTS = (
    *("attempts", "answered_sent", "retried", "streamed", "cache_answers", "fallbacks"),
    *("validated", "invalid", "repaired", "repairs"),
)
MONEY = ("failed_nanousd", "truncated_nanousd", "invalid_nanousd", "cache_saved_nanousd")
TABLES = {
    **dict.fromkeys(("facet_minute", "facet_hour", "cube_hour", "cube_day"), COUNTS + MONEY),
    **dict.fromkeys(("user_day", "user_month"), MONEY),
}


def alter(change: str) -> str:
    return "".join(
        f"ALTER TABLE {table} " + ", ".join(change.format(column) for column in columns) + ";\n"
        for table, columns in TABLES.items()
    )


# Minutes mark their hours, hours their days, and days their months. The hours of the days that have minutes are marked
# by these. A day has calls as long as it has a partition, whatever the settings say of its retention now.
MARK = """
INSERT INTO rollup_dirty (project_id, bucket, marked_at, grain)
WITH kept AS (
  SELECT to_date(right(child.relname, 8), 'YYYYMMDD') AS day
    FROM pg_inherits JOIN pg_class child ON child.oid = inhrelid
   WHERE inhparent = 'request_log'::regclass)
SELECT project_id, bucket, now(), 0
  FROM facet_minute
 WHERE facet = 0 AND environment_id = 0 AND (bucket AT TIME ZONE 'UTC')::date IN (SELECT day FROM kept)
UNION ALL
SELECT project_id, bucket, now(), 1
  FROM facet_hour
 WHERE facet = 0 AND environment_id = 0 AND (bucket AT TIME ZONE 'UTC')::date IN (SELECT day FROM kept)
   AND NOT EXISTS (
       SELECT FROM facet_minute
        WHERE facet_minute.project_id = facet_hour.project_id AND facet_minute.environment_id = 0
          AND facet_minute.facet = 0 AND facet_minute.bucket >= facet_hour.bucket
          AND facet_minute.bucket < facet_hour.bucket + interval '1 hour')
"""


class Migration(migrations.Migration):
    dependencies = [("metrics", "0003_months"), ("ingest", "0006_origin")]

    operations = [
        migrations.RunSQL(
            alter("ADD COLUMN {} bigint NOT NULL DEFAULT 0"),
            alter("DROP COLUMN {}"),
        ),
        migrations.RunSQL(MARK, migrations.RunSQL.noop),
    ]
