"""The same call in the four ways an application makes it: plain and streamed, sync and async."""

import asyncio
from collections.abc import Callable
from typing import Any

from llmclient._policy import Policy
from llmclient.testing import FakeAnthropic
from tests.llmclient.conftest import QUICK, async_client_of, client_of

Ask = Callable[..., str]


def plain(fake: FakeAnthropic, ask: dict[str, Any], policy: Policy | None = QUICK, **options: Any) -> str:
    message = client_of(fake, policy, **options).messages.create(**ask)
    return "".join(block.text for block in message.content if block.type == "text")


def streamed(fake: FakeAnthropic, ask: dict[str, Any], policy: Policy | None = QUICK, **options: Any) -> str:
    with client_of(fake, policy, **options).messages.stream(**ask) as stream:
        return stream.get_final_text()


def plain_async(fake: FakeAnthropic, ask: dict[str, Any], policy: Policy | None = QUICK, **options: Any) -> str:
    async def make() -> str:
        async with async_client_of(fake, policy, **options) as client:
            message = await client.messages.create(**ask)
        return "".join(block.text for block in message.content if block.type == "text")

    return asyncio.run(make())


def streamed_async(fake: FakeAnthropic, ask: dict[str, Any], policy: Policy | None = QUICK, **options: Any) -> str:
    async def make() -> str:
        async with async_client_of(fake, policy, **options) as client, client.messages.stream(**ask) as stream:
            return await stream.get_final_text()

    return asyncio.run(make())


WAYS: tuple[Ask, ...] = (plain, streamed, plain_async, streamed_async)
STREAMED: tuple[Ask, ...] = (streamed, streamed_async)
