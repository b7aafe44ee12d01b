"""Every month is counted again: what came on the last evening of one was missing in it."""

from django.db import migrations

# A day that is open now keeps its mark until it is over.
MARK = """
INSERT INTO rollup_dirty (project_id, bucket, marked_at, grain)
SELECT DISTINCT project_id, bucket::timestamp AT TIME ZONE 'UTC', now(), 3 FROM user_day
"""
UNMARK = "DELETE FROM rollup_dirty WHERE grain = 3"


class Migration(migrations.Migration):
    dependencies = [("metrics", "0002_hours_from_the_index")]

    operations = [migrations.RunSQL(MARK, UNMARK)]
