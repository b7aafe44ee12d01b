"""What becomes of a batch, answer by answer, on a clock of the test's own."""

import gzip
import json
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from llmclient import _event
from llmclient._answer import Answer
from llmclient._batch import LARGEST_EVENT, MAX_BYTES, Batch
from llmclient._buffer import Buffer
from llmclient._call import Call
from llmclient._delivery import Delivery
from llmclient._pace import Pace
from llmclient._score import Score
from llmclient._spool import Spool

STORED = Answer("stored", 200)
LATER = Answer("later", 503)
UNIX = 1_800_000_000.0


class Scripted:
    """A server in the test's hands: gives the next answer, keeps what it got."""

    def __init__(self, answers: Sequence[Answer]) -> None:
        self.answers = list(answers)
        self.bodies: list[dict[str, Any]] = []

    def __call__(self, body: bytes) -> Answer:
        self.bodies.append(json.loads(gzip.decompress(body)))
        return self.answers.pop(0) if self.answers else STORED

    def sent(self) -> list[list[str]]:
        return [[event["id"] for event in body["events"]] for body in self.bodies]


def encoded(call: Call | Score) -> dict[str, Any]:
    assert isinstance(call, Call)
    return _event.as_dict(call, _event.Names(), sdk=None)


def delivery(
    answers: Sequence[Answer] = (), *, spool: Path | None = None, chance: float = 0.5, buffer: Buffer | None = None
) -> tuple[Buffer, Delivery, Scripted]:
    buffer = Buffer() if buffer is None else buffer
    server = Scripted(answers)
    made = Delivery(
        buffer,
        server,
        encoded,
        {"instance": "host/1", "boot_id": "b", "sdk": "llmclient/0"},
        spool=Spool(spool) if spool else None,
        unix_time=lambda: UNIX,
        pace=Pace(),
        chance=lambda: chance,
    )
    made.start(0.0)
    return buffer, made, server


def put(buffer: Buffer, count: int = 1, **fields: Any) -> list[str]:
    calls = [
        Call(uuid.uuid4(), 0, "messages", outcome="ok", duration=0.0, capture="full", **fields) for _ in range(count)
    ]
    for call in calls:
        buffer.put(call)
    return [str(call.id) for call in calls]


def test_a_batch_is_due_after_two_seconds_or_two_hundred_calls() -> None:
    buffer, made, server = delivery()
    first = put(buffer)
    assert not made.step(1.9)
    assert made.step(2.0)
    put(buffer, 199)
    assert not made.step(2.1)
    put(buffer, 1)
    assert made.step(2.2)
    assert server.sent()[0] == first
    assert [len(ids) for ids in server.sent()] == [1, 200]
    assert made.idle


@pytest.mark.parametrize(("chance", "due"), [(0.0, 1.6), (0.5, 2.0), (1.0, 2.4)])
def test_the_interval_varies_by_a_fifth(chance: float, due: float) -> None:
    buffer, made, _ = delivery(chance=chance)
    put(buffer)
    assert not made.step(due - 0.001)
    assert made.step(due + 0.001)


def test_the_envelope_tells_who_sends_and_what_was_lost() -> None:
    buffer, made, server = delivery(buffer=Buffer(max_events=2))
    put(buffer, 5)
    made.step(2.0)
    told = server.bodies[0]["client"]
    assert {name: said for name, said in told.items() if name not in ("guards", "transitions")} == {
        "instance": "host/1",
        "boot_id": "b",
        "sdk": "llmclient/0",
        "emitted": 5,
        "dropped": {"overflow": 3},
        "queue_depth": 2,
        "sent_at": "2027-01-15T08:00:00.000Z",
    }


def test_a_batch_holds_five_hundred_events_at_most() -> None:
    buffer, made, server = delivery()
    put(buffer, 1100)
    while made.step(2.0, urgent=True):
        pass
    assert [len(ids) for ids in server.sent()] == [500, 500, 100]


def test_a_batch_holds_a_mebibyte_at_most_and_one_event_over() -> None:
    buffer, made, server = delivery()
    put(buffer, 5, sent=json.dumps({"a": [str(n) * 50_000 for n in range(8)]}).encode())
    while made.step(2.0, urgent=True):
        pass
    assert [len(ids) for ids in server.sent()] == [3, 2]
    assert MAX_BYTES < 3 * 400_000


def test_silence_is_broken_by_a_heartbeat_every_thirty_seconds() -> None:
    _, made, server = delivery()
    assert not made.step(29.9)
    assert made.step(30.0)
    assert not made.step(31.0)
    assert made.step(60.0)
    assert [body["events"] for body in server.bodies] == [[], []]


