"""Failure groups: what looks alike has one number, what does not has another, and hostile text fills one list."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import transaction

from ingest import dimensions, failure_groups
from ingest.dimensions import OTHER_NAME
from ingest.failure_groups import Fingerprint
from ingest.message_template import LONGEST
from ingest.models import FailureGroup, RequestLog
from ingest.vocabulary import DimensionKind, ErrorCategory
from projects.models import Project
from tests import factories

OVERLOADED, INVALID = ErrorCategory.OVERLOADED.value, ErrorCategory.INVALID_REQUEST.value


@pytest.fixture
def owner(db: None) -> Project:
    return factories.project()


@pytest.fixture
def forgetful() -> Iterator[None]:
    """A process that knows no group yet, at the start and at the end."""
    failure_groups._kept.clear()
    yield
    failure_groups._kept.clear()


def failed(message: str | None = "Overloaded", category: str = "overloaded", **fields: Any) -> dict[str, Any]:
    return factories.failed(category, error={"category": category, "message": message}, **fields)


def groups(*events: dict[str, Any]) -> list[int]:
    """The numbers of the groups of these calls, as stored; 0 for none."""
    of_call = {str(pk): group or 0 for pk, group in RequestLog.objects.values_list("pk", "failure_group_id")}
    return [of_call[event["id"]] for event in events]


def test_failures_that_differ_in_numbers_and_names_only_have_one_group(owner: Project) -> None:
    events = [
        failed(f"prompt is too long: {n} tokens > 200000 maximum", user_id=f"user-{n}", feature=f"f{n}") for n in (1, 2)
    ]
    factories.stored(owner, *events)
    (number,) = set(groups(*events))
    found = FailureGroup.objects.get()
    assert found.pk == number
    prompt_type = dimensions.find(owner.pk, DimensionKind.PROMPT_TYPE, "triage")
    version = dimensions.find(owner.pk, DimensionKind.PROMPT_VERSION, "7")
    assert (found.error, found.template) == (OVERLOADED, "prompt is too long: # tokens > # maximum")
    assert (found.prompt_type_id, found.prompt_version_id) == (prompt_type, version)


def test_type_message_prompt_type_and_version_each_make_another_group(owner: Project) -> None:
    events = [
        failed(),
        failed(category="timeout"),
        failed("Overloaded again"),
        failed(prompt_type="reply"),
        failed(prompt_version="8"),
        failed(None, prompt_type=None, prompt_version=None),
    ]
    factories.stored(owner, *events)
    assert len(set(groups(*events))) == FailureGroup.objects.count() == 6
    assert FailureGroup.objects.get(template="").prompt_type_id == dimensions.ABSENT


def test_only_failures_have_a_group_and_one_that_was_refused_is_one(owner: Project) -> None:
    events = [
        factories.event(),
        factories.event(outcome="degraded", source="model_fallback"),
        failed(outcome="cancelled"),
        failed("No budget is left", "budget_exceeded", outcome="rejected"),
        factories.failed(error=None),
    ]
    factories.stored(owner, *events)
    found = groups(*events)
    assert found[:3] == [0, 0, 0]
    told = {group.pk: (group.error, group.template) for group in FailureGroup.objects.all()}
    assert told[found[3]] == (ErrorCategory.BUDGET_EXCEEDED, "No budget is left")
    assert told[found[4]] == (ErrorCategory.OTHER, "")


def test_projects_do_not_share_groups(owner: Project) -> None:
    other = factories.project()
    mine, theirs = failed(), failed()
    factories.stored(owner, mine)
    factories.stored(other, theirs)
    numbers = groups(mine, theirs)
    assert len(set(numbers)) == 2
    assert FailureGroup.objects.get(project=other).pk == numbers[1]


def test_a_repeated_call_keeps_its_group(owner: Project) -> None:
    event = failed()
    factories.stored(owner, event)
    before = groups(event)
    receipt = factories.stored(owner, event, failed("Another"))
    assert (receipt.accepted, receipt.duplicates) == (1, 1)
    assert groups(event) == before


HOSTILE = (
    "\x01\u202e" + "'" * 200 + '"' * 200,
    "<script>alert(1)</script>'; DROP TABLE request_log; --",
    "a" * 500,
    "1.2" * 166,
    "{'message': " * 40,
    "“" * 499 + "x",
    "%s %(x)s {0} \\",
)


@pytest.mark.parametrize("message", HOSTILE)
def test_hostile_messages_are_stored_and_their_groups_are_short_lines(owner: Project, message: str) -> None:
    event = failed(message)
    assert factories.stored(owner, event).accepted == 1
    (number,) = groups(event)
    template = FailureGroup.objects.get(pk=number).template
    assert len(template) <= LONGEST
    assert template.isprintable()


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("forgetful")
def test_beyond_the_limit_new_messages_share_a_group_of_their_type_and_prompt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failure_groups, "MOST_GROUPS", 2)
    owner = factories.project()
    first = failure_groups.ids(owner.pk, [Fingerprint(OVERLOADED, "a", 0, 0)])
    wanted = [
        *(Fingerprint(OVERLOADED, template, 0, 0) for template in "abcd"),
        Fingerprint(INVALID, "c", 0, 0),
        Fingerprint(OVERLOADED, "d", 5, 0),
    ]
    found = failure_groups.ids(owner.pk, wanted)
    told = {fingerprint: group for group in FailureGroup.objects.all() for fingerprint in [_of(group)]}
    assert found[wanted[0]] == first[wanted[0]]
    assert found[wanted[1]] == told[wanted[1]].pk
    overflow = [told[Fingerprint(error, OTHER_NAME, of, 0)].pk for error, of in ((OVERLOADED, 0), (INVALID, 0))]
    assert [found[one] for one in wanted[2:]] == [
        overflow[0],
        overflow[0],
        overflow[1],
        told[Fingerprint(OVERLOADED, OTHER_NAME, 5, 0)].pk,
    ]
    assert FailureGroup.objects.count() == 5
    # It goes on so, in this process and in one that has just begun.
    later = Fingerprint(OVERLOADED, "e", 0, 0)
    assert failure_groups.ids(owner.pk, [later, wanted[1]]) == {later: overflow[0], wanted[1]: found[wanted[1]]}
    failure_groups._kept.clear()
    assert failure_groups.ids(owner.pk, [later, wanted[1]]) == {later: overflow[0], wanted[1]: found[wanted[1]]}
    assert FailureGroup.objects.count() == 5


def _of(group: FailureGroup) -> Fingerprint:
    return Fingerprint(group.error, group.template, group.prompt_type_id, group.prompt_version_id)


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("forgetful")
def test_a_flood_of_messages_leaves_every_call_with_a_group(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failure_groups, "MOST_GROUPS", 10)
    owner = factories.project()
    # Letters, because numbers are cut out of messages.
    events = [failed(f"trouble {chr(97 + n // 10)}{chr(97 + n % 10)}") for n in range(100)]
    assert factories.stored(owner, *events).accepted == 100
    assert FailureGroup.objects.count() == 11
    other = FailureGroup.objects.get(template=OTHER_NAME).pk
    assert groups(*events).count(other) == 90


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("forgetful")
def test_a_number_is_remembered_only_when_its_row_was_committed() -> None:
    owner = factories.project()
    fingerprint = Fingerprint(OVERLOADED, "Overloaded", 0, 0)

    class RolledBackError(Exception):
        pass

    def intern_and_roll_back() -> None:
        with transaction.atomic():
            failure_groups.ids(owner.pk, [fingerprint])
            raise RolledBackError

    with pytest.raises(RolledBackError):
        intern_and_roll_back()
    [number] = failure_groups.ids(owner.pk, [fingerprint]).values()
    assert FailureGroup.objects.get().pk == number
