"""The door: every documented answer, and nothing but documented answers."""

import gzip
import json
import threading
import uuid
import zlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
import zstandard
from django.db import connection, connections
from django.test import Client
from django.utils import timezone

from ingest import inflate
from ingest.models import ClientInstance, Quarantined, RequestLog
from ingest.vocabulary import ErrorCategory, Flag, StopReason
from projects import keys
from projects.models import IngestKey, Project
from tests import factories

pytestmark = pytest.mark.django_db

type_json = "application/json"


class Sender:
    """Posts to the API as a client would."""

    def __init__(self) -> None:
        self.project: Project = factories.project()
        self.key, self.token = factories.key(self.project)

    def post(self, body: bytes, *, token: str | None = None, content_type: str = type_json, encoding: str = "") -> Any:
        headers = {"Authorization": f"Bearer {self.token if token is None else token}"}
        if encoding:
            headers["Content-Encoding"] = encoding
        return Client(raise_request_exception=False).post(
            "/api/v1/events", body, content_type=content_type, headers=headers
        )

    def send(self, *events: object, **envelope: Any) -> Any:
        return self.post(json.dumps({"events": events, **envelope}).encode())


@pytest.fixture
def sender(db: None) -> Sender:
    return Sender()


@pytest.fixture
def now() -> datetime:
    """The moment of sending, to the millisecond, as ids carry it."""
    found = timezone.now()
    return found.replace(microsecond=found.microsecond // 1000 * 1000)


def only_call(project: Project) -> RequestLog:
    return RequestLog.objects.get(project=project)


# --- what is stored -------------------------------------------------------------------------------------------------


def test_a_batch_is_stored_and_counted(sender: Sender, now: datetime) -> None:
    answer = sender.send(factories.event(now), factories.event(now))
    assert answer.status_code == 200
    assert answer.json() == {
        "accepted": 2,
        "duplicates": 0,
        "conflicts": 0,
        "quarantined": 0,
        "rejected": [],
        "policy_version": 0,
    }
    assert RequestLog.objects.filter(project=sender.project).count() == 2


def test_the_same_batch_again_is_all_duplicates(sender: Sender, now: datetime) -> None:
    batch = [factories.event(now), factories.event(now)]
    sender.send(*batch)
    answer = sender.send(*batch).json()
    assert (answer["accepted"], answer["duplicates"], answer["conflicts"]) == (0, 2, 0)
    assert RequestLog.objects.filter(project=sender.project).count() == 2


def test_an_empty_batch_is_a_sign_of_life(sender: Sender) -> None:
    boot = str(uuid.uuid4())
    answer = sender.send(client={"instance": "web-1/7", "boot_id": boot, "emitted": 5, "dropped": {"overflow": 2}})
    assert answer.status_code == 200
    assert answer.json()["accepted"] == 0
    seen = ClientInstance.objects.get(project=sender.project)
    assert (seen.instance, str(seen.boot_id), seen.emitted, seen.dropped) == ("web-1/7", boot, 5, {"overflow": 2})


@pytest.mark.parametrize(
    ("encoding", "compress"),
    [
        ("gzip", gzip.compress),
        ("GZIP", gzip.compress),
        ("zstd", zstandard.ZstdCompressor().compress),
        ("identity", bytes),
    ],
)
def test_a_compressed_batch_is_stored(
    sender: Sender, now: datetime, encoding: str, compress: Callable[[bytes], bytes]
) -> None:
    body = json.dumps({"events": [factories.event(now)]}).encode()
    assert sender.post(compress(body), encoding=encoding).json()["accepted"] == 1


def test_the_environment_is_that_of_the_key(sender: Sender, now: datetime) -> None:
    _, staging = factories.key(sender.project, "staging")
    body = json.dumps({"events": [factories.event(now, environment="production")]}).encode()
    assert sender.post(body, token=staging).json()["accepted"] == 1
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT dim.name FROM request_log call JOIN dim ON dim.id = call.environment_id WHERE call.project_id = %s",
            [sender.project.pk],
        )
        assert cursor.fetchall() == [("staging",)]


