from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("ingest", "0007_newest_failures")]

    operations = [
        migrations.CreateModel(
            name="ProviderLimit",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "group", "limiter", primary_key=True, serialize=False, blank=True, editable=False
                    ),
                ),
                (
                    "group",
                    models.CharField(
                        max_length=100, help_text="The models that share it, as ingest.model_groups names them."
                    ),
                ),
                ("limiter", models.CharField(max_length=16, help_text="requests, input or output; per minute.")),
                ("value", models.BigIntegerField()),
                ("read_at", models.DateTimeField()),
            ],
            options={"db_table": "provider_limit"},
        ),
    ]
