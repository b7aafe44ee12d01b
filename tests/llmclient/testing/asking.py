"""The SDK as an application uses it, pointed at a fake."""

from typing import Any

import anthropic

from llmclient.testing import FakeAnthropic

MODEL = "claude-sonnet-5-5"
HELLO: list[Any] = [{"role": "user", "content": "hello"}]


def sdk(fake: FakeAnthropic, *, retries: int = 0, timeout: float = 10.0, key: str = "test") -> anthropic.Anthropic:
    return anthropic.Anthropic(api_key=key, base_url=fake.url, max_retries=retries, timeout=timeout)


def ask(fake: FakeAnthropic, *, retries: int = 0, timeout: float = 10.0, **more: object) -> anthropic.types.Message:
    with sdk(fake, retries=retries, timeout=timeout) as client:
        message: anthropic.types.Message = client.messages.create(  # type: ignore[call-overload]
            **{"model": MODEL, "max_tokens": 100, "messages": HELLO, **more}
        )
        return message


def read(fake: FakeAnthropic, *, timeout: float = 10.0, **more: object) -> list[anthropic.types.RawMessageStreamEvent]:
    with sdk(fake, timeout=timeout) as client:
        stream = client.messages.create(  # type: ignore[call-overload]
            **{"model": MODEL, "max_tokens": 100, "messages": HELLO, **more}, stream=True
        )
        return list(stream)


def text_of(message: anthropic.types.Message) -> str:
    return "".join(block.text for block in message.content if block.type == "text")
