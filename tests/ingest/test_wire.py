"""A batch is read event by event; odd values are in test_api.py."""

import json
import tracemalloc

import pytest

from ingest import wire
from ingest.models import RequestLog
from ingest.store import Origin, store
from tests import factories


def test_a_thousand_events_take_the_room_of_one() -> None:
    body = json.dumps({"events": [factories.event() for _ in range(1_000)]}).encode()
    for _ in wire.decode(body).events:
        pass
    tracemalloc.start()
    try:
        count = sum(1 for _ in wire.decode(body).events)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # A built event takes some 2,000 bytes; where one begins and ends in the body takes less than a hundred.
    assert (count, peak < 200_000) == (1_000, True)


def test_events_around_a_bad_one_come_in_their_order() -> None:
    events = [factories.event(user_id=str(number)) for number in range(5)]
    events[1] = events[1] | {"started_at": "2026-11-22T11:00:00Z"}
    events[3] = events[3] | {"duration_ms": -1}
    found = wire.decode(json.dumps({"events": events}).encode())
    assert [event.user_id for event in found.events] == ["0", "2", "4"]
    assert [(one.index, one.id, one.field) for one in found.rejected] == [
        (1, events[1]["id"], "started_at"),
        (3, events[3]["id"], "duration_ms"),
    ]


@pytest.mark.django_db
@pytest.mark.storage
def test_nothing_is_stored_of_a_batch_that_turns_out_to_be_too_much_halfway() -> None:
    swollen = factories.event(usage={str(number): "" for number in range(200_000)})
    found = wire.decode(json.dumps({"events": [factories.event(), swollen]}).encode())
    with pytest.raises(wire.EnvelopeError, match="more than 500,000 strings, brackets and commas"):
        store(found.events, origin=Origin(factories.project().pk, "production"), now=factories.NOW)
    assert not RequestLog.objects.exists()
