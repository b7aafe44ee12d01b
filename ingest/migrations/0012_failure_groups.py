"""Failed calls know which others they look like.

A column without a default rewrites no row, and is empty in calls that did not fail, so neither index costs them
anything. Failures stored before, or by a process of the version before, get their group from the periodic work
(`ingest.ungrouped`), which the second index makes quick; it is empty once that is done.
"""

import django.db.models.deletion
from django.db import migrations, models

INDEXES = """
CREATE INDEX request_log_failure_group ON request_log (project_id, failure_group_id, id DESC)
  INCLUDE (user_id, environment_id) WHERE failure_group_id IS NOT NULL;
CREATE INDEX request_log_ungrouped ON request_log (id DESC) WHERE outcome IN (2, 3) AND failure_group_id IS NULL;
"""
NO_INDEXES = "DROP INDEX request_log_failure_group; DROP INDEX request_log_ungrouped;"


class Migration(migrations.Migration):
    dependencies = [("ingest", "0011_bad_answers"), ("projects", "0001_initial")]

    operations = [
        migrations.CreateModel(
            name="FailureGroup",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("error", models.SmallIntegerField(help_text="ingest.vocabulary.ErrorCategory")),
                ("template", models.CharField(max_length=200, help_text="ingest.message_template")),
                ("prompt_type_id", models.IntegerField(help_text="In dim; 0 is none.")),
                ("prompt_version_id", models.IntegerField(help_text="In dim; 0 is none.")),
                (
                    "project",
                    models.ForeignKey(
                        db_index=False, on_delete=django.db.models.deletion.CASCADE, to="projects.project"
                    ),
                ),
            ],
            options={
                "db_table": "failure_group",
                "constraints": [
                    models.UniqueConstraint(
                        fields=("project", "error", "prompt_type_id", "prompt_version_id", "template"),
                        name="failure_group_once",
                    )
                ],
            },
        ),
        migrations.RunSQL(
            "ALTER TABLE request_log ADD COLUMN failure_group_id int",
            "ALTER TABLE request_log DROP COLUMN failure_group_id",
        ),
        migrations.RunSQL(INDEXES, NO_INDEXES),
    ]
