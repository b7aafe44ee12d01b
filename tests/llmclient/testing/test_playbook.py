"""Who decides what a message is answered, and when bursts strike. Time is passed in."""

import anthropic
import pytest

from llmclient.testing import Answer, FakeAnthropic, Plan, burst, fail, overloaded, rate_limited, reply
from llmclient.testing._playbook import Playbook
from llmclient.testing._requests import Request
from tests.llmclient.testing.asking import ask, text_of
from tests.llmclient.testing.conftest import Serve

BODY = {"model": "claude-sonnet-5-5", "max_tokens": 50, "messages": []}


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def decided(playbook: Playbook, number: int = 1, headers: dict[str, str] | None = None) -> Answer:
    _, _, answer = playbook.decide(Request("POST", "/v1/messages", headers or {}, BODY, number), "req_1")
    return answer


def test_a_burst_begins_and_ends_on_the_second_and_uses_up_no_answer() -> None:
    clock = Clock()
    playbook = Playbook([reply("first"), reply("second")], seed=0, clock=clock)
    playbook.schedule(burst(after=2, lasting=3))
    seen = []
    for clock.now in (1_001.9, 1_002.0, 1_004.9, 1_005.0):
        seen.append(decided(playbook))
    assert seen == [reply("first"), overloaded(), overloaded(), reply("second")]


def test_bursts_count_from_when_they_were_scheduled_and_the_first_one_running_wins() -> None:
    clock = Clock()
    playbook = Playbook([], seed=0, clock=clock)
    playbook.schedule(burst(lasting=10, answer=fail(500)))
    clock.now += 5
    playbook.schedule(burst(lasting=10, answer=rate_limited()))
    assert decided(playbook) == fail(500)
    clock.now += 5
    assert decided(playbook) == rate_limited()
    clock.now += 5
    assert decided(playbook) not in (fail(500), rate_limited())


def test_a_share_of_the_messages_is_struck_the_same_ones_every_time() -> None:
    struck = []
    for _ in range(2):
        playbook = Playbook([], seed=3, clock=Clock())
        playbook.schedule(burst(share=0.25))
        struck.append([number for number in range(400) if decided(playbook, number) == overloaded()])
    assert struck[0] == struck[1]
    assert 70 <= len(struck[0]) <= 130


@pytest.mark.parametrize("share", [0, 1.5])
def test_a_share_is_above_0_and_at_most_1(share: float) -> None:
    with pytest.raises(ValueError, match="must be above 0 and at most 1"):
        burst(share=share)


def test_none_in_a_script_is_what_the_fake_says_by_itself() -> None:
    playbook = Playbook([reply("mine"), None, reply("mine again")], seed=0, clock=Clock())
    plan = {"x-fake-plan": Plan("p", {"text": "planned"}).header()}
    assert [decided(playbook, headers=plan) for _ in range(3)] == [reply("mine"), reply("planned"), reply("mine again")]


def test_a_new_script_takes_over_while_the_fake_runs(serve: Serve) -> None:
    fake = serve(reply("old"), reply("never asked for"))
    assert text_of(ask(fake)) == "old"
    fake.script(reply("new"), fail(500))
    assert text_of(ask(fake)) == "new"
    with pytest.raises(anthropic.InternalServerError):
        ask(fake)
    fake.script(lambda request: reply(f"number {request.number}"))
    assert text_of(ask(fake)) == "number 4"


def test_a_scheduled_burst_is_over_when_the_fakes_time_has_passed() -> None:
    with FakeAnthropic(schedule=[burst(lasting=600)]) as fake:
        with pytest.raises(anthropic.InternalServerError, match="Overloaded"):
            ask(fake)
        fake.advance(600)
        ask(fake)
        fake.schedule(burst(lasting=60, answer=rate_limited()))
        with pytest.raises(anthropic.RateLimitError):
            ask(fake)
