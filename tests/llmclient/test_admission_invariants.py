"""What holds of an admission after any sequence of events, against a reference model that only adds up."""

import math
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from llmclient._admission import LATE, Admission, Admitted, Refused, Ticket, Want
from llmclient._policy import PRIORITIES, Limits, Priority
from llmclient._quota import DIMENSIONS

REQUESTS, INPUT, OUTPUT = 600, 60_000, 30_000
CONCURRENCY, LONGEST_LINE = 4, 5
WANTS = st.builds(Want, st.integers(0, 5_000), st.integers(0, 500)) | st.just(Want(70_000, 9_000))


def headers(*, requests: int = REQUESTS, input_: int = INPUT, output: int = OUTPUT) -> dict[str, str]:
    """The limits, and what remains of them."""
    said = {}
    values = ((REQUESTS, requests), (INPUT, input_), (OUTPUT, output))
    for name, (limit, remaining) in zip(("requests", "input-tokens", "output-tokens"), values, strict=True):
        said[f"anthropic-ratelimit-{name}-limit"] = str(limit)
        said[f"anthropic-ratelimit-{name}-remaining"] = str(remaining)
    return said


@dataclass(slots=True)
class Tank:
    """What a bucket could hold if the provider never pushed back and never told: no admission may believe in more."""

    limit: float
    level: float = math.nan
    at: float = 0.0

    def __post_init__(self) -> None:
        self.level = self.limit

    def at_most(self, now: float) -> float:
        self.level = min(self.limit, self.level + (now - self.at) * self.limit / 60)
        self.at = now
        return self.level

    def change(self, amount: float, now: float) -> None:
        self.level = min(self.limit, self.at_most(now) + amount)


@dataclass(slots=True)
class Seen:
    """A ticket and what is known about it."""

    ticket: Ticket
    number: int
    outcome: Any = None
    left: bool = False


@dataclass(slots=True)
class Model:
    now: float = 1_000.0
    tanks: list[Tank] = field(default_factory=lambda: [Tank(REQUESTS), Tank(INPUT), Tank(OUTPUT)])
    under_way: dict[Admitted, None] = field(default_factory=dict)
    ended: list[Admitted] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)

    def waiting(self, *priorities: Priority) -> list[Seen]:
        return [each for each in self.seen if each.outcome is None and each.ticket.priority in priorities]


