"""Changes that people and their tools tell, to be drawn into the charts."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("projects", "0002_sign_in_tries")]

    operations = [
        migrations.CreateModel(
            name="Annotation",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("at", models.DateTimeField(help_text="UTC; when the change took effect.")),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("deploy", "Deploy"),
                            ("config", "Configuration"),
                            ("incident", "Incident"),
                            ("note", "Note"),
                        ],
                        default="deploy",
                        max_length=16,
                    ),
                ),
                ("title", models.CharField(max_length=120)),
                ("detail", models.CharField(blank=True, max_length=500)),
                ("link", models.URLField(blank=True, help_text="http:// or https://", max_length=500)),
                (
                    "environment",
                    models.CharField(blank=True, help_text="Empty: all environments together.", max_length=64),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "project",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="annotations",
                        to="projects.project",
                    ),
                ),
            ],
            options={
                "ordering": ["-at"],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("project", "at", "kind", "title", "environment"), name="annotation_once"
                    )
                ],
            },
        ),
    ]
