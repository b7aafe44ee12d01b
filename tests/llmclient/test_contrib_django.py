"""The middleware for Django: calls made in a request know whose request it is."""

import asyncio
from hashlib import sha256
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser, User
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory

import llmclient
from llmclient.contrib.django import ContextMiddleware
from llmclient.testing import FakeAnthropic, capture
from tests.llmclient.conftest import async_client_of, client_of


class Session:
    session_key = "the cookie that opens the session"


def request_of(user: Any, **headers: str) -> HttpRequest:
    request = RequestFactory().get("/", headers=headers)
    request.user = user
    request.session = Session()  # type: ignore[assignment]
    return request


def labels(request: HttpRequest, ask: dict[str, Any]) -> list[dict[str, Any]]:
    with FakeAnthropic() as fake, capture() as calls:
        client = client_of(fake)

        def view(_: HttpRequest) -> HttpResponse:
            client.messages.create(**ask)
            with llmclient.context(feature="inbox", session_id="a session of ours", tags={"plan": "pro"}):
                client.messages.create(**ask)
            return HttpResponse("served")

        assert ContextMiddleware(view)(request).content == b"served"
        client.messages.create(**ask)
    return [dict(call.labels) for call in calls]


def test_calls_are_labelled_with_user_session_and_request(ask: dict[str, Any]) -> None:
    first, second, outside = labels(request_of(User(pk=4711), **{"X-Request-ID": "req-9"}), ask)
    session = sha256(b"the cookie that opens the session").hexdigest()[:32]
    assert first == {"user_id": "4711", "session_id": session, "tags": {"request_id": "req-9"}}
    assert second == {
        "user_id": "4711",
        "session_id": "a session of ours",
        "feature": "inbox",
        "tags": {"request_id": "req-9", "plan": "pro"},
    }
    assert outside == {}


def test_who_is_nobody_has_no_id_and_the_request_has_one_of_ours(ask: dict[str, Any]) -> None:
    first, second, _ = labels(request_of(AnonymousUser()), ask)
    assert "user_id" not in first
    assert first["tags"]["request_id"] == second["tags"]["request_id"]
    assert len(first["tags"]["request_id"]) == 36


def test_without_a_call_nobody_asks_who_it_is() -> None:
    class Asked(HttpRequest):
        @property
        def user(self) -> Any:  # type: ignore[override]
            raise AssertionError("a query for nothing")

    assert ContextMiddleware(lambda _: HttpResponse("served"))(Asked()).content == b"served"


def test_a_user_who_cannot_be_found_out_leaves_the_call_without_labels(
    ask: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(HttpRequest):
        @property
        def user(self) -> Any:  # type: ignore[override]
            raise RuntimeError("the database is away")

    with FakeAnthropic() as fake, capture() as calls:
        client = client_of(fake)

        def view(_: HttpRequest) -> HttpResponse:
            client.messages.create(**ask)
            return HttpResponse("served")

        ContextMiddleware(view)(Broken())
    assert calls.only.labels == {}
    assert "the call itself is not affected" in caplog.text


def test_async_views_are_labelled_with_the_user_they_asked_for(ask: dict[str, Any]) -> None:
    async def run() -> None:
        with FakeAnthropic() as fake:
            client = async_client_of(fake)

            async def view(request: HttpRequest) -> HttpResponse:
                await client.messages.create(**ask)
                request._acached_user = User(pk=7)  # type: ignore[attr-defined]  # what `await request.auser()` does
                await client.messages.create(**ask)
                return HttpResponse("served")

            request = RequestFactory().get("/")
            response = await ContextMiddleware(view)(request)
            assert response.content == b"served"

    with capture() as calls:
        asyncio.run(run())
    assert [call.labels.get("user_id") for call in calls] == [None, "7"]
