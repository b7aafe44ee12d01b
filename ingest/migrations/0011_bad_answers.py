"""The newest answers that failed for what they were: declined, cut off, or in the wrong form.

They are few among the failures, and a page that looks for the last of them would read all others.
"""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("ingest", "0009_what_arrived")]

    operations = [
        migrations.RunSQL(
            "CREATE INDEX request_log_bad_answers ON request_log (project_id, id DESC) WHERE error IN (15, 16, 17)",
            "DROP INDEX request_log_bad_answers",
        ),
    ]
