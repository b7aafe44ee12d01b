"""One batch over a real socket, and what the answer means."""

import gzip
import json
import logging
import socket
import threading
import time

import httpx2
import pytest

from llmclient._post import Post, read
from llmclient._shipper import THREAD_NAME
from tests.llmclient.backend import Backend

BODY = gzip.compress(json.dumps({"client": {}, "events": []}).encode())


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        (200, "stored"),
        (301, "refused"),
        (400, "refused"),
        (401, "no_entry"),
        (403, "no_entry"),
        (404, "refused"),
        (408, "later"),
        (413, "too_large"),
        (415, "refused"),
        (429, "later"),
        (500, "later"),
        (502, "later"),
        (503, "later"),
        (504, "later"),
    ],
)
def test_every_status_has_one_meaning(backend: Backend, status: int, verdict: str) -> None:
    backend.answers = [(status, {"retry-after": "3"}, {"error": "because"})]
    answer = Post(f"http://127.0.0.1:{backend.port}/api/v1/events", "llv_ing_k")(BODY)
    assert (answer.verdict, answer.status) == (verdict, status)
    assert answer.retry_after == (3.0 if verdict == "later" else None)
    assert backend.requests[0]["authorization"] == "Bearer llv_ing_k"
    assert backend.requests[0]["content-encoding"] == "gzip"


def test_rejected_events_are_counted(backend: Backend) -> None:
    rejection = {"index": 0, "id": None, "field": "id", "reason": "not a UUIDv7"}
    backend.answers = [(200, {}, {"accepted": 1, "rejected": [rejection, rejection]})]
    answer = Post(f"http://127.0.0.1:{backend.port}/api/v1/events", "k")(BODY)
    assert answer.rejected == 2
    assert "not a UUIDv7" in answer.reason


def test_an_answer_that_is_no_json_is_still_an_answer() -> None:
    request = httpx2.Request("POST", "http://backend.test")
    assert read(httpx2.Response(200, text="fine", request=request), now=0.0).verdict == "stored"
    assert read(httpx2.Response(502, text="<html>", request=request), now=0.0).verdict == "later"


def test_nobody_listening_means_later() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    answer = Post(f"http://127.0.0.1:{port}/api/v1/events", "k")(BODY)
    assert (answer.verdict, answer.status, answer.reason) == ("later", None, "ConnectError")


def test_a_silent_server_is_given_five_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llmclient._post.TOTAL_SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        began = time.monotonic()
        answer = Post(f"http://127.0.0.1:{listener.getsockname()[1]}/api/v1/events", "k")(BODY)
    assert (answer.verdict, answer.reason) == ("later", "ReadTimeout")
    assert time.monotonic() - began >= 0.1


def test_the_requests_of_the_sender_are_not_in_the_hosts_log(
    backend: Backend, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "httpx2")
    post = Post(f"http://127.0.0.1:{backend.port}/api/v1/events", "k")
    sender = threading.Thread(target=post, args=(BODY,), name=THREAD_NAME)
    sender.start()
    sender.join()
    assert [record.name for record in caplog.records] == []
    httpx2.post(f"http://127.0.0.1:{backend.port}/", content=BODY)
    assert [record.name for record in caplog.records] == ["httpx2"]