# --- the body as a whole --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b" ", ""),
        (b"not json", ""),
        (b"\xff\xfe\x00", ""),
        (b'{"events": [', ""),
        (b'{"events": []} trailing', ""),
        (b"[" * 100_000, ""),
        (b'{"events": [' + b'{"a":' * 100_000, ""),
        (b'"' + b'\\"' * 100_000, ""),
        (b"[]", "events"),
        (b"null", "events"),
        (b"{}", "events"),
        (b'{"events": {}}', "events"),
        (b'{"events": null}', "events"),
        (b'{"events": [], "client": 5}', "client"),
        (b'{"events": [], "client": {"instance": "a"}}', "client.boot_id"),
        (b'{"events": [], "client": {"instance": "a", "boot_id": "7"}}', "client.boot_id"),
        (b'{"events": [], "client": {"instance": 7, "boot_id": "7"}}', "client.instance"),
    ],
)
def test_a_body_that_is_no_batch_is_refused_with_its_field(sender: Sender, body: bytes, field: str) -> None:
    answer = sender.post(body)
    assert answer.status_code == 400
    assert answer.json()["field"] == field
    assert answer.json()["error"]


def test_more_than_a_thousand_events_are_too_many(sender: Sender, now: datetime) -> None:
    answer = sender.send(*[factories.event(now)] * 1001)
    assert answer.status_code == 413
    assert answer.json() == {"error": "1,001 events; at most 1,000 fit in one request", "field": "events"}
    assert sender.send(*[factories.event(now)] * 1000).json()["duplicates"] == 999


def test_a_body_over_the_limit_is_refused_before_it_is_read(sender: Sender) -> None:
    answer = sender.post(b" " * (inflate.MOST_BYTES + 1))
    assert answer.status_code == 413
    assert "8,388,608 bytes" in answer.json()["error"]


@pytest.mark.parametrize(
    ("encoding", "bomb"),
    [
        ("gzip", gzip.compress(bytes(200_000_000), 1)),
        ("zstd", zstandard.ZstdCompressor().compress(bytes(200_000_000))),
    ],
)
def test_a_bomb_is_refused_at_the_limit(sender: Sender, encoding: str, bomb: bytes) -> None:
    answer = sender.post(bomb, encoding=encoding)
    assert answer.status_code == 413
    assert "after inflating" in answer.json()["error"]


@pytest.mark.parametrize("encoding", ["br", "deflate", "gzip, gzip", "x"])
def test_an_unknown_encoding_is_refused(sender: Sender, encoding: str) -> None:
    answer = sender.post(b'{"events": []}', encoding=encoding)
    assert answer.status_code == 415
    assert answer.json()["field"] == "Content-Encoding"


@pytest.mark.parametrize(
    ("encoding", "body"), [("gzip", b"plain"), ("zstd", b"plain"), ("gzip", gzip.compress(b"x")[:-3])]
)
def test_a_body_that_is_not_what_its_encoding_says_is_refused(sender: Sender, encoding: str, body: bytes) -> None:
    answer = sender.post(body, encoding=encoding)
    assert answer.status_code == 400
    assert answer.json()["field"] == "Content-Encoding"


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-protobuf", "multipart/form-data"])
def test_another_content_type_is_refused(sender: Sender, content_type: str) -> None:
    answer = sender.post(b'{"events": []}', content_type=content_type)
    assert answer.status_code == 415
    assert answer.json()["field"] == "Content-Type"


def test_a_charset_beside_the_content_type_is_fine(sender: Sender) -> None:
    assert sender.post(b'{"events": []}', content_type="application/json; charset=utf-8").status_code == 200


# --- the key --------------------------------------------------------------------------------------------------------


def test_without_a_key_nothing_is_read(sender: Sender) -> None:
    answer = Client().post("/api/v1/events", b"not even json", content_type=type_json)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert answer.json()["field"] == "Authorization"


def test_a_mistyped_key_is_told_so(sender: Sender) -> None:
    wrong = sender.token[:-1] + ("0" if sender.token[-1] != "0" else "1")
    answer = sender.post(b'{"events": []}', token=wrong)
    assert answer.status_code == 401
    words = "The key is mistyped: its checksum does not match. Copy it again."
    assert answer.json() == {"error": words, "field": "Authorization"}


def test_an_unknown_key_is_refused(sender: Sender) -> None:
    stranger, token = factories.key()
    IngestKey.objects.filter(pk=stranger.pk).delete()
    assert sender.post(b'{"events": []}', token=token).status_code == 401


