"""Storing: each call once, all of a batch or nothing, and marked for the rollup in the same breath."""

import threading
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from django.db import IntegrityError, OperationalError, connection, connections

from ingest import bodies, client_report, store, wire
from ingest.models import ClientInstance, Quarantined, RequestBody, RequestLog
from ingest.store import Origin, Receipt
from projects.models import Project
from tests import factories

NOW = factories.NOW

pytestmark = [pytest.mark.django_db, pytest.mark.storage]


@pytest.fixture
def owner(db: None) -> Project:
    return factories.project()


def marks(owner: Project) -> list[tuple[datetime, int]]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT bucket, grain FROM rollup_dirty WHERE project_id = %s ORDER BY bucket", [owner.pk])
        return list(cursor.fetchall())


def another_connection() -> psycopg.Connection:
    return psycopg.connect(**connection.get_connection_params() | {"cursor_factory": psycopg.Cursor})


def in_threads(count: int, work: Any) -> None:
    """Runs `work(number)` in that many threads that start together."""
    start = threading.Barrier(count)

    def run(number: int) -> None:
        start.wait()
        try:
            work(number)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=[number]) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


# --- once each ------------------------------------------------------------------------------------------------------


def test_new_calls_are_accepted(owner: Project) -> None:
    assert factories.stored(owner, factories.event(), factories.event()) == Receipt(2, 0, 0, 0)


def test_no_events_are_nothing(owner: Project) -> None:
    assert store.store([], origin=Origin(owner.pk, "production"), now=NOW) == Receipt(0, 0, 0, 0)
    assert marks(owner) == []


def test_a_repeated_call_is_a_duplicate_and_changes_nothing(owner: Project) -> None:
    event = factories.event()
    factories.stored(owner, event)
    before = RequestLog.objects.values().get(project=owner)
    assert factories.stored(owner, event, now=NOW + timedelta(minutes=5)) == Receipt(0, 1, 0, 0)
    assert RequestLog.objects.values().get(project=owner) == before


def test_the_same_id_with_other_content_is_a_conflict_and_the_first_stays(owner: Project) -> None:
    event = factories.event(duration_ms=100)
    factories.stored(owner, event)
    assert factories.stored(owner, {**event, "duration_ms": 200}) == Receipt(0, 0, 1, 0)
    assert RequestLog.objects.get(project=owner).duration_ms == 100


def test_the_order_of_keys_is_not_content(owner: Project) -> None:
    event = factories.event(tags={"a": "1", "b": "2"}, usage={"input_tokens": 1, "output_tokens": 2})
    shuffled = {name: event[name] for name in reversed(event)}
    shuffled |= {"tags": {"b": "2", "a": "1"}, "usage": {"output_tokens": 2, "input_tokens": 1}}
    factories.stored(owner, event)
    assert factories.stored(owner, shuffled) == Receipt(0, 1, 0, 0)


def test_the_text_of_a_prompt_is_content(owner: Project) -> None:
    event = factories.event(content={"input": '"one"'})
    factories.stored(owner, event)
    assert factories.stored(owner, {**event, "content": {"input": '"two"'}}) == Receipt(0, 0, 1, 0)
    body = RequestBody.objects.get(project=owner)
    assert bodies.unpack(body.dictionary_id, body.body) == {"input": '"one"'}


def test_a_batch_that_repeats_itself_is_stored_once(owner: Project) -> None:
    event, other = factories.event(), factories.event()
    batch = [event, other, event, {**event, "duration_ms": 7}, event]
    assert factories.stored(owner, *batch) == Receipt(accepted=2, duplicates=2, conflicts=1, quarantined=0)
    assert RequestLog.objects.get(pk=event["id"]).duration_ms == 1200


def test_new_calls_among_old_ones_are_stored(owner: Project) -> None:
    old, changed = factories.event(), factories.event()
    factories.stored(owner, old, changed)
    fresh = [factories.event(NOW + timedelta(minutes=1), content={"input": "1"}) for _ in range(3)]
    receipt = factories.stored(owner, fresh[0], old, fresh[1], {**changed, "duration_ms": 1}, fresh[2])
    assert receipt == Receipt(accepted=3, duplicates=1, conflicts=1, quarantined=0)
    assert RequestLog.objects.filter(project=owner).count() == 5
    assert RequestBody.objects.filter(project=owner).count() == 3


