"""What was told of answers, by hour and day, name and word.

The hours of all scores are marked, so that the worker counts them from the scores that are there. A score goes with its
call, so there is none of a day that is gone.
"""

from django.db import migrations

# label '' is a number. The lowest numbers are kept with their calls, to be looked at.
VALUES = """
  name text NOT NULL,
  label text NOT NULL,
  scores int NOT NULL,
  score_numbers int NOT NULL,
  score_total numeric NOT NULL,
  lowest_values float8[] NOT NULL,
  lowest_calls uuid[] NOT NULL,"""

# As in facet_hour, environment 0 is all environments together.
FACET = f"""
CREATE TABLE score_hour (
  bucket timestamptz NOT NULL,
  project_id int NOT NULL,
  environment_id int NOT NULL,
  key int NOT NULL,
  facet smallint NOT NULL,{VALUES}
  PRIMARY KEY (project_id, environment_id, facet, bucket, key, name, label)
);
-- recompute and retention: "all rows of this bucket"
CREATE INDEX score_hour_bucket ON score_hour (bucket, project_id);
"""

CUBE = f"""
CREATE TABLE score_cube_{{grain}} (
  bucket timestamptz NOT NULL,
  project_id int NOT NULL,
  environment_id int NOT NULL,
  feature_id int NOT NULL,
  prompt_type_id int NOT NULL,
  prompt_version_id int NOT NULL,
  model_id int NOT NULL,
  error smallint NOT NULL,{VALUES}
  PRIMARY KEY (project_id, bucket, environment_id, feature_id, prompt_type_id, prompt_version_id, model_id, error,
               name, label)
);
"""

MARK = """
INSERT INTO rollup_dirty (project_id, bucket, marked_at, grain)
SELECT DISTINCT project_id,
       to_timestamp(('x' || substr(replace(call_id::text, '-', ''), 1, 12))::bit(48)::bigint / 3600000 * 3600), now(), 4
  FROM score
"""
UNMARK = "DELETE FROM rollup_dirty WHERE grain IN (4, 5)"


class Migration(migrations.Migration):
    dependencies = [("metrics", "0006_facet_days"), ("ingest", "0005_scores_and_guards")]

    operations = [
        migrations.RunSQL(FACET, "DROP TABLE score_hour"),
        migrations.RunSQL(CUBE.format(grain="hour"), "DROP TABLE score_cube_hour"),
        migrations.RunSQL(CUBE.format(grain="day"), "DROP TABLE score_cube_day"),
        migrations.RunSQL(MARK, UNMARK),
    ]