def test_a_revoked_key_is_refused_at_once_where_it_was_revoked(sender: Sender) -> None:
    assert sender.send().status_code == 200
    keys.revoke(sender.key, timezone.now())
    answer = sender.send()
    assert answer.status_code == 401
    assert answer.json()["error"] == "This key is unknown, revoked or expired. Make a new one for the project."


def test_an_expired_key_is_refused(sender: Sender) -> None:
    _, token = factories.key(sender.project, expires_at=timezone.now() - timedelta(seconds=1))
    assert sender.post(b'{"events": []}', token=token).status_code == 401


def test_a_login_is_not_a_key(sender: Sender, admin_client: Client) -> None:
    assert admin_client.post("/api/v1/events", b'{"events": []}', content_type=type_json).status_code == 401


def test_a_key_in_the_address_is_not_looked_at(sender: Sender) -> None:
    answer = Client().post(f"/api/v1/events?key={sender.token}", b'{"events": []}', content_type=type_json)
    assert answer.status_code == 401


def test_only_post_is_answered(sender: Sender) -> None:
    headers = {"Authorization": f"Bearer {sender.token}"}
    assert Client().get("/api/v1/events", headers=headers).status_code == 405


# --- one bad event among good ones ----------------------------------------------------------------------------------


def wrong_uuid(version: int) -> str:
    return f"019a0000-0000-{version}000-8000-000000000001"


@pytest.mark.parametrize(
    ("overrides", "field"),
    [
        ({"id": 5}, "id"),
        ({"id": "nonsense"}, "id"),
        ({"id": wrong_uuid(4)}, "id"),
        ({"id": "019a0000-0000-7000-c000-000000000001"}, "id"),
        ({"id": None}, "id"),
        ({"started_at": None}, "started_at"),
        ({"started_at": "yesterday"}, "started_at"),
        ({"started_at": "2026-11-22T10:00:00"}, "started_at"),
        ({"started_at": "1999-01-01T00:00:00Z"}, "started_at"),
        ({"started_at": "0001-01-01T00:00:00Z"}, "started_at"),
        ({"started_at": "9999-12-31T23:59:59Z"}, "started_at"),
        ({"duration_ms": None}, "duration_ms"),
        ({"duration_ms": -1}, "duration_ms"),
        ({"duration_ms": "12"}, "duration_ms"),
        ({"duration_ms": 1.5}, "duration_ms"),
        ({"duration_ms": True}, "duration_ms"),
        ({"duration_ms": 2**31}, "duration_ms"),
        ({"duration_ms": 10**30}, "duration_ms"),
        ({"duration_ms": float("nan")}, "duration_ms"),
        ({"duration_ms": float("inf")}, "duration_ms"),
        ({"outcome": None}, "outcome"),
        ({"outcome": "splendid"}, "outcome"),
        ({"source": "oracle"}, "source"),
        ({"feature": "x" * 201}, "feature"),
        ({"feature": ["inbox"]}, "feature"),
        ({"user_id": 4711}, "user_id"),
        ({"model": "m" * 101}, "model"),
        ({"stream": "yes"}, "stream"),
        ({"trace_id": "xyz"}, "trace_id"),
        ({"span_id": "12"}, "span_id"),
        ({"tags": {"plan": 5}}, "tags[...]"),
        ({"tags": {f"t{n}": "x" for n in range(21)}}, "tags"),
        ({"tags": []}, "tags"),
        ({"params": {"tools": [1, 2]}}, "params[...]"),
        ({"attempts": [{"n": 1}] * 21}, "attempts"),
        ({"attempts": [{"n": 1, "status": 99999}]}, "attempts[0].status"),
        ({"attempts": [{"n": 1, "retry_after_s": float("nan")}]}, "attempts[0].retry_after_s"),
        ({"usage": {"input_tokens": -1}}, "usage.input_tokens"),
        ({"usage": {"input_tokens": 2**31}}, "usage.input_tokens"),
        ({"usage": {"input_tokens": 10**400}}, "usage.input_tokens"),
        ({"usage": {"output_tokens": "20"}}, "usage.output_tokens"),
        ({"usage": {"output_tokens": float("nan")}}, "usage.output_tokens"),
        ({"usage": {"cache_creation": 5}}, "usage.cache_creation"),
        ({"usage": {"new": "x" * 9000}}, "usage"),
        ({"usage": []}, "usage"),
        ({"error": {"message": "x" * 501}}, "error.message"),
        ({"error": {"status": -1}}, "error.status"),
        ({"limits": {"requests_limit": 2**40}}, "limits.requests_limit"),
        ({"content": {"input": {"not": "a string"}}}, "content.input"),
        ({"content": {"input": "x" * 4_000_001}}, "content.input"),
        ({"request_id": "r" * 7_000_000}, "request_id"),
        ({"quality": []}, "quality"),
        ({"quality": {"valid": 1}}, "quality.valid"),
        ({"quality": {"repairs": 101}}, "quality.repairs"),
        ({"quality": {"repairs": -1}}, "quality.repairs"),
        ({"quality": {"repairs": float("nan")}}, "quality.repairs"),
        ({"budget": "all of it"}, "budget"),
        ({"budget": {"key": "a", "unit": "tokens", "spent": 1}}, "budget.limit"),
        ({"budget": {"key": "a" * 201, "unit": "tokens", "spent": 1, "limit": 2}}, "budget.key"),
        ({"budget": {"key": "a", "unit": "euros", "spent": 1, "limit": 2}}, "budget.unit"),
        ({"budget": {"key": "a", "unit": "tokens", "spent": -1, "limit": 2}}, "budget.spent"),
        ({"budget": {"key": "a", "unit": "tokens", "spent": 1, "limit": 2**63}}, "budget.limit"),
        ({"hashes": "a" * 64}, "hashes"),
        ({"hashes": {"input": "a" * 63}}, "hashes.input"),
        ({"hashes": {"input": "a" * 64 + "\n"}}, "hashes.input"),
        ({"hashes": {"output": "g" * 64}}, "hashes.output"),
        ({"hashes": {"output": 5}}, "hashes.output"),
    ],
)
def test_a_bad_event_is_told_with_its_field_and_its_siblings_are_stored(
    sender: Sender, now: datetime, overrides: dict[str, Any], field: str
) -> None:
    bad = factories.event(now, **overrides)
    answer = sender.send(factories.event(now), bad, factories.event(now))
    assert answer.status_code == 200
    found = answer.json()
    assert found["accepted"] == 2
    [rejection] = found["rejected"]
    assert (rejection["index"], rejection["field"]) == (1, field)
    assert rejection["id"] == (bad.get("id") if isinstance(bad.get("id"), str) else None)
    assert rejection["reason"]
    assert RequestLog.objects.filter(project=sender.project).count() == 2