def test_another_project_cannot_take_an_id_away(owner: Project) -> None:
    event = factories.event()
    assert factories.stored(factories.project(), event).accepted == 1
    assert factories.stored(owner, event).accepted == 1


@pytest.mark.django_db(transaction=True)
def test_identical_batches_from_several_threads_are_stored_once() -> None:
    owner = factories.project()
    events = [wire.event_of(factories.event(NOW + timedelta(seconds=number), content={"input": "1"}))
              for number in range(300)]  # fmt: skip
    receipts: list[Receipt] = []
    origin = Origin(owner.pk, "production")
    in_threads(4, lambda number: receipts.append(store.store(events[:: 1 - 2 * (number % 2)], origin=origin, now=NOW)))
    assert sum(receipt.accepted for receipt in receipts) == 300
    assert sum(receipt.duplicates for receipt in receipts) == 900
    assert RequestLog.objects.filter(project=owner).count() == RequestBody.objects.filter(project=owner).count() == 300
    assert {bucket for bucket, _ in marks(owner)} == {NOW + timedelta(minutes=minute) for minute in range(5)}


@pytest.mark.django_db(transaction=True)
def test_batches_that_overlap_are_stored_once_each() -> None:
    owner = factories.project()
    events = [wire.event_of(factories.event(NOW + timedelta(seconds=number))) for number in range(400)]
    receipts: list[Receipt] = []
    origin = Origin(owner.pk, "production")

    def send(number: int) -> None:
        receipts.append(store.store(events[number * 50 : number * 50 + 250], origin=origin, now=NOW))

    in_threads(4, send)
    assert sum(receipt.accepted for receipt in receipts) == 400
    assert sum(receipt.duplicates for receipt in receipts) == 600
    assert RequestLog.objects.filter(project=owner).count() == 400


# --- all or nothing -------------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_nothing_of_a_batch_remains_when_its_last_statement_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    owner = factories.project()

    def fail(*_args: object, **_kwargs: object) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1 / 0")

    monkeypatch.setattr(client_report, "keep", fail)
    report = wire.Client(instance="web", boot_id=UUID(int=1))
    events = [wire.event_of(factories.event(at)) for at in (NOW, datetime(1999, 1, 1, tzinfo=UTC))]
    with pytest.raises(Exception, match="division by zero"):
        store.store(events, origin=Origin(owner.pk, "production"), now=NOW, client=report)
    assert RequestLog.objects.filter(project=owner).count() == 0
    assert Quarantined.objects.filter(project=owner).count() == 0
    assert marks(owner) == []


@pytest.mark.django_db(transaction=True)
def test_what_was_acknowledged_is_there_for_everybody() -> None:
    owner = factories.project()
    factories.stored(owner)
    with another_connection() as other:
        count = other.execute("SELECT count(*) FROM request_log WHERE project_id = %s", [owner.pk]).fetchone()
        seen = other.execute("SELECT count(*) FROM rollup_dirty WHERE project_id = %s", [owner.pk]).fetchone()
    assert (count, seen) == ((1,), (1,))


@pytest.mark.django_db(transaction=True)
def test_a_deadlock_is_tried_again() -> None:
    owner = factories.project()
    first, second = (wire.event_of(factories.event(NOW + timedelta(seconds=seconds))) for seconds in (1, 2))
    origin = Origin(owner.pk, "production")
    receipts: list[Receipt] = []
    with another_connection() as other:
        factories.stored(owner)
        # Holds the second id, and will want the first, which `store` holds while it waits for the second.
        copy_of(other, owner, second.id)
        worker = threading.Thread(target=lambda: receipts.append(_store_and_close([first, second], origin)))
        worker.start()
        wait_until_waiting(other, worker)
        other.execute("SET deadlock_timeout = '10s'")
        copy_of(other, owner, first.id)  # closes the circle; the other side's timer is the shorter one
        other.rollback()
        worker.join()
    assert receipts == [Receipt(2, 0, 0, 0)]


