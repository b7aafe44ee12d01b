"""The life of an ingest key."""

import re
import subprocess
import sys
import zlib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote, urlencode

import pytest
from django.db import connection
from hypothesis import given
from hypothesis import strategies as st

from projects import keys
from projects.models import IngestKey
from tests import factories

NOW = datetime(2026, 11, 22, 10, 0, 30, tzinfo=UTC)
TOKEN = "llv_ing_0123456789_" + "a" * 43 + "_1gF6ur"


@pytest.fixture(autouse=True)
def cold_cache() -> None:
    keys._cache.clear()


def test_a_key_is_prefix_id_secret_and_checksum() -> None:
    signed = TOKEN.rpartition("_")[0]
    number = zlib.crc32(signed.encode())
    assert number == 1_540_340_453
    # 1,540,340,453 in base 62, digits before letters, capitals before small letters.
    assert keys.parse(TOKEN) == ("0123456789", "a" * 43)


@pytest.mark.parametrize("position", range(8, len(TOKEN)))
def test_one_wrong_character_is_noticed_without_asking_anybody(position: int) -> None:
    other = "Z" if TOKEN[position] != "Z" else "Y"
    with pytest.raises(keys.KeyFormatError):
        keys.parse(TOKEN[:position] + other + TOKEN[position + 1 :])


@pytest.mark.parametrize("wrong", ["", "llv_ing_", TOKEN[:-1], TOKEN + "x", f" {TOKEN}", TOKEN + "\n", TOKEN.upper()])
def test_what_does_not_look_like_a_key_is_refused(wrong: str) -> None:
    with pytest.raises(keys.KeyFormatError, match="not an ingest key"):
        keys.parse(wrong)


@given(st.text(max_size=100))
def test_no_text_breaks_the_parser(text: str) -> None:
    with pytest.raises(keys.KeyFormatError):
        keys.parse(text)


@pytest.mark.django_db
def test_a_minted_key_verifies_and_only_its_digest_is_stored() -> None:
    key, token = factories.key(label="web")
    assert re.fullmatch(r"llv_ing_[0-9A-Za-z]{10}_[0-9A-Za-z]{43}_[0-9A-Za-z]{6}", token)
    assert keys.verify(token, NOW) == key
    secret = token.split("_")[3]
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_jsonb(projects_ingestkey)::text FROM projects_ingestkey WHERE id = %s", [key.pk])
        [(row,)] = cursor.fetchall()
    assert secret not in row
    assert len(bytes(key.digest)) == 32


@pytest.mark.django_db
def test_the_secret_of_another_key_does_not_open_this_one() -> None:
    one, two = factories.key()[1].split("_"), factories.key()[1].split("_")
    signed = "_".join([*one[:3], two[3]])
    assert keys.verify(f"{signed}_{keys._checksum(signed)}", NOW) is None


@pytest.mark.django_db
def test_an_unknown_key_is_nobodys() -> None:
    assert keys.verify(TOKEN, NOW) is None


@pytest.mark.django_db
def test_a_key_ends_when_it_expires_even_while_it_is_cached() -> None:
    key, token = factories.key(expires_at=NOW + timedelta(seconds=2))
    assert keys.verify(token, NOW + timedelta(seconds=1)) == key
    assert keys.verify(token, NOW + timedelta(seconds=2)) is None


@pytest.mark.django_db
def test_a_key_revoked_elsewhere_is_refused_after_five_seconds() -> None:
    key, token = factories.key()
    assert keys.verify(token, NOW) == key
    IngestKey.objects.filter(pk=key.pk).update(revoked_at=NOW)
    assert keys.verify(token, NOW + timedelta(seconds=4.9)) == key
    assert keys.verify(token, NOW + timedelta(seconds=5)) is None


@pytest.mark.django_db
def test_a_clock_set_back_does_not_keep_a_revoked_key_alive() -> None:
    key, token = factories.key()
    assert keys.verify(token, NOW) == key
    IngestKey.objects.filter(pk=key.pk).update(revoked_at=NOW)
    assert keys.verify(token, NOW - timedelta(hours=1)) is None


@pytest.mark.django_db
def test_revoking_is_felt_at_once_in_the_same_process_and_keeps_its_first_time() -> None:
    key, token = factories.key()
    assert keys.verify(token, NOW) == key
    keys.revoke(key, NOW)
    assert keys.verify(token, NOW) is None
    keys.revoke(key, NOW + timedelta(days=1))
    assert key.revoked_at == NOW


@pytest.mark.django_db(transaction=True)
def test_a_key_revoked_in_one_process_is_refused_in_another_within_five_seconds() -> None:
    key, token = factories.key()
    script = (
        "import django, sys, time; django.setup()\n"
        "from datetime import UTC, datetime\n"
        "from projects import keys\n"
        "start = None\n"
        "while keys.verify(sys.argv[1], datetime.now(UTC)) is not None:\n"
        "    if start is None:\n"
        "        print('live', flush=True); start = time.monotonic()\n"
        "    time.sleep(0.05)\n"
        "print('refused', flush=True)\n"
    )
    connection.ensure_connection()
    info = connection.connection.info
    login = quote(info.user) + (f":{quote(info.password)}" if info.password else "")
    database = f"postgres://{login}@/{info.dbname}?{urlencode({'host': info.host, 'port': info.port})}"
    with subprocess.Popen(
        [sys.executable, "-c", script, token],
        env={"DATABASE_URL": database, "DJANGO_SETTINGS_MODULE": "config.settings", "SECRET_KEY": "test"},
        cwd=Path(__file__).parent.parent.parent,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "live\n"
        revoked = datetime.now(UTC)
        keys.revoke(key, revoked)
        assert other.stdout.readline() == "refused\n"
        # Five seconds of cache, one look each 50 ms, and a busy machine.
        assert datetime.now(UTC) - revoked < timedelta(seconds=8)


@pytest.mark.django_db
def test_the_last_use_is_written_once_a_minute() -> None:
    key, token = factories.key()

    def use(after: float) -> datetime | None:
        assert keys.verify(token, NOW + timedelta(seconds=after)) is not None
        return IngestKey.objects.get(pk=key.pk).last_used_at

    minute = NOW.replace(second=0)
    assert use(0) == minute
    assert use(20) == minute
    assert use(29) == minute
    assert use(31) == minute + timedelta(minutes=1)
    assert use(89) == minute + timedelta(minutes=1)


@pytest.mark.django_db
def test_a_wrong_secret_is_no_use() -> None:
    key, token = factories.key()
    parts = token.split("_")
    signed = "_".join([*parts[:3], "0" * 43])
    keys.verify(f"{signed}_{keys._checksum(signed)}", NOW)
    assert IngestKey.objects.get(pk=key.pk).last_used_at is None


@pytest.mark.django_db
def test_a_cached_key_asks_the_database_nothing() -> None:
    _, token = factories.key()
    keys.verify(token, NOW)
    with connection.execute_wrapper(_no_query):
        assert keys.verify(token, NOW + timedelta(seconds=1)) is not None
        assert keys.verify(token, NOW + timedelta(seconds=4)) is not None


def _no_query(*_args: object) -> None:
    pytest.fail("a query was sent")


@pytest.mark.django_db
def test_strangers_cannot_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "_MOST_CACHED", 10)
    for number in range(50):
        signed = f"llv_ing_{number:010}_{'0' * 43}"
        assert keys.verify(f"{signed}_{keys._checksum(signed)}", NOW) is None
    assert len(keys._cache) <= 10