class Machine(RuleBasedStateMachine):
    """Callers and attempts; the provider is silent, so what is believed to be there is exactly what adds up."""

    exact = True

    def __init__(self) -> None:
        super().__init__()
        self.model = Model()
        limits = Limits(target=1.0, queue=LONGEST_LINE, concurrency=CONCURRENCY)
        self.admission = Admission(limits, chance=lambda: 0.5)

    @initialize()
    def limits_become_known(self) -> None:
        self.admission.learn(headers(), received_at_unix=0.0, now=self.model.now)
        for tank in self.model.tanks:
            tank.at = self.model.now

    @rule(seconds=st.sampled_from((0.01, 1.0)) | st.floats(0, 15))
    def time_passes(self, seconds: float) -> None:
        self.model.now += seconds

    @rule(want=WANTS, priority=st.sampled_from(PRIORITIES), patience=st.sampled_from((0.5, 10.0)))
    def somebody_comes(self, want: Want, priority: Priority, patience: float) -> None:
        model, before = self.model, len(self.model.waiting(*PRIORITIES))
        slots = self.admission.snapshot(model.now)["concurrency"]
        higher = model.waiting("interactive") if priority == "interactive" else model.waiting(*PRIORITIES)
        entered = self.admission.enter(want, priority=priority, patience=patience, now=model.now)
        if before < LONGEST_LINE:  # a full line may first be cleared of who did not come back
            self.nothing_happened_in_the_line()
        else:
            self.look_at_the_line(slots)
        if isinstance(entered, Ticket):
            model.seen.append(Seen(entered, len(model.seen)))
        elif isinstance(entered, Admitted):
            assert not higher
            assert len(model.under_way) < slots
            self.took(entered)

    @rule(pick=st.integers(0, 100))
    def somebody_asks(self, pick: int) -> None:
        if self.model.seen:
            self.ask(self.model.seen[-1 - pick % min(2 * LONGEST_LINE, len(self.model.seen))].ticket)

    def ask(self, ticket: Ticket) -> None:
        slots = self.admission.snapshot(self.model.now)["concurrency"]
        said = self.admission.poll(ticket, self.model.now)
        self.look_at_the_line(slots)
        if isinstance(said, float):
            assert ticket.outcome is None
            assert 0 < said <= 1.0
        else:
            assert said is ticket.outcome
            assert self.admission.poll(ticket, self.model.now) is said

    @rule(pick=st.integers(0, 100))
    def somebody_leaves(self, pick: int) -> None:
        here: list[Ticket | Admitted] = [
            *(each.ticket for each in self.model.waiting(*PRIORITIES)),
            *self.model.under_way,
        ]
        if here:
            self.leave(here[pick % len(here)])

    @rule(pick=st.integers(0, 100))
    def somebody_leaves_who_had_a_ticket(self, pick: int) -> None:
        if self.model.seen:
            self.leave(self.model.seen[pick % len(self.model.seen)].ticket)

    @rule(
        pick=st.integers(0, CONCURRENCY - 1),
        usage=st.tuples(st.none() | st.integers(0, 80_000), st.none() | st.integers(0, 9_000)),
        pushed_back=st.booleans(),
    )
    def an_attempt_ends(self, pick: int, usage: tuple[int | None, int | None], pushed_back: bool) -> None:
        if not self.model.under_way:
            return
        attempts = list(self.model.under_way)
        attempt = attempts[pick % len(attempts)]
        input_ = attempt.want.input if usage[0] is None else usage[0]
        output = attempt.want.output if usage[1] is None else usage[1]
        self.gave_back(attempt, (0 if usage == (0, 0) else 1, input_, output))
        woken = self.admission.done(
            attempt, input=usage[0], output=usage[1], pushed_back=pushed_back, now=self.model.now
        )
        self.look_at_the_line(self.admission.snapshot(self.model.now)["concurrency"], woken)

    @rule(pick=st.integers(0, 100))
    def an_attempt_ends_twice(self, pick: int) -> None:
        if self.model.ended:
            attempt = self.model.ended[pick % len(self.model.ended)]
            slots = self.admission.snapshot(self.model.now)["concurrency"]
            woken = self.admission.done(attempt, input=1, output=1, pushed_back=True, now=self.model.now)
            self.look_at_the_line(slots, woken)

    @invariant()
    def what_is_reserved_is_what_is_under_way(self) -> None:
        snapshot = self.admission.snapshot(self.model.now)
        assert snapshot["in_flight"] == len(self.model.under_way)
        wants = [(1.0, *attempt.want) for attempt in self.model.under_way]
        for n, name in enumerate(DIMENSIONS):
            if name in snapshot["buckets"]:
                assert snapshot["buckets"][name]["reserved"] == sum(want[n] for want in wants)
                believed, most = snapshot["buckets"][name]["level"], self.model.tanks[n].at_most(self.model.now)
                assert believed == pytest.approx(most, abs=1) if self.exact else believed <= most + 1

    @invariant()
    def the_line_is_bounded_and_nobody_in_it_is_lost(self) -> None:
        waiting = self.admission.snapshot(self.model.now)["waiting"]
        assert waiting == len(self.model.waiting(*PRIORITIES)) <= LONGEST_LINE

    def teardown(self) -> None:
        """Everybody asks until they are answered, everything ends: then all is there again."""
        for _ in range(200):
            waiting = self.model.waiting(*PRIORITIES)
            if not waiting:
                break
            self.model.now += 0.25
            self.ask(waiting[-1].ticket)
            for attempt in list(self.model.under_way):
                self.gave_back(attempt, (0, 0, 0))
                woken = self.admission.abandon(attempt, self.model.now)
                self.look_at_the_line(CONCURRENCY, woken)
        for attempt in list(self.model.under_way):
            self.admission.abandon(attempt, self.model.now)
        snapshot = self.admission.snapshot(self.model.now + 3_600.0)
        assert (snapshot["in_flight"], snapshot["waiting"]) == (0, 0)
        for name, limit in zip(DIMENSIONS, (REQUESTS, INPUT, OUTPUT), strict=True):
            if name in snapshot["buckets"]:
                assert snapshot["buckets"][name] == {"limit": limit, "level": limit, "reserved": 0}

    def leave(self, who: Ticket | Admitted) -> None:
        slots = self.admission.snapshot(self.model.now)["concurrency"]
        attempt = who.outcome if isinstance(who, Ticket) else who
        if isinstance(attempt, Admitted):
            self.gave_back(attempt, (0, 0, 0))
        woken = self.admission.abandon(who, self.model.now)
        assert not isinstance(who, Ticket) or who.outcome is not None
        self.look_at_the_line(slots, woken, left=who)

    def took(self, attempt: Admitted) -> None:
        """Whoever is let in finds what they want, or a full bucket where they want more than it holds."""
        assert attempt not in self.model.under_way
        assert attempt.at == self.model.now
        for tank, amount in zip(self.model.tanks, (1.0, *attempt.want), strict=True):
            assert tank.at_most(self.model.now) >= min(amount, tank.limit) - 0.01
            tank.change(-amount, self.model.now)
        self.model.under_way[attempt] = None

    def gave_back(self, attempt: Admitted, used: tuple[float, float, float]) -> None:
        if attempt in self.model.under_way:
            del self.model.under_way[attempt]
            self.model.ended.append(attempt)
            for tank, amount, really in zip(self.model.tanks, (1.0, *attempt.want), used, strict=True):
                tank.change(amount - really, self.model.now)

    def nothing_happened_in_the_line(self) -> None:
        assert all(each.ticket.outcome is each.outcome for each in self.model.seen)

    def look_at_the_line(self, slots: int, woken: Any = None, left: Ticket | Admitted | None = None) -> None:
        """Who was let in or turned away just now: each once, in order, within the slots, and all of them woken."""
        answered = [each for each in self.model.seen if each.ticket.outcome is not each.outcome]
        for each in answered:
            assert each.outcome is None, "an answer does not change"
            each.outcome = each.ticket.outcome
        let_in = [each for each in answered if isinstance(each.outcome, Admitted)]
        if woken is not None:
            assert {id(ticket) for ticket in woken} == {id(each.ticket) for each in answered if each.ticket is not left}
            let_in.sort(key=lambda each: woken.index(each.ticket))
        for each in let_in:
            assert self.model.now <= each.ticket.leaves_at + LATE
            assert len(self.model.under_way) < slots
            self.took(each.outcome)
        for priority in PRIORITIES:
            first = min((each.number for each in self.model.waiting(priority)), default=math.inf)
            numbers = [each.number for each in let_in if each.ticket.priority == priority]
            assert all(number < first for number in numbers), "nobody of the same priority was passed"