def _store_and_close(events: list[wire.Event], origin: Origin) -> Receipt:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SET deadlock_timeout = '50ms'; SET lock_timeout = '30s'")
        return store.store(events, origin=origin, now=NOW)
    finally:
        connections.close_all()


def copy_of(other: psycopg.Connection, owner: Project, call_id: UUID) -> None:
    """A row with that id, taken from one that is stored, in a transaction that stays open."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT attname FROM pg_attribute"
            " WHERE attrelid = 'request_log'::regclass AND attnum > 0 AND attname <> 'id'"
        )
        columns = ", ".join(name for (name,) in cursor.fetchall())
    other.execute(
        f"INSERT INTO request_log (id, {columns}) SELECT %s, {columns} FROM request_log WHERE project_id = %s LIMIT 1",
        [call_id, owner.pk],
    )


def wait_until_waiting(other: psycopg.Connection, worker: threading.Thread) -> None:
    """Until the worker's backend waits for our transaction."""
    while worker.is_alive():
        waiting = other.execute(
            """
            SELECT count(*)
              FROM pg_locks ours
              JOIN pg_locks theirs USING (locktype, transactionid)
             WHERE locktype = 'transactionid' AND ours.pid = pg_backend_pid() AND ours.granted AND NOT theirs.granted
            """
        ).fetchone()
        if waiting == (1,):
            return
    pytest.fail("the batch did not wait for the row")


def test_an_error_of_the_database_is_passed_on(owner: Project) -> None:
    event = wire.event_of(factories.event())
    factories.stored(owner)  # names and prices are known now
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE request_log ADD CONSTRAINT no_slow_calls CHECK (duration_ms < 1000) NOT VALID")
    with pytest.raises(IntegrityError) as caught:
        store.store([event], origin=Origin(owner.pk, "production"), now=NOW)
    assert store.sqlstate_of(caught.value) == "23514"


def test_an_error_without_an_answer_has_no_code() -> None:
    assert store.sqlstate_of(OperationalError("connection refused")) is None


# --- what the rollup is told ----------------------------------------------------------------------------------------


def test_each_minute_with_new_calls_is_marked_once(owner: Project) -> None:
    times = [NOW, NOW + timedelta(seconds=59, milliseconds=999), NOW + timedelta(seconds=60), NOW - timedelta(hours=3)]
    factories.stored(owner, *[factories.event(at) for at in times])
    hours = timedelta(hours=3)
    assert marks(owner) == [(NOW - hours, 0), (NOW, 0), (NOW + timedelta(minutes=1), 0)]


def test_duplicates_mark_nothing(owner: Project) -> None:
    early, late = factories.event(), factories.event(NOW + timedelta(minutes=5))
    factories.stored(owner, early)
    factories.stored(owner, early, late)
    assert [bucket for bucket, _ in marks(owner)] == [NOW, NOW + timedelta(minutes=5)]
    factories.stored(owner, early, late)
    assert len(marks(owner)) == 2


# --- calls outside the days that are kept ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("offset", "is_stored"),
    [
        (timedelta(minutes=9, seconds=59), True),
        (timedelta(minutes=10), False),
        (timedelta(days=-90, hours=-10), True),
        (timedelta(days=-90, hours=-10, milliseconds=-1), False),
    ],
)
def test_the_storable_days_end_exactly_where_they_should(owner: Project, offset: timedelta, is_stored: bool) -> None:
    receipt = factories.stored(owner, at=NOW + offset, now=NOW)
    assert receipt == (Receipt(1, 0, 0, 0) if is_stored else Receipt(0, 0, 0, 1))


