"""The breaker opens in time, probes carefully, and comes back from everything. Times are worked out by hand."""

import math
from collections.abc import Callable

import pytest

from llmclient._breaker import (
    CircuitBreaker,
    Permit,
    Refusal,
    Result,
    State,
    Transition,
    cooldown_of,
    result_of,
)
from llmclient._errors import CATEGORIES
from llmclient._policy import Breaker

RULES = Breaker()  # 60 s, 50 % of at least 10, 5 in a row, 30 s doubled to 300 s, 3 probes
LEASE = 60.0


def half() -> float:
    return 0.5  # no jitter: the middle of ±10 %


def breaker(rules: Breaker = RULES, chance: Callable[[], float] = half) -> tuple[CircuitBreaker, list[Transition]]:
    told: list[Transition] = []
    return CircuitBreaker(rules, chance=chance, told=told.append), told


def admitted(one: CircuitBreaker, now: float, lease: float = LEASE) -> Permit:
    permit = one.admit(now, lease)
    assert isinstance(permit, Permit)
    return permit


def refused(one: CircuitBreaker, now: float) -> float:
    refusal = one.admit(now, LEASE)
    assert isinstance(refusal, Refusal)
    return refusal.retry_in


def play(one: CircuitBreaker, now: float, results: str) -> None:
    """One attempt per letter at `now`: a failure F, a success S, neutral N."""
    words: dict[str, Result] = {"F": "failure", "S": "success", "N": "neutral"}
    for letter in results:
        one.report(admitted(one, now), words[letter], now)


def opened(now: float = 0.0, rules: Breaker = RULES) -> tuple[CircuitBreaker, list[Transition]]:
    one, told = breaker(rules)
    play(one, now, "F" * rules.consecutive)
    return one, told


def probes(one: CircuitBreaker, now: float, results: str) -> None:
    """The letters as results of probes that were all sent before the first of them ended."""
    words: dict[str, Result] = {"F": "failure", "S": "success", "N": "neutral"}
    for permit, letter in [(admitted(one, now), letter) for letter in results]:
        one.report(permit, words[letter], now)


@pytest.mark.parametrize(
    ("results", "state", "reason"),
    [
        ("FFFF", "closed", None),
        ("FFFFF", "open", "consecutive_failures"),
        ("FFFFSFFFF", "closed", None),
        ("SSSSFFFFF", "open", "consecutive_failures"),
        ("SSSSSFFFF", "closed", None),
        ("SSSSSFFFFF", "open", "failure_share"),
        ("SSSSSSFFFFF", "closed", None),
        ("SSSSSSFFFFFF", "open", "failure_share"),
        ("FFFFSFSSSS", "open", "failure_share"),
        ("FFFFNNNNNNNNNNNNNNN", "closed", None),
        ("FFNFNFNNNF", "open", "consecutive_failures"),
    ],
)
def test_it_opens_when_half_of_ten_or_five_in_a_row_fail(results: str, state: State, reason: str | None) -> None:
    one, told = breaker()
    play(one, 100.0, results)
    assert one.state(100.0) == state
    assert told == ([] if reason is None else [Transition(100.0, "closed", "open", reason, 30.0)])


def test_failures_older_than_the_window_do_not_open_it() -> None:
    one, _ = breaker()
    play(one, 0.0, "FFFFSFFFF")  # 8 of 9
    play(one, 60.0, "SF")  # would be 9 of 11
    assert one.state(60.0) == "closed"
    play(one, 119.0, "SSSSFFF")  # 4 of 9
    assert one.state(119.0) == "closed"
    play(one, 119.9, "F")  # 5 of 10
    assert one.state(119.9) == "open"


def test_failures_in_a_row_open_it_however_long_they_take() -> None:
    one, _ = breaker()
    for minute in range(5):
        assert one.state(minute * 120.0) == "closed"
        play(one, minute * 120.0, "F")
    assert one.state(480.0) == "open"


def test_attempts_count_when_they_end() -> None:
    one, _ = breaker()
    permits = [admitted(one, 0.0) for _ in range(5)]
    for permit in permits[:4]:
        one.report(permit, "failure", 50.0)
    assert one.state(109.0) == "closed"
    one.report(permits[4], "failure", 109.0)
    assert (one.state(109.0), one.retry_in(109.0)) == ("open", 30.0)


