"""Sends requests when they are due, whatever became of the ones before, through a measured client."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final

import anthropic

import llmclient
from llmclient._call import Call
from llmclient.load._spend import Estimate, Purse
from llmclient.load._tally import Outcome, Tally
from llmclient.load._workload import Ask
from llmclient.testing import USAGE_HEADER

FEATURE: Final = "load"


class Drive:
    """One run. `dictate` tells a fake how many tokens each answer has; `cap` is how many may be under way at a time."""

    def __init__(
        self,
        llm: anthropic.AsyncAnthropic,
        asks: Sequence[Ask],
        estimate: Estimate,
        *,
        purse: Purse,
        dictate: bool,
        cap: int | None = None,
        grace: float = 10.0,
    ) -> None:
        self.tally = Tally(len(asks))
        self.elapsed = 0.0
        self._llm, self._asks, self._estimate, self._purse = llm, asks, estimate, purse
        self._dictate, self._grace = dictate, grace
        self._gate = None if cap is None else asyncio.Semaphore(cap)
        self._stop = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._start = 0.0

    @property
    def stopped(self) -> bool:
        return self._stop.is_set()

    def stop(self) -> None:
        """Sends nothing more; asked a second time, gives up what is under way."""
        if self._stop.is_set():
            self._cancel()
        self._stop.set()

    async def run(self) -> None:
        """Until everything planned was sent and has ended, or it was stopped and `grace` seconds have passed."""
        self._llm.messages  # noqa: B018  loads half of the SDK, which would make the first requests late
        self._start = asyncio.get_running_loop().time()
        for ask in self._asks:
            if not await self._is_due(ask.at):
                break
            task = asyncio.create_task(self._one(ask))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        await self._finish()
        self.elapsed = self._now()

    def _now(self) -> float:
        return asyncio.get_running_loop().time() - self._start

    async def _is_due(self, at: float) -> bool:
        """Waits for the instant; False when the run was stopped before."""
        wait = at - self._now()
        if wait <= 0 or self._stop.is_set():
            await asyncio.sleep(0)  # a generator that is late must not keep the ones under way from going on
            return not self._stop.is_set()
        try:
            await asyncio.wait_for(self._stop.wait(), wait)
        except TimeoutError:
            return True
        return False

    async def _finish(self) -> None:
        tasks = set(self._tasks)
        if not tasks:
            return
        stopping, ending = asyncio.create_task(self._stop.wait()), asyncio.create_task(asyncio.wait(tasks))
        await asyncio.wait({stopping, ending}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        await asyncio.wait({ending}, timeout=self._grace)
        self._cancel()
        await ending

    def _cancel(self) -> None:
        for task in self._tasks:
            task.cancel()

    async def _one(self, ask: Ask) -> None:
        if self._gate is None:
            await self._send(ask)
            return
        async with self._gate:
            if not self._stop.is_set():
                await self._send(ask)

    async def _send(self, ask: Ask) -> None:
        taken = self._estimate(ask.model, ask.input_tokens, ask.output_tokens)
        if not self._purse.take(taken):
            self.tally.unaffordable += 1
            return
        sent = self._now()
        self.tally.started()
        first, failure = None, None
        with llmclient.context(feature=FEATURE) as made:
            try:
                first = await self._ask(ask)
            except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001  whatever it is, it is what became of it
                failure = llmclient.category(error)
        outcome = self._outcome(ask, sent, first, failure, made.last)
        if taken is not None:
            self._purse.settle(taken, _charged(outcome, taken))
        self.tally.ended(outcome)

    async def _ask(self, ask: Ask) -> float | None:
        """Makes the call and reads the answer; the instant of the first token of a stream."""
        dictated = {USAGE_HEADER: f"{ask.input_tokens},{ask.output_tokens}"} if self._dictate else {}
        first = None
        answer = await self._llm.messages.create(**ask.body(), stream=ask.stream, extra_headers=dictated)
        if isinstance(answer, anthropic.AsyncStream):
            async for event in answer:
                if first is None and event.type == "content_block_delta":
                    first = self._now()
        return first

    def _outcome(self, ask: Ask, sent: float, first: float | None, failure: str | None, call: Call | None) -> Outcome:
        attempts = call.attempts if call is not None else []
        usage = call.usage if call is not None else None
        read, written = _tokens(usage)
        served = (call.model if call is not None else None) or ask.model
        return Outcome(
            intended=ask.at,
            sent=sent,
            ended=self._now(),
            first_token=first,
            category=failure,
            degraded=call is not None and call.source != "api",
            statuses=tuple(attempt.status for attempt in attempts),
            queued=call.queued if call is not None else 0.0,
            input_tokens=read,
            output_tokens=written,
            nanousd=None if usage is None else self._estimate(served, read, written),
        )


def _tokens(usage: Mapping[str, Any] | None) -> tuple[int, int]:
    """What was read and written. Nothing here asks for a cache, so all input counts as plain."""
    if usage is None:
        return 0, 0
    return int(usage.get("input_tokens") or 0), int(usage.get("output_tokens") or 0)


def _charged(outcome: Outcome, taken: int) -> int:
    """The most that may have been billed: an attempt that was never answered may have been, like an answer cut off."""
    last = outcome.statuses[-1] if outcome.statuses else None
    unanswered = outcome.statuses.count(None)
    if outcome.nanousd is not None:
        return outcome.nanousd + unanswered * taken
    return (unanswered + (last is not None and last < 400)) * taken
