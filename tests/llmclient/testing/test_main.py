"""The fake as a process of its own, with its options."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import anthropic
import pytest

from tests.llmclient.testing.asking import HELLO, MODEL


@contextmanager
def process(*options: str) -> Iterator[anthropic.Anthropic]:
    command = [sys.executable, "-m", "llmclient.testing", "--until-stdin-closes", *options]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        assert running.stdin is not None
        url = running.stdout.readline().strip()
        with anthropic.Anthropic(api_key="k1", base_url=url, max_retries=0) as client:
            yield client
        running.stdin.close()
        assert running.wait(10) == 0


def refused(*options: str) -> str:
    ended = subprocess.run([sys.executable, "-m", "llmclient.testing", *options], capture_output=True, text=True)
    assert ended.returncode == 2
    return ended.stderr.splitlines()[-1]


def test_keys_models_limits_faults_and_times_are_options() -> None:
    options = "--key k1 --all-models --retire claude-haiku-5-5 --deprecate claude-opus-5 --count-requests-per-minute 1"
    times = "--ttft 0.01 --tokens-per-second 1000000 --batch-seconds 0.001"
    with process(*options.split(), *times.split(), "--burst", "0:1:ramp_limited", "--fault", "refused") as client:
        lives = {model.id: model.lifecycle for model in client.models.list()}
        assert lives["claude-haiku-5-5"] == "retired"
        assert lives["claude-opus-5"] == lives["claude-sonnet-4-5-20250929"] == "deprecated"
        with pytest.raises(anthropic.AuthenticationError):
            client.with_options(api_key="k2").models.list()
        client.messages.count_tokens(model=MODEL, messages=HELLO)
        with pytest.raises(anthropic.RateLimitError):
            client.messages.count_tokens(model=MODEL, messages=HELLO)
        # The burst lasts a second from the start; after it everything is refused.
        patient = client.with_options(max_retries=3)
        assert patient.messages.create(model=MODEL, max_tokens=9, messages=HELLO).stop_reason == "refusal"
        batch = client.messages.batches.create(
            requests=[{"custom_id": "a", "params": {"model": MODEL, "max_tokens": 9, "messages": HELLO}}]
        )
        while client.messages.batches.retrieve(batch.id).processing_status != "ended":
            pass
        [line] = client.messages.batches.results(batch.id)
        assert line.result.type == "succeeded"
        assert line.result.message.stop_reason == "refusal"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--fault", "fire"], "argument --fault: 'fire' is not one of rate_limited,"),
        (["--burst", "30"], "argument --burst: '30' is not AFTER:LASTING[:FAULT[:SHARE]]"),
        (["--fault", "slow=0.6", "--fault", "eof=0.6"], "the shares of all faults add up to more than 1"),
        (["--speed", "0"], "speed: 0.0 is not above 0"),
        (["--tokens-per-second", "0"], "Latency: 0.65 s and 0.0 tokens a second cannot be"),
    ],
)
def test_a_wrong_option_is_told_in_one_line(options: list[str], told: str) -> None:
    assert told in refused(*options)
