"""Failed calls by failure group: by the minute and the hour, counted with the facets from the calls, and by the day.

Nothing is marked here. Failures stored before have no group yet; the periodic work gives them one and marks their
minutes (`ingest.ungrouped`), and so they are counted.
"""

from django.db import migrations

# The last call is the one with the greatest id, which is by time. No row for all environments together: a page adds up.
TABLE = """
CREATE TABLE failure_{grain} (
  bucket timestamptz NOT NULL,
  first_at timestamptz NOT NULL,
  last_call uuid NOT NULL,
  project_id int NOT NULL,
  environment_id int NOT NULL,
  group_id int NOT NULL,
  calls int NOT NULL,
  PRIMARY KEY (project_id, bucket, environment_id, group_id)
);
-- "this group over time"
CREATE INDEX failure_{grain}_group ON failure_{grain} (project_id, group_id, bucket);
-- retention: "all rows before this bucket"
CREATE INDEX failure_{grain}_bucket ON failure_{grain} (bucket);
"""


class Migration(migrations.Migration):
    dependencies = [("metrics", "0007_scores"), ("ingest", "0012_failure_groups")]

    operations = [
        migrations.RunSQL(TABLE.format(grain=grain), f"DROP TABLE failure_{grain}")
        for grain in ("minute", "hour", "day")
    ]
