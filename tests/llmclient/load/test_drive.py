"""The open loop, with the real client against a fake on a real socket."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import anthropic
import pytest

import llmclient
from llmclient.load._drive import Drive
from llmclient.load._spend import Purse
from llmclient.load._workload import Ask
from llmclient.testing import (
    Answer,
    FakeAnthropic,
    broken,
    capture,
    fail,
    hang_up,
    overloaded,
    rate_limited,
    reply,
    slow,
)
from llmclient.testing._pricelist import list_price

MODEL = "claude-sonnet-5-5"


def asks(*times: float, stream: bool = False, model: str = MODEL) -> list[Ask]:
    return [Ask(number, at, model, 40, 10, stream) for number, at in enumerate(times, 1)]


def stop_after(seconds: float, drive: Drive) -> None:
    asyncio.get_running_loop().call_later(seconds, drive.stop)


def driven(
    fake: FakeAnthropic,
    planned: Sequence[Ask],
    *,
    purse: Purse | None = None,
    dictate: bool = True,
    retries: int = 2,
    timeout: float = 20.0,
    meanwhile: Callable[[Drive], None] | None = None,
    **options: Any,
) -> Drive:
    async def run() -> Drive:
        client = anthropic.AsyncAnthropic(api_key="k", base_url=fake.url, timeout=timeout, max_retries=retries)
        async with llmclient.instrument(client) as llm:
            drive = Drive(llm, planned, list_price, purse=purse or Purse(None), dictate=dictate, **options)
            if meanwhile is not None:
                meanwhile(drive)
            await drive.run()
            return drive

    return asyncio.run(run())


def test_requests_are_sent_when_they_are_due_whatever_became_of_the_ones_before() -> None:
    with FakeAnthropic(lambda _: slow(0.5)) as fake:
        drive = driven(fake, asks(0.0, 0.05, 0.1, 0.15))
    assert drive.tally.most_in_flight == 4
    assert all(outcome.sent >= outcome.intended for outcome in drive.tally.outcomes)
    assert all(outcome.ended - outcome.intended >= 0.5 for outcome in drive.tally.outcomes)


def test_who_waits_for_the_cap_has_waited_since_the_intended_arrival() -> None:
    with FakeAnthropic(lambda _: slow(0.1)) as fake:
        drive = driven(fake, asks(*[0.0] * 5), cap=1)
    latencies = [outcome.ended - outcome.intended for outcome in drive.tally.outcomes]
    assert drive.tally.most_in_flight == 1
    assert all(latency >= 0.1 * number for number, latency in enumerate(latencies, 1))
    assert [outcome.sent >= 0.1 * number for number, outcome in enumerate(drive.tally.outcomes)] == [True] * 5


def test_a_fake_is_told_the_tokens_and_what_it_says_is_priced() -> None:
    with FakeAnthropic() as fake:
        drive = driven(fake, asks(0.0, stream=True) + asks(0.0))
    # 40 × 2,000 + 10 × 10,000 nano-dollars each.
    assert [outcome.nanousd for outcome in drive.tally.outcomes] == [180_000, 180_000]
    assert [(outcome.input_tokens, outcome.output_tokens) for outcome in drive.tally.outcomes] == [(40, 10)] * 2
    assert sorted(request.stream for request in fake.requests) == [False, True]


def test_nothing_is_dictated_to_a_real_endpoint() -> None:
    with FakeAnthropic() as fake:
        driven(fake, asks(0.0), dictate=False)
    assert "x-fake-usage" not in fake.requests[0].headers


def test_a_stream_has_its_first_token_from_the_intended_arrival() -> None:
    with FakeAnthropic([reply("a b c", ttft=0.2, duration=0.4)]) as fake:
        [outcome] = driven(fake, asks(0.0, stream=True)).tally.outcomes
    assert outcome.first_token is not None
    assert 0.2 <= outcome.first_token <= outcome.ended - 0.1


def test_attempts_and_errors_are_those_the_client_measured() -> None:
    answers: list[Answer] = [overloaded(0.001), rate_limited(0.001), reply("ok"), hang_up(), reply("ok"), fail(400)]
    with FakeAnthropic(answers) as fake:
        drive = driven(fake, asks(0.0, 0.0, 0.0), cap=1)
    assert [outcome.statuses for outcome in drive.tally.outcomes] == [(529, 429, 200), (None, 200), (400,)]
    assert drive.tally.failed == {"invalid_request": 1}
    assert drive.tally.answered == 2


@pytest.mark.parametrize(
    ("how", "category"),
    [("eof", "stream_interrupted"), ("reset", "stream_interrupted"), ("malformed", "invalid_output")],
)
def test_a_stream_that_breaks_off_is_a_failure(how: str, category: str) -> None:
    with FakeAnthropic([broken(how, input_tokens=40)]) as fake:
        drive = driven(fake, asks(0.0, stream=True))
    assert drive.tally.failed == {category: 1}


def test_a_timeout_is_one() -> None:
    with FakeAnthropic(lambda _: slow(30.0)) as fake:
        drive = driven(fake, asks(0.0), retries=0, timeout=0.1)
    assert drive.tally.failed == {"timeout": 1}


def test_calls_are_labelled_and_measured() -> None:
    with FakeAnthropic() as fake, capture() as calls:
        driven(fake, asks(0.0))
    assert calls.only.labels == {"feature": "load"}


def test_nothing_is_sent_that_could_go_over_the_agreed_amount() -> None:
    # Each may cost 180,000 and costs a third: 40 × 2,000 - and the answer has no tokens.
    with FakeAnthropic(lambda _: reply("", input_tokens=30, output_tokens=0)) as fake:
        drive = driven(fake, asks(*[0.0] * 9), purse=Purse(360_000), cap=1, dictate=False)
    # 60,000 of 360,000 are used each time: the fifth would need 180,000 of 120,000.
    assert (drive.tally.sent, drive.tally.unaffordable) == (4, 5)
    assert len(fake.requests) == 4


def test_what_was_refused_costs_nothing_and_what_was_lost_may_have_cost_all() -> None:
    with FakeAnthropic([fail(400), fail(400), hang_up(), fail(400)]) as fake:
        drive = driven(fake, asks(*[0.0] * 4), purse=Purse(180_000), cap=1, retries=0, dictate=False)
    assert (drive.tally.sent, drive.tally.unaffordable) == (3, 1)


def test_stopped_it_waits_for_what_is_under_way() -> None:
    with FakeAnthropic(lambda _: slow(0.3)) as fake:
        drive = driven(fake, asks(0.0, 0.0, 60.0), meanwhile=lambda drive: stop_after(0.1, drive))
    assert (drive.tally.sent, drive.tally.answered) == (2, 2)
    assert drive.stopped


@pytest.mark.parametrize("twice", [False, True])
def test_what_takes_longer_than_the_grace_or_is_stopped_twice_is_given_up(twice: bool) -> None:
    def stop_soon(drive: Drive) -> None:
        stop_after(0.2, drive)
        if twice:
            stop_after(0.4, drive)

    with FakeAnthropic(lambda _: slow(60.0)) as fake:
        drive = driven(fake, asks(0.0, 60.0), timeout=60.0, meanwhile=stop_soon, grace=60.0 if twice else 0.1)
    assert drive.tally.failed == {"cancelled": 1}
    assert drive.elapsed < 30.0


def test_a_run_of_nothing_is_over_at_once() -> None:
    with FakeAnthropic() as fake:
        assert driven(fake, []).tally.outcomes == []
