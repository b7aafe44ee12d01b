"""The newest failures of a project, and the newest changes of its breakers, without reading those of all features.

A call that was answered is not in the index, so it costs nothing where it matters.
"""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("ingest", "0006_origin")]

    operations = [
        migrations.RunSQL(
            "CREATE INDEX request_log_failures ON request_log (project_id, id DESC) WHERE outcome IN (2, 3)",
            "DROP INDEX request_log_failures",
        ),
        migrations.AddIndex(
            model_name="breakertransition",
            index=models.Index(fields=["project", "-at"], name="breaker_transition_at"),
        ),
    ]
