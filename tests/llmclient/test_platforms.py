"""The clients for other clouds: same middleware slot, other addresses and formats."""

import json
from typing import Any

import anthropic
import pytest

import llmclient
from tests.llmclient.backend import Backend, configured, only_event
from tests.llmclient.scripted import END, MESSAGE, START, TEXT, USAGE, Scripted


def vertex(scripted: Scripted) -> anthropic.AnthropicVertex:
    return llmclient.instrument(
        anthropic.AnthropicVertex(
            region="europe-west1", project_id="p", access_token="t", base_url=scripted.url, max_retries=0
        )
    )


def bedrock(scripted: Scripted) -> anthropic.AnthropicBedrock:
    client = anthropic.AnthropicBedrock(aws_region="eu-central-1", api_key="x", base_url=scripted.url, max_retries=0)
    return llmclient.instrument(client)


@pytest.mark.parametrize("make", [vertex, bedrock])
def test_a_plain_call_is_measured_with_the_model_that_was_asked_for(
    backend: Backend, scripted: Scripted, ask: dict[str, Any], make: Any
) -> None:
    configured(backend)
    scripted.body, scripted.kind = json.dumps(MESSAGE).encode(), "application/json"
    make(scripted).messages.create(**ask)
    measured = only_event(backend)
    assert (measured["operation"], measured["outcome"]) == ("messages", "ok")
    assert (measured["model_requested"], measured["model"]) == ("claude-sonnet-5-5", "claude-x")
    assert measured["usage"] == USAGE


def test_a_stream_through_vertex_is_measured_in_full(backend: Backend, scripted: Scripted, ask: dict[str, Any]) -> None:
    configured(backend)
    scripted.body = START + TEXT + END
    with vertex(scripted).messages.stream(**ask) as stream:
        assert stream.get_final_text() == "hi"
    assert only_event(backend)["usage"] == USAGE
