"""The one object in the SDK's middleware slot: a thin sync and a thin async shell around the same engine."""

from contextlib import AbstractContextManager
from typing import Any

import anthropic
import httpx2
from anthropic import APIRequest

from llmclient import _context
from llmclient._deadline import deadline
from llmclient._engine import Engine


class Vitals(anthropic.Middleware):
    """Puts every call of a client through the engine, and does what that wants done."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def together(self, timeout: Any = None) -> AbstractContextManager[None]:
        """One deadline for several calls that make one result; `timeout` as the SDK takes it."""
        prompt_type = _context.current().labels.get("prompt_type")
        total = self.engine.plan_for(prompt_type).policy.timeout.total
        seconds = timeout.read if isinstance(timeout, httpx2.Timeout) else timeout
        return deadline(max(total, seconds) if isinstance(seconds, float | int) else total, clock=self.engine.clock)

    def handle(self, request: APIRequest, call_next: Any) -> Any:
        conduct = self.engine.conduct(request)
        try:
            effect = next(conduct)
            while True:
                try:
                    outcome = effect.perform(call_next)
                except BaseException as error:  # noqa: BLE001  # the engine decides what becomes of it
                    effect = conduct.throw(error)
                else:
                    effect = conduct.send(outcome)
        except StopIteration as end:
            return end.value

    async def handle_async(self, request: APIRequest, call_next: Any) -> Any:
        conduct = self.engine.conduct(request)
        try:
            effect = next(conduct)
            while True:
                try:
                    outcome = await effect.perform_async(call_next)
                except BaseException as error:  # noqa: BLE001  # the engine decides what becomes of it
                    effect = conduct.throw(error)
                else:
                    effect = conduct.send(outcome)
        except StopIteration as end:
            return end.value