@pytest.mark.parametrize(
    ("spoiled", "told"),
    [
        ({"id": "a\ud800b"}, ("a\ufffdb", "id")),
        ({"id": "\x00" + "x" * 100}, ("\ufffd" + "x" * 63, "id")),
        ({"outcome": "\ud800"}, (None, "outcome")),
        ({"tags": {"\ud800": float("nan")}}, (None, "tags.\ufffd")),
        ({"tags": {"k" * 5_000: float("nan")}}, (None, "tags." + "k" * 195)),
        ({"source": "s" * 100_000}, (None, "source")),
    ],
)
def test_what_is_quoted_of_a_bad_event_is_short_and_can_be_answered(
    sender: Sender, now: datetime, spoiled: dict[str, Any], told: tuple[str | None, str]
) -> None:
    bad = factories.event(now, **spoiled)
    answer = sender.send(bad, factories.event(now))
    assert answer.status_code == 200
    [rejection] = answer.json()["rejected"]
    assert (rejection["id"], rejection["field"]) == (told[0] or bad["id"], told[1])
    assert len(rejection["reason"]) <= 300
    assert answer.json()["accepted"] == 1


def test_what_is_quoted_of_a_bad_report_can_be_answered(sender: Sender) -> None:
    answer = sender.send(client={"instance": "a", "boot_id": "7", "dropped": {"\ud800": float("nan")}})
    assert answer.status_code == 400
    assert answer.json()["field"] == "client.dropped.\ufffd"


@pytest.mark.parametrize("bad", [None, 5, "text", [], True])
def test_something_that_is_no_object_is_one_rejected_event(sender: Sender, now: datetime, bad: object) -> None:
    found = sender.send(bad, factories.event(now)).json()
    assert found["accepted"] == 1
    assert [(one["index"], one["id"], one["field"]) for one in found["rejected"]] == [(0, None, "event")]