def test_open_it_refuses_until_its_cooldown_is_over() -> None:
    one, told = opened(100.0)
    assert one.admit(100.0, LEASE) == Refusal(30.0, "consecutive_failures")
    assert refused(one, 129.5) == 0.5
    assert (one.state(129.5), one.retry_in(129.5)) == ("open", 0.5)
    assert (one.state(130.0), one.retry_in(130.0)) == ("half_open", 0.0)
    assert len(told) == 1  # looking at it changes nothing
    assert admitted(one, 130.0).probe
    assert told[1:] == [Transition(130.0, "open", "half_open", "cooldown_over", 0.0)]


@pytest.mark.parametrize(("chance", "cooldown"), [(0.0, 27.0), (0.25, 28.5), (0.75, 31.5)])
def test_the_cooldown_varies_by_a_tenth(chance: float, cooldown: float) -> None:
    one, _ = breaker(chance=lambda: chance)
    play(one, 0.0, "FFFFF")
    assert one.retry_in(0.0) == pytest.approx(cooldown, abs=1e-9)


def test_half_open_three_probes_are_out_and_no_more() -> None:
    one, _ = opened(0.0)
    permits = [admitted(one, 30.0 + number) for number in range(3)]
    assert all(permit.probe for permit in permits)
    assert refused(one, 40.0) == 50.0  # until the first of them, sent at 30 for 60 s, counts as lost
    assert one.retry_in(40.0) == 50.0
    one.report(permits[0], "success", 41.0)
    assert refused(one, 41.0) == 50.0  # that success is one of the three: the next lease ends at 91
    one.report(permits[1], "neutral", 42.0)
    assert one.retry_in(42.0) == 0.0
    assert admitted(one, 42.0).probe  # in the place of the one that said nothing
    assert refused(one, 42.0) == 50.0


@pytest.mark.parametrize(("first", "left"), [("S", 2), ("F", 2), ("N", 3)])
def test_half_open_a_probe_that_has_ended_is_one_of_the_three(first: str, left: int) -> None:
    one, _ = opened(0.0)
    probes(one, 30.0, first)
    assert sum(isinstance(one.admit(30.0, LEASE), Permit) for _ in range(10)) == left


@pytest.mark.parametrize(
    ("count", "results", "state"),
    [
        (3, "SS", "closed"),
        (3, "FF", "open"),
        (3, "SFS", "closed"),
        (3, "FSF", "open"),
        (3, "SF", "half_open"),
        (3, "NNN", "half_open"),
        (1, "S", "closed"),
        (1, "F", "open"),
        (2, "S", "half_open"),
        (2, "SS", "closed"),
        (2, "F", "open"),
        (4, "SSF", "half_open"),
        (4, "SSFS", "closed"),
        (4, "FSF", "open"),
        (5, "SFSFS", "closed"),
        (5, "FSFSF", "open"),
    ],
)
def test_most_probes_must_succeed(count: int, results: str, state: State) -> None:
    one, told = opened(0.0, Breaker(probes=count))
    probes(one, 30.0, results)
    assert one.state(30.0) == state
    reasons = {"closed": ["probes_succeeded"], "open": ["probes_failed"], "half_open": []}
    assert [change.reason for change in told[2:]] == reasons[state]


def test_each_failed_round_of_probes_doubles_the_cooldown_up_to_five_minutes() -> None:
    one, told = opened(0.0)
    now = 0.0
    for _ in range(5):
        now += one.retry_in(now)
        probes(one, now, "FF")
    assert [change.retry_in for change in told if change.after == "open"] == [30.0, 60.0, 120.0, 240.0, 300.0, 300.0]
    assert now == 30.0 + 60.0 + 120.0 + 240.0 + 300.0


def test_a_cooldown_above_the_longest_is_the_longest() -> None:
    one, _ = opened(0.0, Breaker(cooldown=40.0, longest_cooldown=20.0))
    assert one.retry_in(0.0) == 20.0


@pytest.mark.parametrize(("healthy", "cooldown"), [(59.0, 60.0), (60.0, 30.0)])
def test_a_minute_of_health_brings_the_first_cooldown_back(healthy: float, cooldown: float) -> None:
    one, _ = opened(0.0)
    probes(one, 30.0, "SS")
    play(one, 30.0 + healthy, "FFFFF")
    assert one.retry_in(30.0 + healthy) == cooldown


