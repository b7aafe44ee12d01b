"""Processes that use one Redis hold back together; without it each goes by what it knows."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import llmclient
from llmclient import Limits as Rules
from llmclient._later import LATER
from llmclient.testing import FakeAnthropic, Limits, capture, fail, reply, spend_limit
from tests.llmclient.asking import WAYS, Ask
from tests.llmclient.conftest import QUICK, client_of

ROOT = Path(__file__).resolve().parents[2]
OTHER = """
import sys
import anthropic, llmclient
llmclient.configure(redis=sys.argv[1])
policy = llmclient.Policy(limits=llmclient.Limits(max_wait=0.5))
llm = llmclient.instrument(anthropic.Anthropic(api_key="x", base_url=sys.argv[2]), policy)
try:
    said = llm.messages.create(model="claude-sonnet-5-5", max_tokens=9, messages=[{"role": "user", "content": "?"}])
except Exception as error:
    print(type(error).__name__)
else:
    print(said.content[0].text)
"""


def another_process(redis_url: str, fake: FakeAnthropic) -> str:
    command = [sys.executable, "-c", OTHER, redis_url, fake.url]
    ran = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.strip()


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_a_circuit_that_opens_here_is_open_there(way: Ask, redis_url: str, ask: dict[str, Any]) -> None:
    llmclient.configure(redis=redis_url)
    with FakeAnthropic([spend_limit()]) as fake:
        with pytest.raises(Exception, match="spend limit"):
            way(fake, ask)
        LATER.close(10)
        assert another_process(redis_url, fake) == "CircuitOpen"
        llmclient.reset_circuit("claude-sonnet-5-5")
        LATER.close(10)
        assert another_process(redis_url, fake) == "ok" or len(fake.requests) == 2


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_a_limit_used_up_there_is_used_up_here(way: Ask, redis_url: str, ask: dict[str, Any]) -> None:
    """Ten requests a minute, nine tenths of them for us: after that nothing is left, for nobody."""
    llmclient.configure(redis=redis_url)
    policy = replace(QUICK, limits=Rules(max_wait=0.5), retry=replace(QUICK.retry, attempts=1))
    with FakeAnthropic(lambda _: reply("ok"), limits=Limits(requests=10)) as fake, capture() as calls:

        def use_up() -> None:
            for _ in range(10):
                way(fake, ask, policy)
                LATER.close(10)

        with pytest.raises(llmclient.LocalRateLimited):
            use_up()
        made = len(fake.requests)
        assert 1 < made < 10  # a burst leaves room for what the headers may not have counted yet
        assert another_process(redis_url, fake) == "LocalRateLimited"
        assert len(fake.requests) == made
        assert [attempt.status for call in calls for attempt in call.attempts] == [200] * made


def test_an_overload_holds_nobody_back(redis_url: str, ask: dict[str, Any]) -> None:
    llmclient.configure(redis=redis_url)
    with FakeAnthropic([reply("ok"), fail(529), reply("ok"), reply("ok")]) as fake, capture() as calls:
        for _ in range(3):
            WAYS[0](fake, ask)
            LATER.close(10)
    assert max(call.queued for call in calls) < 0.5


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_a_redis_that_is_not_there_is_done_without(
    way: Ask, ask: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    llmclient.configure(redis="redis://127.0.0.1:1/0")
    with FakeAnthropic([reply("all the same")] * 2) as fake:
        assert [way(fake, ask), way(fake, ask)] == ["all the same", "all the same"]
    assert "Redis does" in caplog.text


def test_without_the_package_it_is_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llmclient._config.find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"needs the package redis: pip install 'llm-vitals\[redis\]'"):
        llmclient.configure(redis="redis://127.0.0.1:6379/9")


def test_an_address_that_is_none_is_told_and_calls_go_on(ask: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="redis"):
        llmclient.configure(redis="127.0.0.1:6379")
    with FakeAnthropic() as fake:
        client_of(fake).messages.create(**ask)
