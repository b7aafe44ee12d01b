"""Several questions at once: the same answers, fewer statements, and what fails, fails alone."""

from datetime import timedelta

import pytest
from django.db import DatabaseError, connection
from django.test.utils import CaptureQueriesContext

from metrics import asks, queries
from metrics.slices import Slice
from metrics.steps import Sql, Steps, alone, beside, nothing, together
from metrics.windows import Window
from tests.factories import NOW
from tests.metrics.conftest import World
from tests.metrics.world import DAY, HOUR

pytestmark = pytest.mark.django_db


def said(*texts: str) -> Steps[list[str | None]]:
    """One read after the other, each of a word."""
    words: list[str | None] = []
    for text in texts:
        (((_, word),),) = yield [Sql("SELECT NULL::text, %s::text", (text,))]
        words.append(word)
    return words


def broken() -> Steps[None]:
    yield [Sql("SELECT NULL::text, (1 / 0)::text")]


def statements(captured: CaptureQueriesContext) -> list[str]:
    return [each["sql"] for each in captured if "SAVEPOINT" not in each["sql"]]


def test_what_is_due_at_the_same_time_is_one_statement_and_equal_reads_are_one() -> None:
    with CaptureQueriesContext(connection) as captured:
        found = together({"a": said("x", "y", "z"), "b": said("x"), "c": nothing()})
    assert {name: answer.get() for name, answer in found.items()} == {"a": ["x", "y", "z"], "b": ["x"], "c": None}
    first, second, third = statements(captured)
    assert [first.count("'x'"), second.count("'y'"), third.count("'z'")] == [1, 1, 1]


def test_beside_one_another_inside_of_one_question() -> None:
    with CaptureQueriesContext(connection) as captured:
        assert alone(beside(said("x", "y"), nothing(), said("z"))) == (["x", "y"], None, ["z"])
    assert len(statements(captured)) == 2


def test_a_read_that_fails_fails_its_own_question_and_no_other() -> None:
    found = together({"good": said("x", "y"), "bad": broken()})
    assert found["good"].get() == ["x", "y"]
    with pytest.raises(DatabaseError, match="division by zero"):
        found["bad"].get()


def test_a_question_that_cannot_be_put_fails_alone(lived: World) -> None:
    wide = Slice(lived.reading.pk, key="main", feature="search")
    window, whole = Window.last(3 * DAY, NOW), Slice(lived.reading.pk)
    found = together(
        {
            "wide": asks.values(("requests",), window, wide, now=NOW),
            "whole": asks.values(("requests",), window, whole, now=NOW),
        }
    )
    assert found["whole"].get() == queries.values(("requests",), window, whole, now=NOW)
    with pytest.raises(queries.WindowTooWideError):
        found["wide"].get()


def test_together_is_what_each_says_alone_in_three_statements(lived: World) -> None:
    whole, one = Slice(lived.writing.pk), Slice(lived.writing.pk, feature="search", environment="staging")
    window, step = Window.last(DAY, NOW + timedelta(minutes=3)), HOUR
    metrics = ("requests", "latency_p95", "cost_of_waste")
    with CaptureQueriesContext(connection) as captured:
        found = together(
            {
                "values": asks.values(metrics, window, one, now=NOW),
                "before": asks.values(metrics, window.previous(), whole, now=NOW),
                "line": asks.several_series(metrics, window, whole, bucket=step, now=NOW),
                "lines": asks.several_series(metrics, window, whole, bucket=step, by="prompt_type", top=4, now=NOW),
                "parts": asks.breakdown("key", metrics, window, whole, now=NOW),
                "users": asks.breakdown("user_id", ("requests",), window, whole, top=2, now=NOW),
            }
        )
    assert len(statements(captured)) == 3
    answers = {name: answer.get() for name, answer in found.items()}
    assert answers == {
        "values": queries.values(metrics, window, one, now=NOW),
        "before": queries.values(metrics, window.previous(), whole, now=NOW),
        "line": queries.several_series(metrics, window, whole, bucket=step, now=NOW),
        "lines": queries.several_series(metrics, window, whole, bucket=step, by="prompt_type", top=4, now=NOW),
        "parts": queries.breakdown("key", metrics, window, whole, now=NOW),
        "users": queries.breakdown("user_id", ("requests",), window, whole, top=2, now=NOW),
    }