def test_health_is_counted_up_to_the_first_sign_of_trouble() -> None:
    one, _ = opened(0.0)
    probes(one, 30.0, "SS")
    play(one, 89.0, "F")  # a minute since 30 is not over, and 1 of 1 is no good health
    play(one, 100.0, "FFFF")
    assert one.retry_in(100.0) == 60.0


def test_a_few_failures_among_many_answers_are_good_health() -> None:
    one, _ = opened(0.0)
    probes(one, 30.0, "SS")
    for second in range(31, 100):
        play(one, float(second), "SSSFSSS")  # 1 of 7 is less than half of 50 %
    while isinstance(permit := one.admit(100.0, LEASE), Permit):
        one.report(permit, "failure", 100.0)
    assert one.retry_in(100.0) == 30.0


def test_a_lost_probe_does_not_wedge_it() -> None:
    one, _ = opened(0.0)
    for _ in range(3):
        admitted(one, 30.0, lease=10.0)
    assert refused(one, 39.9) == pytest.approx(0.1)
    assert [admitted(one, 40.0).probe for _ in range(3)] == [True, True, True]
    assert refused(one, 40.0) == 60.0


def test_a_probe_without_a_deadline_does_not_wedge_it() -> None:
    one, _ = opened(0.0)
    for _ in range(3):
        admitted(one, 30.0, lease=math.inf)
    assert refused(one, 30.0) == 600.0
    assert admitted(one, 630.0).probe


def test_a_probe_that_times_out_just_after_its_lease_still_counts() -> None:
    one, told = opened(0.0)
    late = [admitted(one, 30.0, lease=10.0) for _ in range(2)]
    for permit in late:
        one.report(permit, "failure", 40.1)
    assert (one.state(40.1), told[-1].reason) == ("open", "probes_failed")


def test_only_the_first_report_on_a_permit_counts() -> None:
    one, _ = breaker()
    permit = admitted(one, 0.0)
    for _ in range(50):
        one.report(permit, "failure", 0.0)
    assert one.state(0.0) == "closed"
    one, _ = opened(0.0)
    probe = admitted(one, 30.0)
    for _ in range(50):
        one.report(probe, "success", 30.0)
    assert one.state(30.0) == "half_open"


def test_what_was_sent_before_it_opened_says_nothing_later() -> None:
    one, _ = breaker()
    early = [admitted(one, 0.0) for _ in range(40)]
    play(one, 1.0, "FFFFF")
    for permit in early[:10]:
        one.report(permit, "success", 2.0)
    assert one.retry_in(2.0) == 29.0
    probe = admitted(one, 31.0)
    for permit in early[10:20]:
        one.report(permit, "failure", 32.0)
    assert one.state(32.0) == "half_open"
    one.report(probe, "success", 33.0)
    one.report(admitted(one, 33.0), "success", 33.0)
    for permit in early[20:]:
        one.report(permit, "failure", 34.0)
    assert one.state(34.0) == "closed"


def test_a_probe_that_ends_after_the_others_have_decided_says_nothing() -> None:
    one, _ = opened(0.0)
    first, second, third = (admitted(one, 30.0) for _ in range(3))
    one.report(first, "failure", 31.0)
    one.report(second, "failure", 31.0)
    one.report(third, "success", 32.0)
    assert (one.state(32.0), one.retry_in(32.0)) == ("open", 59.0)


def test_closed_again_it_starts_counting_anew() -> None:
    one, _ = opened(0.0)
    probes(one, 30.0, "SS")
    play(one, 30.0, "FFFF")
    assert one.state(30.0) == "closed"
    play(one, 30.0, "F")
    assert one.state(30.0) == "open"


def test_tripped_it_is_open_at_once() -> None:
    one, told = breaker()
    one.trip(10.0, 900.0, "spend_limit")
    assert told == [Transition(10.0, "closed", "open", "spend_limit", 900.0)]
    assert one.admit(11.0, LEASE) == Refusal(899.0, "spend_limit")
    probes(one, 910.0, "FF")
    assert one.retry_in(910.0) == 30.0  # that was an ordinary failure, and the first