def test_a_number_too_long_to_read_costs_one_event(sender: Sender, now: datetime) -> None:
    good, bad = (json.dumps(factories.event(now)) for _ in range(2))
    body = f'{{"events": [{good}, {bad.replace("1200", "1" * 5000)}]}}'
    found = sender.post(body.encode()).json()
    assert found["accepted"] == 1
    assert [(one["index"], one["field"]) for one in found["rejected"]] == [(1, "duration_ms")]


@pytest.mark.parametrize(
    ("field", "depth"),
    [("usage", 70), ("usage", 900), ("usage", 100_000), ("tags", 70), ("tags", 100_000), ("unheard_of", 100_000)],
)
def test_a_depth_bomb_costs_one_event(sender: Sender, now: datetime, field: str, depth: int) -> None:
    bomb = '{"a":' * depth + "1" + "}" * depth
    good, bad = json.dumps(factories.event(now)), json.dumps(factories.event(now, usage=None))
    answer = sender.post(f'{{"events": [{good}, {bad[:-1]}, "{field}": {bomb}}}]}}'.encode())
    assert answer.status_code == 200
    found = answer.json()
    assert found["accepted"] == 1
    [rejection] = found["rejected"]
    assert (rejection["index"], rejection["field"].partition(".")[0].partition("[")[0]) == (1, field)


def test_characters_the_database_cannot_hold_are_replaced_and_flagged(sender: Sender, now: datetime) -> None:
    good = json.dumps(factories.event(now, user_id="tidy"))
    bad = json.dumps(factories.event(now, user_id="USER", feature="FEATURE", usage={"input_tokens": 1, "odd": "ODD"}))
    bad = bad.replace("USER", r"a\u0000b").replace("FEATURE", r"x\ud800y").replace("ODD", r"\udfff")
    assert sender.post(f'{{"events": [{good}, {bad}]}}'.encode()).json()["accepted"] == 2
    calls = RequestLog.objects.filter(project=sender.project)
    assert calls.get(user_id="a\ufffdb").flags & Flag.SANITIZED
    detail = calls.get(user_id="a\ufffdb").detail
    assert detail is not None
    assert detail["usage"] == {"odd": "\ufffd"}
    assert not calls.get(user_id="tidy").flags & Flag.SANITIZED


def test_bytes_that_are_not_utf8_are_replaced_and_flagged(sender: Sender, now: datetime) -> None:
    body = (
        json.dumps({"events": [factories.event(now, user_id="USER")]}).encode().replace(b"USER", b"a\xff\xed\xa0\x80b")
    )
    assert sender.post(body).json()["accepted"] == 1
    call = only_call(sender.project)
    assert call.user_id == "a\ufffd\ufffd\ufffd\ufffdb"
    assert call.flags & Flag.SANITIZED


def test_an_escaped_backslash_before_u0000_is_text(sender: Sender, now: datetime) -> None:
    assert sender.send(factories.event(now, user_id="\\u0000")).json()["accepted"] == 1
    call = only_call(sender.project)
    assert call.user_id == "\\u0000"
    assert not call.flags & Flag.SANITIZED


@pytest.mark.parametrize("spoil", ["", r', "user_id": "\u0000"'])
def test_of_a_key_given_twice_the_last_counts_on_both_ways_in(sender: Sender, now: datetime, spoil: str) -> None:
    made = json.dumps(factories.event(now, user_id=None, duration_ms=1))[:-1] + f', "duration_ms": 2{spoil}}}'
    assert sender.post(f'{{"events": [{made}]}}'.encode()).json()["accepted"] == 1
    assert only_call(sender.project).duration_ms == 2


def test_unknown_fields_are_ignored(sender: Sender, now: datetime) -> None:
    assert sender.send(factories.event(now, mood="fine"), more={"a": 1}).json()["accepted"] == 1


def test_words_this_server_does_not_know_yet_are_other(sender: Sender, now: datetime) -> None:
    sender.send(factories.failed("solar_flare", None, now, stop_reason="enlightened"))
    call = only_call(sender.project)
    assert (call.error, call.stop_reason) == (ErrorCategory.OTHER, StopReason.OTHER)


def test_a_model_without_a_price_is_stored_unpriced(sender: Sender, now: datetime) -> None:
    assert sender.send(factories.event(now, model="claude-next-99")).json()["accepted"] == 1
    call = only_call(sender.project)
    assert (call.cost_nanousd, call.price_id, call.input_tokens) == (None, None, 100)


