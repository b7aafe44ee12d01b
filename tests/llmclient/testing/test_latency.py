"""Times of answers nobody timed."""

import random
from statistics import median

import pytest

from llmclient.testing import FakeAnthropic, Latency, reply
from tests.llmclient.testing.asking import ask


def test_without_spread_the_times_are_the_medians() -> None:
    exact = Latency(0.5, 0.0, 100.0, 0.0)
    timed = exact.timed(reply("x"), 250, random.Random(1))
    assert (timed.ttft, timed.duration) == (0.5, 3.0)


def test_an_answer_with_times_of_its_own_keeps_them() -> None:
    latency = Latency()
    for own in (reply("x", ttft=0.1), reply("x", duration=0.0)):
        assert latency.timed(own, 250, random.Random(1)) is own


def test_the_times_scatter_around_the_medians() -> None:
    dice = random.Random(7)
    timed = [Latency(0.65, 0.35, 78.0, 0.2).timed(reply("x"), 78, dice) for _ in range(2_000)]
    assert median(each.ttft for each in timed) == pytest.approx(0.65, rel=0.05)
    assert median((each.duration or 0) - each.ttft for each in timed) == pytest.approx(1.0, rel=0.05)
    assert max(each.ttft for each in timed) > 1.5


def test_a_fake_with_a_latency_takes_its_time() -> None:
    with FakeAnthropic([reply(output_tokens=10)], latency=Latency(2.0, 0.0, 10.0, 0.0), speed=50) as fake:
        began = fake.clock()
        ask(fake)
        assert fake.clock() - began >= 3.0


@pytest.mark.parametrize(("ttft", "pace"), [(-1.0, 10.0), (1.0, 0.0)])
def test_impossible_times_are_refused(ttft: float, pace: float) -> None:
    with pytest.raises(ValueError, match="cannot be"):
        Latency(ttft, tokens_per_second=pace)