def test_tripped_after_a_minute_of_health_the_first_cooldown_is_back() -> None:
    one, _ = opened(0.0)
    probes(one, 30.0, "SS")
    one.trip(90.0, 900.0, "spend_limit")
    probes(one, 990.0, "FF")
    assert one.retry_in(990.0) == 30.0


def test_tripping_never_shortens() -> None:
    one, told = opened(0.0)
    one.trip(0.0, 900.0, "spend_limit")
    one.trip(1.0, 10.0, "shared")
    assert one.admit(1.0, LEASE) == Refusal(899.0, "spend_limit")
    assert len(told) == 1


def test_tripped_half_open_it_ignores_the_probes() -> None:
    one, _ = opened(0.0)
    permits = [admitted(one, 30.0) for _ in range(3)]
    one.trip(31.0, 900.0, "billing")
    for permit in permits:
        one.report(permit, "success", 32.0)
    assert one.retry_in(32.0) == 899.0


def test_forced_open_it_stays_so_exactly_as_long() -> None:
    one, told = breaker(chance=lambda: 0.0)
    one.force_open(0.0, 120.0, "maintenance")
    assert told == [Transition(0.0, "closed", "open", "maintenance", 120.0)]
    assert refused(one, 119.0) == 1.0
    one.force_open(119.0, 5.0, "maintenance")
    assert refused(one, 119.0) == 5.0
    assert admitted(one, 124.0).probe


def test_forced_open_without_an_end_it_waits_for_the_reset() -> None:
    one, told = breaker()
    one.force_open(0.0, None, "kill switch")
    assert one.admit(1e9, LEASE) == Refusal(300.0, "kill switch")
    one.trip(1e9, 900.0, "spend_limit")
    assert (one.state(2e9), one.retry_in(2e9)) == ("open", 300.0)
    one.reset(2e9)
    assert told[1:] == [Transition(2e9, "open", "closed", "reset", 0.0)]
    assert not admitted(one, 2e9).probe


def test_reset_it_has_forgotten_everything() -> None:
    one, told = opened(0.0)
    probes(one, 30.0, "FF")
    probe = admitted(one, 90.0)  # the next cooldown would be 120 s
    one.reset(91.0)
    one.report(probe, "failure", 92.0)
    play(one, 92.0, "FFFF")
    one.reset(93.0)  # closed already: nothing to tell, but the four failures are gone
    play(one, 93.0, "FFFF")
    assert one.state(93.0) == "closed"
    assert [change.reason for change in told[3:]] == ["cooldown_over", "reset"]
    play(one, 93.0, "F")
    assert one.retry_in(93.0) == 30.0


def test_a_listener_that_fails_does_no_harm() -> None:
    def broken(change: Transition) -> None:
        raise RuntimeError("full")

    one = CircuitBreaker(RULES, chance=half, told=broken)
    play(one, 0.0, "FFFFF")
    assert refused(one, 1.0) == 29.0
    probes(one, 30.0, "SS")
    assert one.state(30.0) == "closed"


def test_a_thread_that_comes_late_with_its_time_changes_nothing() -> None:
    one, _ = opened(100.0)
    assert refused(one, 110.0) == 20.0
    assert refused(one, 105.0) == 20.0
    assert refused(one, 110.0) == 20.0


def test_a_clock_that_was_set_back_goes_on_from_where_it_was() -> None:
    one, _ = opened(1000.0)
    assert refused(one, 1010.0) == 20.0
    assert refused(one, 5.0) == 20.0
    assert refused(one, 15.0) == 10.0
    assert admitted(one, 25.0).probe


def test_a_clock_that_jumps_ahead_ends_the_cooldown() -> None:
    one, _ = opened(0.0)
    assert admitted(one, 1e12).probe


def test_what_counts_as_a_failure() -> None:
    failures = {"timeout", "connection", "overloaded", "server_error", "stream_interrupted"}
    assert {category for category in CATEGORIES if result_of(category) == "failure"} == failures
    assert {result_of(category) for category in CATEGORIES if category not in failures} == {"neutral"}
    assert result_of(None) == "success"


def test_what_opens_it_at_once() -> None:
    found = {category: cooldown_of(category) for category in CATEGORIES if cooldown_of(category) is not None}
    assert found == {"spend_limit": 900.0, "billing": 900.0}
    assert cooldown_of(None) is None
