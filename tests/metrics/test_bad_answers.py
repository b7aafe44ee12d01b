"""The newest answers that failed for what they were: which, of which calls, and by which index."""

import re
from datetime import timedelta

import pytest

from ingest.vocabulary import ErrorCategory
from metrics.bad_answers import CATEGORIES, BadAnswer, newest
from metrics.slices import Slice
from metrics.steps import alone
from metrics.windows import Window
from tests import factories
from tests.factories import NOW
from tests.metrics import rollups

pytestmark = [pytest.mark.django_db, pytest.mark.storage]

MINUTE = timedelta(minutes=1)


def test_the_newest_of_a_window_are_found_newest_first(monkeypatch: pytest.MonkeyPatch) -> None:
    owner, window = factories.project(), Window(NOW - 10 * MINUTE, NOW)
    said = ("truncated", "timeout", "refusal", "invalid_output", "overloaded", "refusal")
    calls = [
        factories.failed(category, 200, NOW - n * MINUTE, feature="odd" if n % 2 else "even")
        for n, category in enumerate(said, start=1)
    ]
    factories.stored(owner, *calls, factories.failed("refusal", 200, NOW - 11 * MINUTE), now=NOW)
    factories.stored(owner, factories.event(NOW - MINUTE, stop_reason="refusal"), now=NOW)
    factories.stored(factories.project(), factories.failed("refusal", 200, NOW - MINUTE), now=NOW)

    def found(most: int = 9, **filters: str) -> list[BadAnswer]:
        return alone(newest(window, Slice(owner.pk, **filters), most=most))

    # An answer in which the model declined is one that was given.
    assert [(str(one.id), one.error.name.lower()) for one in found()] == [
        (calls[place]["id"], said[place]) for place in (0, 2, 3, 5)
    ]
    assert [one.error for one in found(most=2)] == [ErrorCategory.TRUNCATED, ErrorCategory.REFUSAL]
    assert [str(one.id) for one in found(feature="even")] == [calls[place]["id"] for place in (3, 5)]
    assert found(feature="nobody used this") == []
    # What a filter means is looked for among the newest so many.
    monkeypatch.setattr("metrics.bad_answers.MOST", 3)
    assert [str(one.id) for one in found(feature="even")] == [calls[3]["id"]]


def test_the_index_holds_these_categories() -> None:
    ((definition,),) = rollups.rows("SELECT indexdef FROM pg_indexes WHERE indexname = 'request_log_bad_answers'")
    numbers = re.findall(r"\d+", definition.partition(" WHERE ")[2])
    assert [int(number) for number in numbers] == [category.value for category in CATEGORIES]