class MachineWithAProvider(Machine):
    """The same, while answers and refusals take away what was believed to be there."""

    exact = False

    @rule(requests=st.integers(0, REQUESTS), input_=st.integers(0, 60), output=st.integers(0, 30))
    def an_answer_tells(self, requests: int, input_: int, output: int) -> None:
        said = headers(requests=requests, input_=input_ * 1_000, output=output * 1_000)
        self.admission.learn(said, received_at_unix=0.0, now=self.model.now)

    @rule(wait=st.sampled_from((None, 0.5, 40.0)), what=st.sampled_from(["rate_limit", "ramp_limit", "overloaded"]))
    def the_provider_refuses(self, wait: float | None, what: Any) -> None:
        self.admission.refused(what, retry_after=wait, headers=headers(input_=0), now=self.model.now)


Machine.TestCase.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
MachineWithAProvider.TestCase.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
TestAnySequenceOfEvents = Machine.TestCase
TestAnySequenceOfEventsWithPushBacks = MachineWithAProvider.TestCase


@settings(max_examples=100, deadline=None)
@given(
    wants=st.lists(st.builds(Want, st.integers(0, 9_000), st.integers(0, 3_000)), min_size=1, max_size=40),
    spent=st.integers(0, REQUESTS),
    patience=st.floats(0, 30),
)
def test_who_is_given_a_place_gets_its_turn_in_time_when_nothing_gets_worse(
    wants: list[Want], spent: int, patience: float
) -> None:
    """The wait predicted at the door is an upper bound: nobody with a ticket is turned away later."""
    admission = Admission(Limits(target=1.0, max_wait=30, concurrency=10_000), chance=lambda: 0.0)
    admission.learn(headers(), received_at_unix=0.0, now=0.0)
    admission.enter(Want(0, 0), priority="interactive", patience=0.0, now=0.0)
    now = 5_000.0  # long past the start that the ramp leaves free
    for _ in range(spent):
        admission.enter(Want(90, 45), priority="interactive", patience=0.0, now=now)
    entered = [admission.enter(want, priority="interactive", patience=patience, now=now) for want in wants]
    asleep = {ticket: now for ticket in entered if isinstance(ticket, Ticket)}
    while asleep:
        ticket = min(asleep, key=lambda each: asleep[each])
        now = asleep.pop(ticket)
        said = admission.poll(ticket, now)
        if isinstance(said, float):
            asleep[ticket] = now + said
        else:
            assert isinstance(said, Admitted)
            assert now <= ticket.came_at + patience + 0.001


@pytest.mark.parametrize("priority", PRIORITIES)
def test_a_refusal_says_when_it_would_have_worked(priority: Priority) -> None:
    admission = Admission(Limits(target=1.0), chance=lambda: 0.0)
    admission.learn(headers(), received_at_unix=0.0, now=0.0)
    for _ in range(REQUESTS):
        entered = admission.enter(Want(10, 10), priority=priority, patience=0.0, now=0.0)
        assert isinstance(entered, Admitted)
        admission.done(entered, input=10, output=10, pushed_back=False, now=0.0)
    refused = admission.enter(Want(10, 10), priority=priority, patience=0.0, now=0.0)
    assert isinstance(refused, Refused)
    assert isinstance(admission.enter(Want(10, 10), priority=priority, patience=0.0, now=refused.wait), Admitted)
