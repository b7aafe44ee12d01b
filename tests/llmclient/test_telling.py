"""What a process tells about itself: its guards, and how its breakers changed."""

from dataclasses import replace
from typing import Any

import pytest

import llmclient
from llmclient import _telling
from llmclient.testing import FakeAnthropic, reply, spend_limit
from tests.llmclient.backend import Backend, configured
from tests.llmclient.conftest import QUICK, client_of


@pytest.fixture(autouse=True)
def nothing_told() -> None:
    _telling.forget()


def test_guards_and_their_changes_travel_with_every_batch(backend: Backend, ask: dict[str, Any]) -> None:
    configured(backend)
    with FakeAnthropic([reply("ok"), spend_limit()]) as fake:
        client = client_of(fake, replace(QUICK, retry=replace(QUICK.retry, attempts=1)))
        client.messages.create(**ask)
        with pytest.raises(Exception, match="spend limit"):
            client.messages.create(**ask)
        assert llmclient.flush(30)
    told = backend.batches[-1]["client"]
    assert told["guards"]["sonnet-5"]["breaker"] == "open"
    assert told["guards"]["sonnet-5"]["limiter"]["in_flight"] == 0
    assert told["guards"]["sonnet-5"]["limiter"]["buckets"]["requests"]["limit"] == 10_000
    [change] = told["transitions"]
    assert {name: change[name] for name in ("group", "before", "after", "reason")} == {
        "group": "sonnet-5",
        "before": "closed",
        "after": "open",
        "reason": "spend_limit",
    }
    assert change["retry_in_s"] == pytest.approx(900, abs=100)
    assert change["at"].endswith("Z")


def test_a_process_that_made_no_call_tells_nothing_of_it() -> None:
    assert "transitions" not in _telling.report()