def test_a_batch_sent_puts_the_heartbeat_off() -> None:
    buffer, made, server = delivery()
    put(buffer)
    made.step(20.0)
    assert not made.step(49.9)
    assert len(server.bodies) == 1


@pytest.mark.parametrize("status", [None, 408, 429, 500, 502, 503, 504])
def test_what_could_not_be_delivered_is_sent_again_unchanged(status: int | None) -> None:
    buffer, made, server = delivery([Answer("later", status)])
    ids = put(buffer, 2)
    assert not made.step(2.0)
    assert not made.step(2.9)  # half of 2 ** 1 seconds by the test's chance
    assert made.step(3.0)
    assert server.sent() == [ids, ids]
    assert made.dropped() == {}
    assert made.settled == 2


def test_the_pauses_grow_with_full_jitter_up_to_thirty_seconds() -> None:
    buffer, made, _ = delivery([LATER] * 8, chance=1.0)
    put(buffer)
    now, pauses = 2.4, []
    for _ in range(8):
        made.step(now)
        pauses.append(made.wait(now))
        now += pauses[-1]
    assert pauses == pytest.approx([2, 4, 8, 16, 30, 30, 30, 30])


@pytest.mark.parametrize(("asked", "waited"), [(7.0, 7.0), (100_000.0, 300.0), (0.1, 1.0)])
def test_the_server_may_ask_for_more_but_not_for_more_than_five_minutes(asked: float, waited: float) -> None:
    buffer, made, _ = delivery([Answer("later", 503, retry_after=asked)])
    put(buffer)
    made.step(2.0)
    assert made.wait(2.0) == pytest.approx(waited)


def test_a_refused_key_pauses_for_five_minutes_and_loses_nothing(caplog: pytest.LogCaptureFixture) -> None:
    buffer, made, server = delivery([Answer("no_entry", 401, reason="revoked")])
    ids = put(buffer)
    assert not made.step(2.0)
    assert not made.step(301.9)
    assert made.step(302.0)
    assert server.sent() == [ids, ids]
    assert [record.message for record in caplog.records] == [
        "telemetry is held back for 5 minutes, the server answered 401: check the key in the DSN. revoked"
    ]


def test_a_batch_refused_for_good_is_dropped_and_counted() -> None:
    buffer, made, server = delivery([Answer("refused", 400)])
    put(buffer, 3)
    assert made.step(2.0)
    put(buffer, 1)
    made.step(4.1)
    assert made.dropped() == {"rejected": 3}
    assert server.bodies[1]["client"]["dropped"] == {"rejected": 3}
    assert made.idle


def test_events_rejected_one_by_one_are_counted() -> None:
    buffer, made, _ = delivery([Answer("stored", 200, rejected=2)])
    put(buffer, 5)
    made.step(2.0)
    assert made.dropped() == {"rejected": 2}
    assert made.settled == 5


def test_a_batch_that_is_too_large_is_halved_until_it_fits() -> None:
    too_large = Answer("too_large", 413)
    buffer, made, server = delivery([too_large, too_large])
    ids = put(buffer, 4)
    while made.step(2.0, urgent=True):
        pass
    assert server.sent() == [ids, ids[:2], ids[:1], ids[1:2], ids[2:]]
    assert made.dropped() == {}
    assert made.settled == 4


def test_one_event_that_is_too_large_gives_up_its_content_and_then_itself() -> None:
    too_large = Answer("too_large", 413)
    buffer, made, server = delivery([too_large, too_large])
    put(buffer, 1, sent=b'{"a": "secret"}')
    while made.step(2.0, urgent=True):
        pass
    assert ["content" in body["events"][0] for body in server.bodies] == [True, False]
    assert made.dropped() == {"too_large": 1}
    assert made.idle


def test_an_event_that_makes_the_server_fail_is_given_up_after_ten_times() -> None:
    buffer, made, server = delivery([Answer("later", 500)] * 10)
    put(buffer)
    now = 2.0
    for _ in range(10):
        made.step(now)
        now += 31
    assert len(server.bodies) == 10
    assert made.dropped() == {"rejected": 1}


def test_what_cannot_be_encoded_is_one_event_lost() -> None:
    buffer, made, server = delivery()
    put(buffer, 1, labels={"feature": object()})
    ids = put(buffer, 1)
    made.step(2.0)
    assert server.sent() == [ids]
    assert made.dropped() == {"encode_error": 1}
    assert made.settled == 2


def test_content_too_large_for_a_batch_is_left_out() -> None:
    buffer, made, server = delivery()
    put(buffer, 1, sent=json.dumps([str(n % 10) * 60_000 for n in range(20)]).encode())
    assert LARGEST_EVENT < 20 * 60_000
    made.step(2.0)
    assert "content" not in server.bodies[0]["events"][0]
    assert made.dropped() == {}