@pytest.mark.parametrize("year", [1970, 1999, 2020, 2199, 9999])
def test_an_event_from_another_century_is_put_aside_and_not_counted(sender: Sender, now: datetime, year: int) -> None:
    then = datetime(year, 1, 1, tzinfo=UTC)
    strange = factories.event(then)
    found = sender.send(factories.event(now), strange).json()
    assert (found["accepted"], found["quarantined"], found["rejected"]) == (1, 1, [])
    kept = Quarantined.objects.get(project=sender.project)
    assert str(kept.event_id) == strange["id"]
    assert json.loads(bytes(kept.event))["feature"] == "inbox"
    assert sender.send(strange).json()["quarantined"] == 1
    assert Quarantined.objects.filter(project=sender.project).count() == 1


# --- when the database is not there ---------------------------------------------------------------------------------


@pytest.fixture
def severed(transactional_db: None) -> Iterator[Callable[[], None]]:
    """Cuts the test's connection and keeps new ones out, as a database that goes away does."""
    settings = connection.settings_dict
    original = settings["PORT"]

    def sever() -> None:
        connection.close()
        settings["PORT"] = "1"

    yield sever
    settings["PORT"] = original
    connection.close()


@pytest.mark.parametrize("is_cached", [True, False])
def test_a_database_that_is_away_is_503_with_a_time_to_come_back(
    transactional_db: None, severed: Callable[[], None], is_cached: bool, caplog: pytest.LogCaptureFixture
) -> None:
    sender = Sender()
    now = timezone.now()
    batch = factories.event(now.replace(microsecond=0), user_id="secret-person")
    if is_cached:
        assert sender.send().status_code == 200
    else:
        keys._cache.clear()
    severed()
    answer = sender.send(batch)
    assert answer.status_code == 503
    assert 2 <= int(answer.headers["Retry-After"]) <= 10
    assert answer.json() == {"error": "The database is not available for the moment. Send the same again later."}
    assert "secret-person" not in caplog.text
    assert "sqlstate=" in caplog.text


def test_a_lock_that_is_not_given_in_time_is_503_and_the_same_batch_is_stored_later(transactional_db: None) -> None:
    sender = Sender()
    event = factories.event(timezone.now().replace(microsecond=0))
    sender.send(factories.event(timezone.now().replace(microsecond=0)))
    with psycopg.connect(**connection.get_connection_params() | {"cursor_factory": psycopg.Cursor}) as other:
        other.execute("LOCK TABLE request_log IN ACCESS EXCLUSIVE MODE")
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = 100")
        assert sender.send(event).status_code == 503
    assert sender.send(event).json()["accepted"] == 1
    assert sender.send(event).json()["duplicates"] == 1


def test_the_same_batch_from_several_threads_at_once_is_stored_once(transactional_db: None) -> None:
    sender = Sender()
    now = timezone.now().replace(microsecond=0)
    body = json.dumps({"events": [factories.event(now) for _ in range(200)]}).encode()
    answers: list[dict[str, int]] = []
    start = threading.Barrier(4)

    def send() -> None:
        start.wait()
        try:
            answers.append(sender.post(body).json())
        finally:
            connections.close_all()

    threads = [threading.Thread(target=send) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(answer["accepted"] for answer in answers) == 200
    assert sum(answer["duplicates"] for answer in answers) == 600
    assert RequestLog.objects.filter(project=sender.project).count() == 200


def test_gzip_of_several_members_is_one_body(sender: Sender, now: datetime) -> None:
    body = json.dumps({"events": [factories.event(now)]}).encode()
    assert sender.post(gzip.compress(body[:50]) + gzip.compress(body[50:]), encoding="gzip").json()["accepted"] == 1


def test_raw_deflate_is_not_gzip(sender: Sender) -> None:
    assert sender.post(zlib.compress(b'{"events": []}'), encoding="gzip").status_code == 400


@pytest.mark.parametrize("compress", [gzip.compress, zstandard.ZstdCompressor().compress])
def test_a_compressed_body_cut_short_is_refused(
    sender: Sender, now: datetime, compress: Callable[[bytes], bytes]
) -> None:
    whole = compress(json.dumps({"events": [factories.event(now) for _ in range(50)]}).encode())
    encoding = "gzip" if compress is gzip.compress else "zstd"
    assert sender.post(whole[: len(whole) // 2], encoding=encoding).status_code == 400
    assert RequestLog.objects.filter(project=sender.project).count() == 0
