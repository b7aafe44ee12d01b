"""Calls made through the real client without waiting: each takes, by its own clock, what the model drew."""

from datetime import UTC, datetime, timedelta

import pytest

from config.replay.perform import connect, perform
from config.replay.virtual import Stopwatch
from llmclient import Call as Measured
from llmclient.testing import FakeAnthropic, capture
from llmclient.testing.trace import Arrival
from llmclient.testing.traffic import Call, Faults, Rates, Traffic

START = datetime(2026, 11, 16, 12, 0, tzinfo=UTC)
MANY = Rates(rate_limit=0.1, overloaded=0.1, server_error=0.05, timeout=0.05, connection=0.0, interrupted=0.1)


def made(faults: Faults, rates: Rates, rows: int) -> list[tuple[Call, Measured]]:
    traffic = Traffic(START, faults=faults, rates=rates)
    calls = [traffic.assign(Arrival(row, START + timedelta(seconds=row), 300, 1 + row)) for row in range(rows)]
    with FakeAnthropic(limits=None) as fake, capture() as measured:
        llm = connect(fake.url, is_virtual=True)
        ends = [perform(llm, call, Stopwatch(call)) for call in calls]
    assert all(ends), "every call ends as the model wants it"
    return list(zip(calls, measured, strict=True))


def test_calls_without_faults_take_exactly_the_time_of_the_model() -> None:
    for call, measured in made(Faults.OFF, MANY, 60):
        assert measured.id == call.id
        assert measured.duration == pytest.approx(call.duration)
        assert measured.ttft == (pytest.approx(call.ttft) if call.stream else None)
        assert measured.usage is not None
        assert (measured.usage["input_tokens"], measured.usage["output_tokens"]) == (300, call.output_tokens)


def test_failed_attempts_take_their_time_before_the_answer() -> None:
    retried = [(call, measured) for call, measured in made(Faults.RETRIED, MANY, 120) if call.fate.failures]
    assert retried
    for call, measured in retried:
        assert [attempt.status for attempt in measured.attempts] == [
            *(failure["status"] for failure in call.fate.failures),
            200,
        ]
        failed = sum(failure["delay"] for failure in call.fate.failures)
        assert measured.duration == pytest.approx(failed + call.duration)


def test_calls_that_fail_for_good_and_streams_that_break_off_are_measured_as_such() -> None:
    pairs = made(Faults.ALL, MANY, 200)
    lost = [measured for call, measured in pairs if call.fate.reply is None]
    broken = [measured for call, measured in pairs if call.fate.reply is not None and "breaks" in call.fate.reply]
    assert lost
    assert broken
    assert {measured.outcome for measured in (*lost, *broken)} == {"error"}
    assert {measured.error.category for measured in broken if measured.error} == {"stream_interrupted"}


def test_a_connection_that_is_lost_once_is_made_again() -> None:
    only = Rates(0, 0, 0, 0, connection=1.0)
    (pair,) = made(Faults.RETRIED, only, 1)
    call, measured = pair
    assert [attempt.status for attempt in measured.attempts] == [*(None for _ in call.fate.failures), 200]
    assert measured.duration == pytest.approx(0.5 * len(call.fate.failures) + call.duration)