def test_lone_surrogates_survive_as_escapes() -> None:
    buffer, made, server = delivery()
    put(buffer, 1, labels={"feature": "a\ud800b"})
    made.step(2.0)
    assert server.bodies[0]["events"][0]["feature"] == "a\ud800b"


# --- with a spool -------------------------------------------------------------------------------------------------


def test_what_is_left_at_the_end_is_found_by_the_next_process(tmp_path: Path) -> None:
    buffer, made, _ = delivery([LATER], spool=tmp_path)
    ids = put(buffer, 3)
    made.step(2.0)
    ids += put(buffer, 2)
    assert made.leave(lambda: 1.0) == 0
    assert len(buffer) == 0

    _, after, server = delivery(spool=tmp_path)
    while after.step(0.0):
        pass
    assert sorted(event for batch in server.sent() for event in batch) == sorted(ids)
    assert {body["client"]["boot_id"] for body in server.bodies} == {"b"}
    assert server.bodies[0]["client"]["emitted"] == 5
    assert list(tmp_path.iterdir()) == []


def test_without_a_spool_what_is_left_is_counted_as_lost() -> None:
    buffer, made, _ = delivery([LATER])
    put(buffer, 3)
    made.step(2.0)
    put(buffer, 2)
    assert made.leave(lambda: 1.0) == 5
    assert made.dropped() == {"exit": 5}


def test_while_the_server_is_away_waiting_calls_move_to_disk(tmp_path: Path) -> None:
    buffer, made, server = delivery([LATER] * 3, spool=tmp_path)
    first = put(buffer)
    now = 2.0
    for _ in range(3):
        made.step(now)
        now += made.wait(now)
    second = put(buffer, 4)
    made.step(now - 0.5)
    assert len(buffer) == 0
    assert len(list(tmp_path.iterdir())) == 1
    now += 60
    while made.step(now, urgent=True):
        pass
    assert server.sent()[-2:] == [first, second]
    assert list(tmp_path.iterdir()) == []
    assert made.settled == 5


def test_calls_move_to_disk_many_at_a_time(tmp_path: Path) -> None:
    buffer, made, _ = delivery([LATER] * 3, spool=tmp_path)
    put(buffer)
    now = 2.0
    for _ in range(3):
        made.step(now)
        now += made.wait(now)
    made._not_before = now + 60
    written = []
    for seconds, calls in ((0, 1), (5, 2), (9.9, 3), (10, 4), (11, 199), (11, 1), (20.9, 7), (21, 8)):
        put(buffer, calls)
        made.step(now + seconds)
        written.append(sorted(int(path.name.split("-")[-1].split(".")[0]) for path in tmp_path.iterdir()))
    assert written == [[1], [1], [1], [1, 9], [1, 9], [1, 9, 200], [1, 9, 200], [1, 9, 15, 200]]


def test_a_spooled_segment_that_is_halved_goes_when_both_halves_are_stored(tmp_path: Path) -> None:
    buffer, made, _ = delivery([LATER], spool=tmp_path)
    put(buffer, 2)
    made.step(2.0)
    made.leave(lambda: 1.0)
    _, after, server = delivery([Answer("too_large", 413)], spool=tmp_path)
    after.step(0.0)
    after.step(0.0)
    assert len(list(tmp_path.iterdir())) == 1
    after.step(0.0)
    assert list(tmp_path.iterdir()) == []
    assert [len(ids) for ids in server.sent()] == [2, 1, 1]


def test_a_segment_in_hand_at_the_end_is_given_back(tmp_path: Path) -> None:
    buffer, made, _ = delivery([LATER], spool=tmp_path)
    put(buffer, 2)
    made.step(2.0)
    made.leave(lambda: 1.0)
    _, second, _ = delivery([LATER], spool=tmp_path)
    second.step(0.0)
    assert second.leave(lambda: 1.0) == 0
    _, third, server = delivery(spool=tmp_path)
    third.step(0.0)
    assert [len(ids) for ids in server.sent()] == [2]


def test_a_spool_that_cannot_be_written_is_told_once_and_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("in the way")
    buffer, made, _ = delivery([LATER], spool=tmp_path / "file")
    put(buffer, 2)
    made.step(2.0)
    assert made.leave(lambda: 1.0) == 2
    assert made.dropped() == {"exit": 2}
    assert "cannot write unsent telemetry to disk" in caplog.text


def test_a_batch_says_nothing_when_it_is_empty() -> None:
    body = Batch().body({"instance": "i"}, "2026-01-01T00:00:00.000Z")
    assert json.loads(gzip.decompress(body)) == {
        "client": {"instance": "i", "sent_at": "2026-01-01T00:00:00.000Z"},
        "events": [],
    }
