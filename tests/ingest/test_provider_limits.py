"""The provider's limits, read over a real socket from the fake API, and what happens when it does not answer."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from ingest import provider_limits
from ingest.models import ProviderLimit
from ingest.provider_limits import UnreadableError
from llmclient.testing import FakeAnthropic, Limits
from tests.factories import NOW

KEY = "sk-ant-admin-of-a-test"


def known() -> dict[tuple[str, str], int]:
    return {(row.group, row.limiter): row.value for row in ProviderLimit.objects.all()}


@contextmanager
def answering(*pages: Any, status: int = 200) -> Iterator[tuple[str, list[tuple[str, str | None]]]]:
    """A server that gives these pages in turn, and the addresses and keys it was asked with."""
    asked: list[tuple[str, str | None]] = []
    left = list(pages)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append((self.path, self.headers.get("x-api-key")))
            body = left.pop(0)
            text = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            if status == 302:
                self.send_header("Location", "/elsewhere")
            self.end_headers()
            self.wfile.write(text)

        def log_request(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def entry(models: list[str] | None, kind: str = "model_group", **limits: int) -> dict[str, Any]:
    group = {"id": "rlg_1", "type": kind, "display_name": "Some models"}
    values = [{"type": name, "value": value} for name, value in limits.items()]
    return {"id": "rl_1", "type": "rate_limit", "group": group, "limits": values, "models": models}


@pytest.mark.django_db
def test_the_limits_of_each_group_are_kept_with_the_time_they_were_read(settings: Settings) -> None:
    with FakeAnthropic(limits=Limits(60, 20_000, 8_000)) as fake:
        settings.ANTHROPIC_API_URL, settings.ANTHROPIC_ADMIN_KEY = fake.url, KEY
        provider_limits.refresh(now=NOW - timedelta(hours=1))
        provider_limits.refresh(now=NOW)
    found = known()
    assert found["sonnet-5", "requests"] == 60
    assert found["sonnet-5", "input"] == 20_000
    assert found["sonnet-5", "output"] == 8_000
    assert {limiter for _, limiter in found} == {"requests", "input", "output"}
    assert {row.read_at for row in ProviderLimit.objects.all()} == {NOW}


@pytest.mark.django_db
def test_without_a_key_nobody_is_asked_and_nothing_stays_known(settings: Settings) -> None:
    settings.ANTHROPIC_API_URL, settings.ANTHROPIC_ADMIN_KEY = "http://127.0.0.1:1", ""
    ProviderLimit.objects.create(group="opus-5", limiter="output", value=1, read_at=NOW)
    assert provider_limits.refresh(now=NOW) == 0
    assert known() == {}


def test_all_pages_are_read_with_the_key_and_only_limits_of_models_are_kept() -> None:
    one = entry(["claude-opus-5-5", "claude-opus-5"], requests_per_minute=50, output_tokens_per_minute=9, new_kind=3)
    two = [entry(["claude-haiku-4-5"], requests_per_minute=7), entry(None, "batch", requests_per_minute=1)]
    with answering({"data": [one], "next_page": "p 2"}, {"data": two, "next_page": None}) as (url, asked):
        found = provider_limits.read(url, KEY)
    assert found == {("opus-5", "requests"): 50, ("opus-5", "output"): 9, ("haiku-4", "requests"): 7}
    path = "/v1/organizations/rate_limits?group_type=model_group"
    assert asked == [(path, KEY), (f"{path}&page=p+2", KEY)]


def test_groups_that_share_an_entry_each_get_it_and_the_lower_of_two_counts() -> None:
    shared = entry(["claude-sonnet-4-5", "claude-sonnet-4", "claude-opus-4-1"], requests_per_minute=80)
    lower = entry(["claude-sonnet-4-6"], requests_per_minute=30)
    with answering({"data": [shared, lower]}) as (url, _):
        assert provider_limits.read(url, KEY) == {("sonnet-4", "requests"): 30, ("opus-4", "requests"): 80}


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({"error": "no"}, 401, "the Rate Limits API answered 401"),
        # The key goes nowhere but to the address in the settings.
        ({}, 302, "the Rate Limits API answered 302"),
        (b"<html>", 200, "the Rate Limits API could not be read: DecodeError"),
        ({"data": [{"limits": 3}]}, 200, "the Rate Limits API could not be read: ValidationError"),
    ],
)
def test_what_was_known_stays_when_it_cannot_be_read(settings: Settings, body: Any, status: int, said: str) -> None:
    ProviderLimit.objects.create(group="opus-5", limiter="output", value=1, read_at=NOW)
    with answering(body, status=status) as (url, _):
        settings.ANTHROPIC_API_URL, settings.ANTHROPIC_ADMIN_KEY = url, KEY
        with pytest.raises(UnreadableError) as caught:
            provider_limits.refresh(now=NOW + timedelta(hours=1))
    assert str(caught.value) == said
    assert KEY not in repr(caught.value)
    assert known() == {("opus-5", "output"): 1}


def test_nobody_there_is_told_without_the_key() -> None:
    with pytest.raises(UnreadableError, match="could not be read: URLError"):
        provider_limits.read("http://127.0.0.1:1", KEY)
    with pytest.raises(UnreadableError, match="could not be read: ValueError"):
        provider_limits.read("no address", KEY)
