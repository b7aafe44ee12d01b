"""Prompts and responses as bytes."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import UUID

import pytest
import zstandard
from django.db import connection
from django.db.models import Max

from ingest import bodies, partitions
from ingest.models import BodyDictionary, RequestBody
from ingest.wire import Content
from projects.models import Project
from tests import factories
from tests.factories import NOW

FREQUENT = (
    "You are the support assistant of a bicycle shop. Answer in two sentences, politely, and name the order number. "
    "Never promise a refund. If the customer is angry, offer a call by a person on the same day."
)


def content(number: int) -> dict[str, str]:
    """A prompt that is mostly template, as real ones are."""
    question = f"Order {number}: my {('saddle', 'chain', 'wheel', 'light')[number % 4]} number {number * 7919} is late."
    return {"input": f"{FREQUENT} {question}", "output": f"We are sorry. Order {number} leaves on day {number % 28}."}


def keep(project: Project, count: int, first: int = 0) -> None:
    """Stores that many bodies of the project, packed with its present dictionary."""
    partitions.ensure_days([NOW.date()])
    dictionary = bodies.dictionary_for(project.pk, now=NOW)
    packed = [bodies.pack(content(number), dictionary) for number in range(first, first + count)]
    RequestBody.objects.bulk_create(
        RequestBody(id=factories.call_id(), project=project, dictionary_id=used, body=body) for used, body in packed
    )


@pytest.fixture
def project(db: None) -> Project:
    return factories.project()


def test_a_body_comes_back_as_it_was() -> None:
    given = {"input": 'Grüße ✓ 😀 " \\ \n', "output": '{"a": [1, 2.5, null]}', "redactions": {"email": 2}}
    dictionary_id, packed = bodies.pack(given)
    assert dictionary_id == 0
    assert bodies.unpack(0, packed) == given
    assert bodies.unpack(0, memoryview(packed)) == given


def test_a_struct_of_the_wire_is_packed_as_its_document() -> None:
    _, packed = bodies.pack(Content(input='"hello"', redactions={"email": 1}))
    assert bodies.unpack(0, packed) == {"input": '"hello"', "redactions": {"email": 1}}


def test_what_everybody_says_takes_next_to_no_room() -> None:
    given = {"input": FREQUENT * 50}
    assert len(bodies.pack(given)[1]) * 50 < len(json.dumps(given))


def test_a_body_as_large_as_a_request_may_be_is_packed_and_a_larger_one_is_not() -> None:
    frame = len(b'{"input":""}')
    largest = {"input": "x" * (bodies.LARGEST - frame)}
    assert bodies.unpack(*bodies.pack(largest)) == largest
    with pytest.raises(bodies.BodyError, match="content: 8,388,609 bytes of JSON; at most 8,388,608 can be stored"):
        bodies.pack({"input": "x" * (bodies.LARGEST - frame + 1)})


@pytest.mark.parametrize(
    "damaged",
    [
        b"",
        b"not a frame",
        bodies.pack({"a": 1})[1][:-1],
        zstandard.compress(b"[1]"),
        zstandard.compress(b"{"),
    ],
)
def test_damaged_bytes_are_told(damaged: bytes) -> None:
    with pytest.raises(bodies.BodyError, match=r"^body: damaged"):
        bodies.unpack(0, damaged)


def test_a_bomb_is_not_unpacked() -> None:
    bomb = zstandard.compress(b" " * (bodies.LARGEST + 1))
    with pytest.raises(bodies.BodyError, match=r"^body: larger than a body can be"):
        bodies.unpack(0, bomb)
    stream = zstandard.ZstdCompressor().compressobj()
    with pytest.raises(bodies.BodyError, match=r"^body: larger than a body can be"):
        bodies.unpack(0, stream.compress(b" " * 1000) + stream.flush())


def test_threads_pack_side_by_side() -> None:
    def there_and_back(number: int) -> bool:
        given = {"input": f"{number} " * 20_000}
        return bodies.unpack(*bodies.pack(given)) == given

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(there_and_back, range(200)))


def test_a_project_with_too_few_bodies_gets_no_dictionary(project: Project) -> None:
    keep(project, bodies.FEWEST_SAMPLES - 1)
    assert bodies.train(project, now=NOW) is None
    assert bodies.dictionary_for(project.pk, now=NOW) == 0


def test_a_dictionary_makes_the_bodies_of_its_project_smaller(project: Project) -> None:
    keep(project, bodies.FEWEST_SAMPLES)
    keep(factories.project(), 1)
    assert bodies.dictionary_for(project.pk, now=NOW) == 0
    trained = bodies.train(project, now=NOW)
    assert trained is not None
    assert (trained.project, trained.trained_at) == (project, NOW)
    assert len(trained.dictionary) <= bodies.DICTIONARY_SIZE
    # At once, though "none" was known a moment ago.
    assert bodies.dictionary_for(project.pk, now=NOW) == trained.pk
    given = content(123_456)
    used, packed = bodies.pack(given, trained.pk)
    assert used == trained.pk
    assert len(packed) * 2 < len(bodies.pack(given)[1])
    assert bodies.unpack(used, packed) == given


def test_bodies_packed_before_and_after_training_are_both_read(project: Project) -> None:
    keep(project, bodies.FEWEST_SAMPLES)
    trained = bodies.train(project, now=NOW)
    assert trained is not None
    keep(project, 1, first=5_000)
    newest = RequestBody.objects.get(dictionary_id=trained.pk)
    assert bodies.unpack(newest.dictionary_id, newest.body) == content(5_000)
    oldest = RequestBody.objects.filter(dictionary_id=0).order_by("id").first()
    assert oldest is not None
    assert bodies.unpack(0, oldest.body)["output"].startswith("We are sorry.")


def test_a_dictionary_is_made_anew_after_a_month_and_the_old_one_stays(project: Project) -> None:
    keep(project, bodies.FEWEST_SAMPLES)
    first = bodies.train(project, now=NOW)
    assert first is not None
    packed = bodies.pack(content(1), first.pk)
    assert bodies.train(project, now=NOW + bodies.TRAIN_EVERY - timedelta(seconds=1)) is None
    second = bodies.train(project, now=NOW + bodies.TRAIN_EVERY)
    assert second is not None
    assert second.pk > first.pk
    assert bodies.unpack(*packed) == content(1)
    assert BodyDictionary.objects.filter(project=project).count() == 2


def test_the_dictionary_of_another_process_is_used_within_a_minute(project: Project) -> None:
    assert bodies.dictionary_for(project.pk, now=NOW) == 0
    made = BodyDictionary.objects.create(project=project, trained_at=NOW, dictionary=b"any")
    assert bodies.dictionary_for(project.pk, now=NOW + timedelta(seconds=59)) == 0
    assert bodies.dictionary_for(project.pk, now=NOW + timedelta(seconds=60)) == made.pk


def test_a_process_that_meets_many_dictionaries_keeps_few_contexts(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(project, bodies.FEWEST_SAMPLES)
    monkeypatch.setattr(bodies, "_CONTEXTS_PER_THREAD", 1)
    trained = bodies.train(project, now=NOW)
    assert trained is not None
    for number, dictionary in enumerate((0, trained.pk, 0, trained.pk)):
        assert bodies.unpack(*bodies.pack(content(number), dictionary)) == content(number)


def test_no_more_bodies_are_read_than_training_needs(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    keep(project, 1)
    monkeypatch.setattr(bodies, "FEWEST_SAMPLES", 100)
    monkeypatch.setattr(bodies, "MOST_SAMPLE_BYTES", 100)
    keep(project, 99, first=1)
    # The hundredth from the end is enough, so the one that was there first is not looked at.
    keep(project, 1, first=100)
    oldest = RequestBody.objects.filter(project=project).earliest("id")
    RequestBody.objects.filter(pk=oldest.pk).update(dictionary_id=30_000)
    assert bodies.train(project, now=NOW) is not None


def test_large_and_damaged_bodies_do_not_stop_the_training(project: Project) -> None:
    keep(project, bodies.FEWEST_SAMPLES - 1)
    large = bodies.pack({"input": "x" * 3_000_000})[1]
    RequestBody.objects.bulk_create(
        RequestBody(id=factories.call_id(), project=project, dictionary_id=0, body=body) for body in (large, b"damaged")
    )
    trained = bodies.train(project, now=NOW)
    assert trained is not None
    assert bodies.unpack(*bodies.pack(content(1), trained.pk)) == content(1)


def test_a_body_whose_dictionary_is_gone_says_so(project: Project) -> None:
    missing = (BodyDictionary.objects.aggregate(highest=Max("id"))["highest"] or 0) + 30_000
    with pytest.raises(BodyDictionary.DoesNotExist):
        bodies.unpack(missing, bodies.pack({"a": 1})[1])


@pytest.mark.storage
def test_a_call_and_its_body_meet_by_id(project: Project) -> None:
    with_body = factories.event(content={"input": '"why?"', "output": '"because"'})
    factories.stored(project, with_body)
    found = RequestBody.objects.get(project=project, id=UUID(with_body["id"]))
    assert bodies.unpack(found.dictionary_id, found.body) == {"input": '"why?"', "output": '"because"'}
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM request_log WHERE id = %s AND flags & 32 <> 0", [found.id])
        assert cursor.fetchone() == (1,)
