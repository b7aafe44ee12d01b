"""What of a process's events arrived, and when a name was first seen. Both are unknown for what was there before."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("ingest", "0008_provider_limits")]

    operations = [
        migrations.AddField(
            model_name="clientinstance",
            name="received",
            field=models.BigIntegerField(
                help_text="Its events that arrived here; empty for a process first seen before they were counted.",
                null=True,
            ),
        ),
        migrations.AddField(
            model_name="dimension",
            name="first_seen_at",
            field=models.DateTimeField(
                help_text="The earliest call of the batch that brought the name; empty before migration 0009.",
                null=True,
            ),
        ),
        migrations.AddIndex(
            model_name="dimension",
            index=models.Index(
                condition=models.Q(("kind__in", (4, 7))), fields=["project", "first_seen_at"], name="dim_first_seen"
            ),
        ),
    ]