def test_a_call_put_aside_says_why_and_keeps_its_event(owner: Project) -> None:
    old, new = factories.event(datetime(2001, 1, 1, tzinfo=UTC)), factories.event(NOW + timedelta(hours=1))
    assert factories.stored(owner, old, new, now=NOW) == Receipt(0, 0, 0, 2)
    assert factories.stored(owner, old, new, now=NOW) == Receipt(0, 0, 0, 2)
    kept = {str(row.event_id): row for row in Quarantined.objects.filter(project=owner)}
    assert kept[old["id"]].reason == "Its time is before the days that are kept (RETENTION_CALL_DAYS)."
    assert kept[new["id"]].reason == "Its time is more than 10 minutes ahead of this server's clock."
    [event] = wire.decode(b'{"events": [' + bytes(kept[old["id"]].event) + b"]}").events
    assert wire.canonical(event) == wire.canonical(wire.event_of(old))
    assert marks(owner) == []


# --- bodies ---------------------------------------------------------------------------------------------------------


def test_a_body_is_stored_beside_its_call_and_the_call_says_so(owner: Project) -> None:
    content = {"input": '{"messages": []}', "output": '"hello"', "redactions": {"email": 2}}
    with_body, without = factories.event(content=content), factories.event()
    factories.stored(owner, with_body, without)
    body = RequestBody.objects.get(project=owner)
    assert str(body.id) == with_body["id"]
    assert bodies.unpack(body.dictionary_id, body.body) == content
    flags = dict(RequestLog.objects.filter(project=owner).values_list("id", "flags"))
    assert [flags[UUID(event["id"])] & 32 for event in (with_body, without)] == [32, 0]


def test_a_call_older_than_bodies_are_kept_is_stored_without_one(owner: Project) -> None:
    at = NOW - timedelta(days=31)
    assert factories.stored(owner, at=at, now=NOW, content={"input": "1"}).accepted == 1
    assert RequestBody.objects.filter(project=owner).count() == 0
    assert RequestLog.objects.get(project=owner).flags & 32 == 0


# --- what clients report --------------------------------------------------------------------------------------------


def report(owner: Project, now: datetime = NOW, **fields: Any) -> ClientInstance:
    client = wire.Client(instance="web-1", boot_id=UUID(int=7), **fields)
    store.store([], origin=Origin(owner.pk, "production"), now=now, client=client)
    return ClientInstance.objects.get(project=owner)


def test_a_process_is_known_by_its_latest_report(owner: Project) -> None:
    report(owner, emitted=10, dropped={"overflow": 1}, sdk="llmclient/0.1.0")
    seen = report(owner, NOW + timedelta(seconds=5), emitted=20, dropped={"overflow": 4})
    assert (seen.emitted, seen.dropped) == (20, {"overflow": 4})
    assert (seen.first_seen_at, seen.last_seen_at) == (NOW, NOW + timedelta(seconds=5))


def test_a_report_that_was_overtaken_changes_nothing(owner: Project) -> None:
    report(owner, NOW + timedelta(seconds=5), emitted=20, dropped={"overflow": 4})
    seen = report(owner, emitted=10, dropped={"overflow": 1})
    assert (seen.emitted, seen.dropped, seen.last_seen_at) == (20, {"overflow": 4}, NOW + timedelta(seconds=5))


def arrived(owner: Project, *events: dict[str, Any], now: datetime = NOW) -> int | None:
    """What the server has of a process's events after one more batch of it."""
    client = wire.Client(instance="web-1", boot_id=UUID(int=7))
    decoded = [wire.event_of(event) for event in events]
    store.store(decoded, origin=Origin(owner.pk, "production"), now=now, client=client)
    return ClientInstance.objects.get(project=owner).received


def test_what_of_a_process_arrived_is_counted_once(owner: Project) -> None:
    first, second, third = factories.event(), factories.event(), factories.event()
    old = factories.event(NOW - timedelta(days=400))
    assert arrived(owner, first, second) == 2
    assert arrived(owner, first, second) == 2
    assert arrived(owner, second, third, old) == 4
    assert arrived(owner, third, old) == 4
    assert arrived(owner, {**third, "duration_ms": 1}) == 4


def test_what_arrived_of_a_process_from_before_it_was_counted_stays_unknown(owner: Project) -> None:
    ClientInstance.objects.create(
        project=owner, instance="web-1", boot_id=UUID(int=7), first_seen_at=NOW, last_seen_at=NOW
    )
    assert arrived(owner, factories.event()) is None
