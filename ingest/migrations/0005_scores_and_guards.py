"""Scores of calls, and what clients tell about their breakers and limiters."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("ingest", "0004_quality_and_hashes"),
        ("projects", "0002_sign_in_tries"),
    ]

    operations = [
        migrations.AddField(
            model_name="clientinstance",
            name="guards",
            field=models.JSONField(
                db_default={}, default=dict, help_text="Breaker and limiter of each group of models, as last told."
            ),
        ),
        migrations.CreateModel(
            name="BreakerTransition",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "project",
                        "boot_id",
                        "group",
                        "at",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("boot_id", models.UUIDField(help_text="Of the process, as in client_instance.")),
                (
                    "group",
                    models.CharField(
                        help_text="The models that share a breaker, as the client calls them.", max_length=100
                    ),
                ),
                ("at", models.DateTimeField(help_text="By the client's clock.")),
                ("instance", models.CharField(max_length=64)),
                ("before", models.SmallIntegerField(help_text="ingest.vocabulary.BreakerState")),
                ("after", models.SmallIntegerField(help_text="ingest.vocabulary.BreakerState")),
                ("reason", models.CharField(blank=True, max_length=200)),
                ("retry_in_ms", models.IntegerField(null=True)),
                (
                    "project",
                    models.ForeignKey(
                        db_index=False, on_delete=django.db.models.deletion.CASCADE, to="projects.project"
                    ),
                ),
            ],
            options={
                "db_table": "breaker_transition",
            },
        ),
        migrations.CreateModel(
            name="Score",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "project", "call_id", "name", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("call_id", models.UUIDField(help_text="The call may arrive later, or never.")),
                ("name", models.CharField(max_length=64)),
                ("value", models.FloatField(null=True)),
                ("label", models.CharField(max_length=200, null=True)),
                ("comment", models.CharField(max_length=500, null=True)),
                ("at", models.DateTimeField(help_text="By the clock of whoever told it.")),
                ("received_at", models.DateTimeField()),
                (
                    "project",
                    models.ForeignKey(
                        db_index=False, on_delete=django.db.models.deletion.CASCADE, to="projects.project"
                    ),
                ),
            ],
            options={
                "db_table": "score",
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("label__isnull", True), ("value__isnull", False)),
                            models.Q(("label__isnull", False), ("value__isnull", True)),
                            _connector="OR",
                        ),
                        name="score_number_or_word",
                    )
                ],
            },
        ),
    ]
