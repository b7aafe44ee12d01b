"""The calls that are measured: every prompt is another one, and what is asked is the same for all subjects."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Final

import anthropic

KB: Final = 1_024
KINDS: Final = ("create", "stream", "async create", "async stream")
MAIL: Final = (
    "Please sort this message into a queue. Hello, my order 48-1207 of 12 boxes at 4.50 each has not arrived yet and "
    "nobody answered my mail of Monday. You can reach me at anna.berg@example.com or on +49 30 5557 0142 until six. "
    "If it is lost, please send the money back to the account you know; otherwise tell me when it comes. Thank you. "
)


def question(number: int, size: int = KB) -> dict[str, Any]:
    """A request whose text has `size` characters and was never asked before."""
    text = f"Message {number}. {MAIL * (size // len(MAIL) + 1)}"[:size]
    return {"model": "claude-sonnet-5-5", "max_tokens": 200, "messages": [{"role": "user", "content": text}]}


@dataclass(frozen=True, slots=True)
class Sample:
    """One call: when it began (seconds of perf_counter), how long it took, and the CPU of the thread that made it."""

    began: float
    seconds: float
    cpu: float


@dataclass(frozen=True, slots=True)
class Block:
    """Calls made one after another with the same client; `around` gives the labels of one."""

    client: Any
    numbers: range
    around: Callable[[int], AbstractContextManager[Any]]
    samples: list[Sample]


def drive(kind: str, blocks: Iterable[Block], size: int = KB) -> None:
    """Makes the calls of all blocks."""
    if kind.startswith("async"):
        asyncio.run(_drive_async(_acreate if kind == "async create" else _astream, blocks, size))
        return
    call = _create if kind == "create" else _stream
    for block in blocks:
        for number in block.numbers:
            asked = question(number, size)
            cpu, began = time.thread_time(), time.perf_counter()
            with block.around(number):
                call(block.client, asked)
            ended = time.perf_counter()
            block.samples.append(Sample(began, ended - began, time.thread_time() - cpu))


async def _drive_async(call: Callable[[Any, Any], Awaitable[None]], blocks: Iterable[Block], size: int) -> None:
    for block in blocks:
        for number in block.numbers:
            asked = question(number, size)
            cpu, began = time.thread_time(), time.perf_counter()
            with block.around(number):
                await call(block.client, asked)
            ended = time.perf_counter()
            block.samples.append(Sample(began, ended - began, time.thread_time() - cpu))


def _create(client: anthropic.Anthropic, asked: dict[str, Any]) -> None:
    client.messages.create(**asked)


def _stream(client: anthropic.Anthropic, asked: dict[str, Any]) -> None:
    with client.messages.stream(**asked) as events:
        events.get_final_message()


async def _acreate(client: anthropic.AsyncAnthropic, asked: dict[str, Any]) -> None:
    await client.messages.create(**asked)


async def _astream(client: anthropic.AsyncAnthropic, asked: dict[str, Any]) -> None:
    async with client.messages.stream(**asked) as events:
        await events.get_final_message()
