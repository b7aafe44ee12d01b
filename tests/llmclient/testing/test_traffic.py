"""The traffic model: deterministic, exact in its totals, and shaped as documented."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from llmclient.testing._faults import FOR_GOOD, Faults, Incident, Rates, Trouble, latency_factor, rates_at
from llmclient.testing.arrivals import arrivals, rhythm
from llmclient.testing.trace import Arrival
from llmclient.testing.traffic import MIXED, Release, Traffic, event_id

START = datetime(2026, 11, 16, 12, 0, tzinfo=UTC)
ROWS = [Arrival(row, START + timedelta(seconds=row), 1000 + row, 1 + row % 700) for row in range(2000)]


def test_the_same_seed_and_row_give_the_same_call() -> None:
    one, two = Traffic(START, seed=3), Traffic(START, seed=3)
    forward = [one.assign(row) for row in ROWS]
    backward = [two.assign(row) for row in reversed(ROWS)]
    assert forward == backward[::-1]


def test_another_seed_gives_other_calls() -> None:
    assert Traffic(START, seed=3).assign(ROWS[0]) != Traffic(START, seed=4).assign(ROWS[0])


def test_a_shift_in_time_changes_nothing_but_the_time() -> None:
    shift = timedelta(days=3, seconds=7)
    here = Traffic(START).assign(ROWS[9])
    there = Traffic(START + shift).assign(Arrival(9, ROWS[9].at + shift, ROWS[9].input_tokens, ROWS[9].output_tokens))
    assert (here.user_id, here.session_id, here.model, here.prompt, here.fate, here.duration) == (
        there.user_id,
        there.session_id,
        there.model,
        there.prompt,
        there.fate,
        there.duration,
    )
    assert here.id != there.id


def test_ids_are_uuid7_of_their_time_and_all_different() -> None:
    ids = [event_id(row.at, row.row, 5) for row in ROWS]
    assert len(set(ids)) == 2000
    assert {(one.version, one.variant) for one in ids} == {(7, "specified in RFC 4122")}
    assert [one.int >> 80 for one in ids] == [int(row.at.timestamp()) * 1000 for row in ROWS]
    assert len({one.int >> 64 & 0xFFF for one in ids}) == 1, "one seed is one instance"


def test_rows_at_the_same_instant_have_different_ids() -> None:
    assert event_id(START, 1, 0) != event_id(START, 2, 0)
    assert event_id(START, 1, 0) == event_id(START, 1, 0)
    assert event_id(START, 1, 0) != event_id(START, 1, 1)


@pytest.mark.parametrize("faults", [Faults.OFF, Faults.RETRIED])
def test_every_call_ends_with_the_full_usage_of_its_row(faults: Faults) -> None:
    calls = [Traffic(START, faults=faults).assign(row) for row in ROWS]
    assert all(call.answered for call in calls)
    assert [(call.input_tokens, call.output_tokens, call.cache_read_tokens) for call in calls] == [
        (row.input_tokens, row.output_tokens, 0) for row in ROWS
    ]


def test_without_faults_nothing_fails_and_retried_ones_fail_at_most_twice() -> None:
    assert not [call for call in map(Traffic(START, faults=Faults.OFF).assign, ROWS) if call.fate.failures]
    failures = Counter(len(call.fate.failures) for call in map(Traffic(START).assign, ROWS))
    assert set(failures) == {0, 1, 2}


def test_with_all_faults_some_calls_fail_for_good_and_some_streams_break() -> None:
    calls = [Traffic(START, faults=Faults.ALL, rates=Rates(interrupted=0.1)).assign(row) for row in ROWS]
    lost = [call for call in calls if call.fate.reply is None]
    assert lost
    assert all(len(call.fate.failures) == FOR_GOOD for call in lost)
    broken = [call for call in calls if call.fate.reply is not None and "breaks" in call.fate.reply]
    assert broken
    assert all(call.stream for call in broken)


def test_one_model_or_a_mix_of_three() -> None:
    single = {call.model for call in map(Traffic(START, model="claude-opus-5-5").assign, ROWS)}
    assert single == {"claude-opus-5-5"}
    mixed = Counter(call.model for call in map(Traffic(START, model=MIXED).assign, ROWS))
    assert set(mixed) == {"claude-sonnet-5-5", "claude-opus-5-5", "claude-haiku-5-5"}
    assert mixed.most_common(1)[0][0] == "claude-sonnet-5-5"


def test_the_first_user_calls_about_twice_as_often_as_the_second() -> None:
    users = Counter(call.user_id for call in map(Traffic(START, users=50).assign, ROWS))
    assert [user for user, _ in users.most_common(2)] == ["user-0001", "user-0002"]
    assert 1.5 < users["user-0001"] / users["user-0002"] < 2.7
    assert all(1 <= int(user.removeprefix("user-")) <= 50 for user in users)


def test_a_users_calls_within_half_an_hour_are_one_session() -> None:
    sessions = {call.session_id for call in map(Traffic(START, users=1).assign, ROWS)}
    assert sessions == {"s-0001-0", "s-0001-1"}  # 2,000 seconds


def test_a_release_changes_version_and_length_from_its_instant_on() -> None:
    release = Release(START + timedelta(seconds=1000), "support-chat", "answer", "4", output=0.5)
    traffic = Traffic(START, releases=[release], made_up_tokens=True)
    pairs = [(row, traffic.assign(row)) for row in ROWS]
    answers = [(row, call) for row, call in pairs if (call.feature, call.prompt_type) == ("support-chat", "answer")]
    assert {call.prompt_version for row, call in answers if row.row < 1000} == {"3"}
    assert {call.prompt_version for row, call in answers if row.row >= 1000} == {"4"}
    assert all(
        call.output_tokens == (max(1, round(row.output_tokens * 0.5)) if row.row >= 1000 else row.output_tokens)
        for row, call in answers
    )


def test_cached_tokens_are_taken_from_the_input_and_never_added() -> None:
    traffic = Traffic(START, made_up_tokens=True)
    calls = [(row, traffic.assign(row)) for row in ROWS]
    assert all(call.input_tokens + call.cache_read_tokens == row.input_tokens for row, call in calls)
    assert any(call.cache_read_tokens for _, call in calls)


def test_a_latency_creep_grows_in_a_straight_line_and_then_is_over() -> None:
    creep = [Incident(Trouble.LATENCY_CREEP, START, START + timedelta(hours=1), 4.0)]
    at = [START + timedelta(minutes=minutes) for minutes in (-1, 0, 30, 60)]
    assert [latency_factor(creep, moment) for moment in at] == [1.0, 1.0, 2.5, 1.0]


def test_incidents_raise_the_rates_of_their_kind_while_they_last() -> None:
    wave = Incident(Trouble.RATE_LIMITS, START, START + timedelta(minutes=10), 0.4)
    burst = Incident(Trouble.ERRORS, START, START + timedelta(minutes=10), 0.3)
    during = rates_at(Rates(), [wave, burst], START)
    assert (during.rate_limit, during.overloaded, during.server_error) == (0.4, 0.15, 0.15)
    assert rates_at(Rates(), [wave, burst], START + timedelta(minutes=10)) == Rates()


def test_a_cost_spike_multiplies_the_input_of_one_feature() -> None:
    spike = Incident(Trouble.COST_SPIKE, START, START + timedelta(days=1), 6.0)
    calls = [(row, Traffic(START, incidents=[spike], made_up_tokens=True).assign(row)) for row in ROWS[:300]]
    for row, call in calls:
        factor = 6 if call.feature == "doc-summary" else 1
        assert call.input_tokens + call.cache_read_tokens == row.input_tokens * factor


def test_arrivals_are_in_order_within_their_window_and_repeatable() -> None:
    end = START + timedelta(days=2)
    rows = list(arrivals(START, end, per_day=lambda at: 500, seed=1))
    assert rows == list(arrivals(START, end, per_day=lambda at: 500, seed=1))
    times = [row.at for row in rows]
    assert times == sorted(times)
    assert times[0] >= START
    assert times[-1] < end
    assert [row.row for row in rows] == list(range(len(rows)))


def test_a_working_day_has_about_the_calls_asked_for_and_a_sunday_half() -> None:
    monday = datetime(2026, 11, 16, tzinfo=UTC)
    sunday = datetime(2026, 11, 15, tzinfo=UTC)
    day = timedelta(days=1)

    def usual(at: datetime) -> float:
        return 4000 * rhythm(at)

    assert abs(len(list(arrivals(monday, monday + day, per_day=usual))) - 4000) < 250
    assert abs(len(list(arrivals(sunday, sunday + day, per_day=usual))) - 2000) < 180
    assert rhythm(monday + timedelta(hours=3)) < 0.5 < 1.5 < rhythm(monday + timedelta(hours=10))
