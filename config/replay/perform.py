"""One call of the traffic model, made through the real client."""

import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from threading import Event
from typing import Final

import anthropic
import httpx2

import llmclient
from config.replay import virtual
from config.replay.virtual import Stopwatch, VirtualTime
from llmclient import Policy, Retry, Timeout, _config, _replay
from llmclient._shipper import Shipper
from llmclient.testing import PLAN_HEADER
from llmclient.testing.traffic import Call

MAX_TOKENS: Final = 4096
# The client sheds what is more than 10,000 events; whoever makes calls faster than they ship has to wait for it.
MOST_WAITING: Final = 2_000
# The trace says how much is asked for and the model how much of it fails: nothing is to be held back or given up here.
POLICY: Final = Policy(timeout=Timeout(total=120), retry=Retry(budget=None), breaker=None, limits=None)
# Where time is only told, a retry has nothing to wait for.
_AT_ONCE: Final = 1e-6  # seconds
HURRIED: Final = replace(
    POLICY,
    retry=Retry(budget=None, base=_AT_ONCE, cap=_AT_ONCE, overloaded_base=_AT_ONCE, overloaded_cap=_AT_ONCE),
)
LOOK_AGAIN: Final = 0.02  # seconds


def connect(fake_url: str, *, is_virtual: bool) -> anthropic.Anthropic:
    """The SDK's client, instrumented, pointed at the fake."""
    client = anthropic.Anthropic(api_key="fake", base_url=fake_url, timeout=60.0)
    if is_virtual:
        client = client.with_middleware(VirtualTime())
    return llmclient.instrument(client, HURRIED if is_virtual else POLICY)


def perform(llm: anthropic.Anthropic, call: Call, clock: Callable[[], float] | None) -> bool:
    """Make the call; whether it ended as the model wanted. With `clock` it is pinned to its id and that clock."""
    is_virtual = isinstance(clock, Stopwatch)
    labels = llmclient.context(
        feature=call.feature,
        prompt_type=call.prompt_type,
        prompt_version=call.prompt_version,
        user_id=call.user_id,
        session_id=call.session_id,
    )
    pin = nullcontext() if clock is None else _replay.pinned(call.id, clock)
    token = virtual.running.set(clock if isinstance(clock, Stopwatch) else None)
    try:
        with labels as made, pin:
            _ask(llm, call, timed=not is_virtual)
    finally:
        virtual.running.reset(token)
    ended = made.last is not None and made.last.outcome == "ok"
    return ended == call.answered


def wait_for_room(stop: Event) -> None:
    """Until the client can take more events, or everything is to stop."""
    buffer = shipper_in_use().buffer
    while len(buffer) > MOST_WAITING and not stop.is_set():
        time.sleep(LOOK_AGAIN)


def shipper_in_use() -> Shipper:
    """The client's shipper, to see how much waits in it and what it lost. `configure` must have been given a DSN."""
    shipper = _config.current().shipper
    assert shipper is not None
    return shipper


def _ask(llm: anthropic.Anthropic, call: Call, *, timed: bool) -> None:
    try:
        answer = llm.messages.create(
            model=call.model,
            max_tokens=MAX_TOKENS,
            messages=[{"role": "user", "content": call.prompt}],
            stream=call.stream,
            extra_headers={PLAN_HEADER: call.plan(timed=timed).header()},
        )
        if isinstance(answer, anthropic.Stream):
            for _ in answer:
                pass
    except (anthropic.AnthropicError, httpx2.TransportError):
        return  # what the model wanted or not, the client has measured it and the caller compares
