"""Fills the price book, so that the first call is priced."""

from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

from ingest import pricelist


def load(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    price = apps.get_model("ingest", "Price")
    price._default_manager.using(schema_editor.connection.alias).bulk_create(
        [price(**row) for row in pricelist.read()], ignore_conflicts=True
    )


class Migration(migrations.Migration):
    dependencies = [("ingest", "0002_storage")]

    # Backwards the rows stay: they may be somebody's corrections by then, and dropping the table takes them along.
    operations = [migrations.RunPython(load, migrations.RunPython.noop)]
