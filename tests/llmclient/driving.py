"""Drives generators of steps as the engine's shells do: performs what they yield, once as sync and once as async."""

from collections.abc import Generator
from typing import Any, TypeVar

import anyio

from llmclient._run import Run

T = TypeVar("T")


def drive(steps: Generator[Run, Any, T]) -> T:
    value, error = None, None
    while True:
        try:
            step = steps.throw(error) if error is not None else steps.send(value)
        except StopIteration as over:
            result: T = over.value
            return result
        value, error = None, None
        try:
            value = step.perform()
        except BaseException as raised:  # noqa: BLE001  it belongs to the steps
            error = raised


async def drive_async(steps: Generator[Run, Any, T]) -> T:
    value, error = None, None
    while True:
        try:
            step = steps.throw(error) if error is not None else steps.send(value)
        except StopIteration as over:
            result: T = over.value
            return result
        value, error = None, None
        try:
            value = await step.perform_async()
        except BaseException as raised:  # noqa: BLE001  it belongs to the steps
            error = raised


def both(steps: Any, *arguments: Any) -> list[Any]:
    """What the steps come to, driven both ways."""

    async def run() -> Any:
        return await drive_async(steps(*arguments))

    return [drive(steps(*arguments)), anyio.run(run)]
