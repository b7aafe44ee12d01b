"""Fixtures of the client's tests: no configuration leaks from one test into the next."""

from collections.abc import Iterator
from typing import Any

import anthropic
import pytest

import llmclient
from llmclient import _config, _groups, _quietly
from llmclient._policy import Policy, Retry
from llmclient.testing import FakeAnthropic
from tests.llmclient.backend import Backend
from tests.llmclient.scripted import Scripted

ASK: dict[str, Any] = {
    "model": "claude-sonnet-5-5",
    "max_tokens": 50,
    "messages": [{"role": "user", "content": "a question nobody else may read"}],
}


@pytest.fixture(autouse=True)
def unconfigured(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("LLMCLIENT_DSN", raising=False)
    monkeypatch.setattr(_config, "_settings", None)
    _quietly._last_told.clear()
    _groups._shared.clear()  # another fake may come to the same port, and would find an account that is known already
    yield
    llmclient.close()


@pytest.fixture
def backend() -> Iterator[Backend]:
    server = Backend()
    yield server
    server.close()


@pytest.fixture
def scripted() -> Iterator[Scripted]:
    server = Scripted()
    yield server
    server.server.shutdown()
    server.server.server_close()


@pytest.fixture
def ask() -> dict[str, Any]:
    return dict(ASK)


# Everything as in production, but nobody waits half a second for the next try.
QUICK = Policy(retry=Retry(base=0.001, cap=0.001, overloaded_base=0.001, overloaded_cap=0.001))


def client_of(fake: FakeAnthropic, policy: Policy | None = QUICK, **options: Any) -> anthropic.Anthropic:
    return llmclient.instrument(anthropic.Anthropic(api_key="x", base_url=fake.url, **options), policy)


def async_client_of(fake: FakeAnthropic, policy: Policy | None = QUICK, **options: Any) -> anthropic.AsyncAnthropic:
    return llmclient.instrument(anthropic.AsyncAnthropic(api_key="x", base_url=fake.url, **options), policy)
