"""Where a call came from as numbers: application, release, SDK and API key. The same few words stood in every row.

Columns without a default: PostgreSQL notes them in its catalogue and touches no row. Calls stored before keep their
words in `detail`.
"""

from django.db import migrations

COLUMNS = ("app_id", "release_id", "sdk_id", "key_id")
ADD = "ALTER TABLE request_log " + ", ".join(f"ADD COLUMN {column} int" for column in COLUMNS)
DROP = "ALTER TABLE request_log " + ", ".join(f"DROP COLUMN {column}" for column in COLUMNS)


class Migration(migrations.Migration):
    dependencies = [("ingest", "0005_scores_and_guards")]

    operations = [migrations.RunSQL(ADD, DROP)]
