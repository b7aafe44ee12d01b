"""The names of a batch's calls, as numbers."""

import struct
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from ingest import dimensions, wire
from ingest.events import Event
from ingest.models import Dimension
from ingest.names import Names
from ingest.vocabulary import DimensionKind
from projects.models import Project
from tests import factories

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.storage]


@pytest.fixture
def owner(transactional_db: None) -> Project:
    return factories.project()


def call(**overrides: Any) -> Event:
    return wire.event_of(factories.event(**overrides))


def number(owner: Project, kind: DimensionKind, name: str) -> int:
    found = dimensions.find(owner.pk, kind, name)
    assert found is not None
    return found


def unpacked(packed: bytes | None) -> list[int]:
    assert packed is not None
    fields = list(struct.unpack("!22i", packed))
    assert fields[::2] == [4] * 11
    return fields[1::2]


def test_a_name_nobody_has_met_waits_to_be_interned(owner: Project) -> None:
    names = Names(owner.pk, "production")
    assert names.packed(call()) is None
    names.intern([call()])
    assert unpacked(names.packed(call())) == [
        owner.pk,
        number(owner, DimensionKind.ENVIRONMENT, "production"),
        number(owner, DimensionKind.FEATURE, "inbox"),
        number(owner, DimensionKind.PROMPT_TYPE, "triage"),
        number(owner, DimensionKind.PROMPT_VERSION, "7"),
        number(owner, DimensionKind.MODEL, "claude-sonnet-4-5-20250929"),
        number(owner, DimensionKind.MODEL, "claude-sonnet-4-5"),
        number(owner, DimensionKind.APP, "helpdesk"),
        number(owner, DimensionKind.RELEASE, "1.4.2"),
        number(owner, DimensionKind.SDK, "anthropic/2.12.0"),
        dimensions.ABSENT,
    ]


def test_the_next_batch_asks_the_database_for_no_name_that_is_known(owner: Project) -> None:
    Names(owner.pk, "production").intern([call(feature="inbox"), call(feature="outbox")])
    with CaptureQueriesContext(connection) as asked:
        assert Names(owner.pk, "production").packed(call(feature="outbox")) is not None
    assert len(asked) == 0


def test_one_new_name_is_enough_to_wait(owner: Project) -> None:
    Names(owner.pk, "production").intern([call()])
    assert Names(owner.pk, "production").packed(call(prompt_version="8")) is None
    assert Names(owner.pk, "production").packed(call(release="1.4.3")) is None
    assert Names(owner.pk, "staging").packed(call()) is None


def test_no_name_and_an_empty_one_have_the_number_of_nothing(owner: Project) -> None:
    nameless = {"feature": "", "prompt_type": None, "prompt_version": "", "model": None, "model_requested": None}
    nameless |= {"app": "", "release": None, "sdk": None}
    names = Names(owner.pk, "production")
    names.intern([call(**nameless)])
    assert unpacked(names.packed(call(**nameless)))[2:] == [dimensions.ABSENT] * 9


def test_names_over_the_limit_share_a_number_every_time(owner: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dimensions, "MOST_NAMES", 1)
    for _ in range(2):
        names = Names(owner.pk, "production")
        names.intern([call(feature="a"), call(feature="b"), call(feature="c")])
        other = number(owner, DimensionKind.FEATURE, dimensions.OTHER_NAME)
        found = [unpacked(names.packed(call(feature=feature)))[2] for feature in "abc"]
        assert found == [number(owner, DimensionKind.FEATURE, "a"), other, other]


def test_releases_have_a_limit_of_their_own(owner: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dimensions, "MOST_NAMES", 1)
    monkeypatch.setattr(dimensions, "MOST_RELEASES", 2)
    names = Names(owner.pk, "production")
    names.intern([call(release="1"), call(release="2"), call(release="3")])
    other = number(owner, DimensionKind.RELEASE, dimensions.OTHER_NAME)
    found = [unpacked(names.packed(call(release=release)))[8] for release in "123"]
    assert found == [number(owner, DimensionKind.RELEASE, "1"), number(owner, DimensionKind.RELEASE, "2"), other]


def test_a_new_name_is_noted_with_its_earliest_call_and_an_old_one_keeps_its_time(owner: Project) -> None:
    early, late = factories.NOW, factories.NOW + timedelta(hours=2)
    Names(owner.pk, "production").intern([call(at=late, release="2.0"), call(at=early, release="2.0")])
    Names(owner.pk, "production").intern([call(at=early, release="2.1"), call(at=early - timedelta(1), release="2.0")])
    seen = dict(
        Dimension.objects.filter(project=owner, kind=DimensionKind.RELEASE).values_list("name", "first_seen_at")
    )
    assert seen == {"2.0": early, "2.1": early}
    assert Dimension.objects.get(project=owner, kind=DimensionKind.ENVIRONMENT).first_seen_at is None
