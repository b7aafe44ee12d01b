"""Answers that did not come over HTTP, in the form the SDK expects of one that did.

The SDK's own code then does the rest: plain and streamed calls, `parse`, raw responses, the beta endpoints. What it
needs of `anthropic.APIResponse` is held by contract tests against the SDK that is installed.
"""

import json
from collections.abc import Mapping
from datetime import timedelta
from functools import cache
from typing import Any, Final

import anthropic
import httpx2
from anthropic import APIRequest

from llmclient import _stream

ORIGIN: Final = "http://llmclient.invalid"  # of a request that was never sent
EVENT_STREAM: Final = "text/event-stream; charset=utf-8"


def http_response(
    request: httpx2.Request, message: Mapping[str, Any], *, stream: bool, pieces: int = 1
) -> httpx2.Response:
    """The HTTP response that carries a message, complete and read; streamed in so many deltas for each text."""
    if stream:
        content, kind = _stream.events_of(message, pieces=pieces), EVENT_STREAM
    else:
        content, kind = json.dumps(message).encode(), "application/json"
    response = httpx2.Response(200, headers={"content-type": kind}, content=content, request=request)
    response.elapsed = timedelta(0)
    return response


def http_request(request: APIRequest) -> httpx2.Request:
    """The HTTP request the SDK would have sent, as far as a program may want to look at it. It carries no key."""
    headers = {
        name: value
        for name, value in request.headers.items()
        if isinstance(value, str) and name.lower() not in ("authorization", "x-api-key")
    }
    headers["content-type"] = "application/json"
    body = json.dumps(request.json, ensure_ascii=False, separators=(",", ":"), default=str)
    url = httpx2.URL(ORIGIN).join(request.url)
    return httpx2.Request(request.method, url, headers=headers, content=body.encode("utf-8", "replace"))


def api_response(request: APIRequest, message: Mapping[str, Any], *, asynchronous: bool, pieces: int = 1) -> Any:
    """What a middleware returns to answer a request itself: `APIResponse`, or `AsyncAPIResponse`."""
    response_class: Any = anthropic.AsyncAPIResponse if asynchronous else anthropic.APIResponse
    return response_class(
        raw=http_response(http_request(request), message, stream=request.stream, pieces=pieces),
        cast_to=request.cast_to,
        client=_reader(asynchronous),
        stream=request.stream,
        stream_cls=request.stream_cls,
        options=request.options,
        retries_taken=request.retries_taken,
    )


@cache
def _reader(asynchronous: bool) -> Any:
    """The client that reads the answer. Not the caller's: one for Bedrock would expect another format of stream.

    Nothing can be sent through it.
    """
    nowhere = httpx2.MockTransport(_refuse)
    if asynchronous:
        http_client = httpx2.AsyncClient(transport=nowhere, base_url=ORIGIN)
        return anthropic.AsyncAnthropic(api_key="none", base_url=ORIGIN, max_retries=0, http_client=http_client)
    return anthropic.Anthropic(
        api_key="none", base_url=ORIGIN, max_retries=0, http_client=httpx2.Client(transport=nowhere, base_url=ORIGIN)
    )


def _refuse(request: httpx2.Request) -> httpx2.Response:
    raise httpx2.UnsupportedProtocol("an answer that was made here has no connection", request=request)
