"""`instrument` gives back the same kind of client, and derived clients mean what they say."""

from dataclasses import replace
from typing import Any

import anthropic
import pytest

import llmclient
from llmclient.testing import FakeAnthropic, fail, reply
from tests.llmclient.conftest import QUICK, client_of

SOON = {"retry-after-ms": "1"}
# Nothing but failures: a budget for retries would soon be used up, and the breaker open.
UNCOUNTED = replace(QUICK, retry=replace(QUICK.retry, budget=None), breaker=None)


def tries(client: anthropic.Anthropic, fake: FakeAnthropic, ask: dict[str, Any]) -> int:
    before = len(fake.requests)
    with pytest.raises(anthropic.InternalServerError):
        client.messages.create(**ask)
    return len(fake.requests) - before


@pytest.mark.parametrize(
    "client",
    [
        anthropic.Anthropic(api_key="x"),
        anthropic.AsyncAnthropic(api_key="x"),
        anthropic.AnthropicBedrock(aws_region="eu-central-1", api_key="x"),
        anthropic.AsyncAnthropicBedrock(aws_region="eu-central-1", api_key="x"),
        anthropic.AnthropicVertex(region="europe-west1", project_id="p", access_token="t"),
    ],
)
def test_the_type_stays_and_instrumenting_twice_changes_nothing(client: Any) -> None:
    once = llmclient.instrument(client)
    assert type(once) is type(client)
    assert llmclient.instrument(once) is once
    assert client.middleware == ()
    assert client.max_retries == 2


def test_something_that_is_no_client_is_named() -> None:
    with pytest.raises(TypeError, match=r"takes a client of the anthropic SDK \(2.x\), not dict"):
        llmclient.instrument({})


def test_the_middleware_is_outermost() -> None:
    def own(request: Any, call_next: Any) -> Any:
        return call_next(request)

    client = llmclient.instrument(anthropic.Anthropic(api_key="x", middleware=[own]))
    assert client.middleware[1] is own


def test_without_a_policy_the_number_of_retries_is_that_of_the_client(ask: dict[str, Any]) -> None:
    with FakeAnthropic(lambda _: fail(500)) as fake:
        assert tries(client_of(fake, None), fake, ask) == 3
        assert tries(client_of(fake, None, max_retries=0), fake, ask) == 1


def test_with_a_policy_it_is_that_of_the_policy(ask: dict[str, Any]) -> None:
    with FakeAnthropic(lambda _: fail(500)) as fake:
        assert tries(client_of(fake, UNCOUNTED, max_retries=0), fake, ask) == 3


def test_a_derived_client_may_set_its_retries(ask: dict[str, Any]) -> None:
    with FakeAnthropic(lambda _: fail(500)) as fake:
        client = client_of(fake, UNCOUNTED)
        assert tries(client.with_options(max_retries=0), fake, ask) == 1
        assert tries(client.with_options(max_retries=5), fake, ask) == 6
        assert tries(client.with_options(max_retries=5).with_options(timeout=9), fake, ask) == 6
        assert tries(client.copy(timeout=9), fake, ask) == 3
        assert tries(client.with_middleware(lambda request, call_next: call_next(request)), fake, ask) == 3
        assert tries(client, fake, ask) == 3


def test_a_client_without_the_middleware_is_an_ordinary_one_again(ask: dict[str, Any]) -> None:
    with FakeAnthropic(lambda _: fail(500, headers=SOON)) as fake, llmclient.context() as call:
        plain = client_of(fake, None, max_retries=1).with_options(middleware=[])
        assert plain.max_retries == 1
        assert tries(plain, fake, ask) == 2
    assert call.calls == ()


def test_retries_asked_of_the_low_level_call_are_the_sdks(ask: dict[str, Any]) -> None:
    with FakeAnthropic([fail(500, headers=SOON), reply("ok")]) as fake:
        client = client_of(fake)
        client.post("/v1/messages", cast_to=anthropic.types.Message, body=ask, options={"max_retries": 1})
        assert len(fake.requests) == 2


def test_the_client_closes_its_connections() -> None:
    with FakeAnthropic() as fake:
        client = client_of(fake)
        client.close()
        assert client.is_closed()
