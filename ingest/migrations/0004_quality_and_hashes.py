"""A call keeps whether its answer had the form asked for, and what proves its texts.

Columns without a default: PostgreSQL notes them in its catalogue and touches no row, however many days there are.
"""

from django.db import migrations

# hashes: the first 16 bytes of the SHA-256 of the request, then of the response; nought for one that was not told.
ADD = "ALTER TABLE request_log ADD COLUMN valid smallint, ADD COLUMN repairs smallint, ADD COLUMN hashes bytea"
DROP = "ALTER TABLE request_log DROP COLUMN valid, DROP COLUMN repairs, DROP COLUMN hashes"


class Migration(migrations.Migration):
    dependencies = [("ingest", "0003_prices")]

    operations = [migrations.RunSQL(ADD, DROP)]
