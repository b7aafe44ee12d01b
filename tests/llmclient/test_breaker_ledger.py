"""Whatever happens to the breaker, in whatever order, it does what a ledger of all that happened says."""

import itertools
import math
import random

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from llmclient._breaker import CircuitBreaker, Permit, Refusal, Result, State, Transition
from llmclient._policy import Breaker

RESULTS: st.SearchStrategy[Result] = st.sampled_from(["success", "failure", "failure", "neutral"])
LEASES = st.sampled_from([0.5, 10.0, 60.0, 600.0])
SMALL_POLICIES = st.builds(
    Breaker,
    window=st.sampled_from([6.0, 60.0, 150.0]),
    threshold=st.sampled_from([0.1, 0.5, 0.7, 1.0]),
    minimum=st.integers(1, 8),
    consecutive=st.integers(1, 6),
    cooldown=st.sampled_from([1.0, 30.0]),
    longest_cooldown=st.sampled_from([20.0, 300.0]),
    probes=st.integers(1, 5),
)


class AgainstALedger(RuleBasedStateMachine):
    """Every permit and report is written down, and what the breaker should do is read off the ledger."""

    @initialize(policy=SMALL_POLICIES, chances=st.randoms(use_true_random=False))
    def begin(self, policy: Breaker, chances: random.Random) -> None:
        self.policy = policy
        self.told: list[Transition] = []
        self.breaker = CircuitBreaker(policy, chance=chances.random, told=self.told.append)
        self.now = 1000.0
        self.resets = 0
        self.forced = False
        self.promised = -math.inf
        self.permits: list[tuple[Permit, tuple[int, int], float]] = []  # with the period it is of, and its lease's end
        self.reported: list[Permit] = []
        self.counted: list[tuple[tuple[int, int], float, bool]] = []

    @property
    def period(self) -> tuple[int, int]:
        return len(self.told), self.resets

    @rule(seconds=st.floats(0, 2) | st.floats(0, 100) | st.sampled_from([30.0, 300.0, 1e7]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule(lease=LEASES)
    def admit(self, lease: float) -> None:
        state, retry_in = self.breaker.state(self.now), self.breaker.retry_in(self.now)
        outcome = self.breaker.admit(self.now, lease)
        if isinstance(outcome, Refusal):
            assert outcome.retry_in == retry_in > 0
            assert state != "closed"
            if state == "open":
                self.promised = max(self.promised, self.now + retry_in) if not self.forced else self.promised
        else:
            assert retry_in == 0
            assert not self.forced
            assert self.now >= self.promised - 2e-6
            assert outcome.probe == (state == "half_open")
            self.permits.append((outcome, self.period, self.now + lease))

    @precondition(lambda self: self.permits)
    @rule(data=st.data(), result=RESULTS, latest=st.booleans())
    def report(self, data: st.DataObject, result: Result, latest: bool) -> None:
        index = len(self.permits) - 1 if latest else data.draw(st.integers(0, len(self.permits) - 1))
        permit, period, _ = self.permits[index]
        before = self.breaker.state(self.now), self.breaker.retry_in(self.now)
        counts = permit not in self.reported and period == self.period
        self.reported.append(permit)
        if counts and result != "neutral":
            self.counted.append((period, self.now, result == "failure"))
        expected = self.expected(permit.probe, result) if counts and result != "neutral" else before[0]
        self.breaker.report(permit, result, self.now)
        assert self.breaker.state(self.now) == expected
        if not counts:
            assert (self.breaker.state(self.now), self.breaker.retry_in(self.now)) == before

    def expected(self, probe: bool, result: Result) -> State:
        mine = [(at, failed) for period, at, failed in self.counted if period == self.period]
        if probe:
            failures = sum(failed for _, failed in mine)
            if len(mine) - failures > self.policy.probes / 2:
                return "closed"
            return "open" if self.policy.probes - failures <= self.policy.probes / 2 else "half_open"
        bucket = self.policy.window / 60
        recent = [failed for at, failed in mine if math.floor(at / bucket) > math.floor(self.now / bucket) - 60]
        if len(recent) >= self.policy.minimum:
            return "open" if sum(recent) / len(recent) >= self.policy.threshold else "closed"
        in_a_row = [failed for _, failed in mine][-self.policy.consecutive :]
        return "open" if in_a_row == [True] * self.policy.consecutive else "closed"

    @rule(cooldown=st.sampled_from([5.0, 900.0]))
    def trip(self, cooldown: float) -> None:
        left = self.breaker.retry_in(self.now) if self.breaker.state(self.now) == "open" else 0.0
        self.breaker.trip(self.now, cooldown, "spend_limit")
        assert self.breaker.state(self.now) == "open"
        assert self.breaker.retry_in(self.now) >= (left if self.forced else max(left, cooldown * 0.9 - 1e-6))

    @rule(seconds=st.none() | st.sampled_from([0.0, 50.0]))
    def force_open(self, seconds: float | None) -> None:
        self.breaker.force_open(self.now, seconds, "by hand")
        self.forced, self.promised = seconds is None, -math.inf

    @rule()
    def reset(self) -> None:
        self.breaker.reset(self.now)
        self.resets += 1
        self.forced, self.promised = False, -math.inf
        assert (self.breaker.state(self.now), self.breaker.retry_in(self.now)) == ("closed", 0.0)

    @precondition(lambda self: not self.forced)
    @rule()
    def everybody_is_lost_and_yet_it_goes_on(self) -> None:
        if self.breaker.state(self.now) == "open":
            self.now += self.breaker.retry_in(self.now)
        self.now += 600.0
        self.admit(10.0)
        assert self.permits[-1][2] == self.now + 10.0

    @invariant()
    def no_more_probes_are_out_than_allowed(self) -> None:
        out = [
            permit
            for permit, period, end in self.permits
            if permit.probe and period == self.period and end > self.now and permit not in self.reported
        ]
        assert len(out) <= self.policy.probes

    @invariant()
    def each_state_follows_the_one_before(self) -> None:
        states = ["closed"] + [change.after for change in self.told]
        assert [change.before for change in self.told] == states[:-1]
        allowed = {("closed", "open"), ("open", "half_open"), ("half_open", "open"), ("half_open", "closed")}
        assert {(c.before, c.after) for c in self.told if c.reason != "reset"} <= allowed


AgainstALedger.TestCase.settings = settings(max_examples=150, stateful_step_count=60, deadline=None)
TestAgainstALedger = AgainstALedger.TestCase


@given(data=st.data(), policy=SMALL_POLICIES)
@settings(max_examples=150, deadline=None)
def test_no_jump_of_the_clock_wedges_it(data: st.DataObject, policy: Breaker) -> None:
    told: list[Transition] = []
    one = CircuitBreaker(policy, chance=lambda: 0.5, told=told.append)
    now = 0.0
    permits: list[Permit] = []
    jumps = st.floats(-1, 5) | st.floats(-1e4, 1e4) | st.sampled_from([-1e9, 1e9])
    for jump in data.draw(st.lists(jumps, max_size=40)):
        now += jump
        outcome = one.admit(now, 30.0)
        if isinstance(outcome, Permit):
            permits.append(outcome)
        else:
            assert 0 < outcome.retry_in <= max(30.0, policy.cooldown, policy.longest_cooldown)
        result = data.draw(st.none() | RESULTS)
        if permits and result is not None:
            one.report(permits.pop(), result, now)
    # Time passes again as it should: a minute of disorder at most, the cooldown, the leases.
    outcomes = [one.admit(now + seconds, 30.0) for seconds in range(60 + 300 + 30 + 2)]
    assert any(isinstance(outcome, Permit) for outcome in outcomes)
    assert all(earlier.after == later.before for earlier, later in itertools.pairwise(told))
